//! What the machine as a whole uses, as the kernel tells it (proc(5)). Upstream asks the root cgroup; its second version
//! has no such figures, and there upstream takes these as well.

use std::{fs, io};

use jiff::Timestamp;

/// The kernel's unit of time, in nanoseconds: `USER_HZ` is 100 on every architecture that is built for.
const TICK: u64 = 10_000_000;
/// States of `/proc/stat` in which a processor works: user, nice, system, irq, softirq, steal.
const WORKING: [usize; 6] = [0, 1, 2, 5, 6, 7];

/// Figures of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// When.
    pub at: Timestamp,
    /// Since when it has been up.
    pub since: Timestamp,
    /// Time that all processors have worked since then, nanoseconds.
    pub cpu_nanos: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes that are free, or could be at once.
    pub memory_available: u64,
    /// Bytes that are not free.
    pub memory_used: u64,
    /// Anonymous memory, bytes.
    pub memory_anonymous: u64,
    /// Page faults.
    pub page_faults: u64,
    /// Those that read from a disk.
    pub major_page_faults: u64,
    /// Processes and threads.
    pub processes: u64,
    /// As many as there can be.
    pub most_processes: u64,
}

impl Machine {
    /// Bytes of memory that are in use and would be missed.
    pub fn working_set(&self) -> u64 {
        self.memory.saturating_sub(self.memory_available)
    }
}

/// Reads them.
pub fn read() -> io::Result<Machine> {
    let text = |name: &str| fs::read_to_string(format!("/proc/{name}"));
    let limit = |name: &str| Ok::<_, io::Error>(text(name)?.trim().parse::<u64>().unwrap_or(u64::MAX));
    let most_processes = limit("sys/kernel/pid_max")?.min(limit("sys/kernel/threads-max")?);
    let texts = Texts { stat: &text("stat")?, memory: &text("meminfo")?, faults: &text("vmstat")?, load: &text("loadavg")? };
    Ok(Machine { most_processes, at: Timestamp::now(), ..parse(&texts) })
}

struct Texts<'a> {
    stat: &'a str,
    memory: &'a str,
    faults: &'a str,
    load: &'a str,
}

fn parse(texts: &Texts) -> Machine {
    let number = |text: &str, key: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next());
        line.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let kib = |key: &str| number(texts.memory, key) * 1024;
    let cpu = texts.stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let states: Vec<u64> = cpu.split_whitespace().map(|state| state.parse().unwrap_or(0)).collect();
    let ticks: u64 = WORKING.iter().filter_map(|state| states.get(*state)).sum();
    let boot = i64::try_from(number(texts.stat, "btime ")).unwrap_or(0);
    // Running and all, of processes and threads.
    let processes = texts.load.split_whitespace().nth(3).and_then(|pair| pair.split_once('/')?.1.parse().ok());
    let (memory, free) = (kib("MemTotal:"), kib("MemFree:"));
    Machine {
        at: Timestamp::UNIX_EPOCH,
        since: Timestamp::from_second(boot).unwrap_or_default(),
        cpu_nanos: ticks.saturating_mul(TICK),
        memory,
        memory_available: (free + kib("Inactive(file):")).min(memory),
        memory_used: memory.saturating_sub(free),
        memory_anonymous: kib("AnonPages:"),
        page_faults: number(texts.faults, "pgfault "),
        major_page_faults: number(texts.faults, "pgmajfault "),
        processes: processes.unwrap_or(0),
        most_processes: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let texts = Texts {
            stat: "cpu  10 1 5 1000 7 2 3 4 9 9\ncpu0 1 1 1 1\nbtime 1700000000\n",
            memory: "MemTotal: 1000 kB\nMemFree: 300 kB\nMemAvailable: 1 kB\nInactive: 9 kB\nInactive(file): 100 kB\nAnonPages: 50 kB\n",
            faults: "nr_free_pages 1\npgfault 77\npgmajfault 5\n",
            load: "0.10 0.20 0.30 2/345 6789\n",
        };
        let machine = parse(&texts);
        assert_eq!(machine.cpu_nanos, 25 * TICK);
        assert_eq!((machine.memory >> 10, machine.memory_available >> 10, machine.working_set() >> 10), (1000, 400, 600));
        assert_eq!((machine.memory_used >> 10, machine.memory_anonymous >> 10), (700, 50));
        assert_eq!((machine.page_faults, machine.major_page_faults, machine.processes), (77, 5, 345));
        assert_eq!(machine.since.as_second(), 1_700_000_000);
    }

    #[test]
    fn this_machine_has_figures() {
        let machine = read().expect("readable");
        assert!(machine.memory_available > 0 && machine.memory_available <= machine.memory, "{machine:?}");
        assert!(machine.processes > 1 && machine.processes < machine.most_processes, "{machine:?}");
        assert!(machine.cpu_nanos > 0 && machine.since < machine.at, "{machine:?}");
    }
}
