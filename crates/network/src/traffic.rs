//! What has passed the links of a network namespace since they were made, as the kernel counts it (proc(5),
//! `/proc/net/dev`).

use std::collections::BTreeMap;
use std::{fs, io};

/// One direction of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that were wrong.
    pub errors: u64,
    /// Packets that there was no room for.
    pub dropped: u64,
}

/// Both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Into the namespace that has the link.
    pub received: Flow,
    /// Out of it.
    pub sent: Flow,
}

impl Traffic {
    /// The same as the other end of a pair counts it: what one has sent the other has received.
    pub fn at_other_end(self) -> Self {
        Traffic { received: self.sent, sent: self.received }
    }
}

/// That of each link of the namespace of this thread.
pub fn read() -> io::Result<BTreeMap<String, Traffic>> {
    Ok(parse(&fs::read_to_string("/proc/thread-self/net/dev")?))
}

/// That of the machine's own links: not the loopback, nor those that lead to pods.
pub fn of_machine() -> io::Result<BTreeMap<String, Traffic>> {
    let mut all = read()?;
    all.retain(|link, _| link != "lo" && !crate::Names::is_any(link));
    Ok(all)
}

fn parse(text: &str) -> BTreeMap<String, Traffic> {
    text.lines().filter_map(|line| {
        let (link, counters) = line.split_once(':')?;
        let counters: Vec<u64> = counters.split_whitespace().map_while(|number| number.parse().ok()).collect();
        let flow = |at: usize| {
            let [bytes, packets, errors, dropped] = *counters.get(at..at + 4)? else { return None };
            Some(Flow { bytes, packets, errors, dropped })
        };
        Some((link.trim().to_owned(), Traffic { received: flow(0)?, sent: flow(8)? }))
    }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let text = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
ic369aac20-fffe: 5000 50 3 4 0 0 0 0 6000 60 1 2 0 0 0 0
broken: 1 2
";
        let all = parse(text);
        assert_eq!(all.keys().collect::<Vec<_>>(), ["ic369aac20-fffe", "lo"]);
        let received = Flow { bytes: 5000, packets: 50, errors: 3, dropped: 4 };
        let sent = Flow { bytes: 6000, packets: 60, errors: 1, dropped: 2 };
        assert_eq!(all["ic369aac20-fffe"], Traffic { received, sent });
        assert_eq!(all["ic369aac20-fffe"].at_other_end(), Traffic { received: sent, sent: received });
        assert!(read().expect("there").contains_key("lo"));
        assert!(!of_machine().expect("there").contains_key("lo"));
    }
}
