//! How much each client may have of what all share, and what may wait for how long. Pure but for locks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Bounds of one server, and of each client's address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Datagrams that wait for their answer.
    pub(crate) waiting: usize,
    /// TCP connections.
    pub(crate) connections: usize,
    pub(crate) connections_each: usize,
    /// Questions that wait for other name servers. Each holds a socket for at most six seconds.
    pub(crate) forwarded: usize,
    pub(crate) forwarded_each: usize,
    /// How long a TCP client may be silent, take for one question, or leave an answer unread.
    pub(crate) idle: Duration,
}

/// Datagrams that wait for their answer.
pub(crate) const WAITING: usize = 8 << 10;
/// TCP connections.
pub(crate) const CONNECTIONS: usize = 1024;
/// TCP connections of one client.
pub(crate) const CONNECTIONS_EACH: usize = 128;
/// Questions that wait for other name servers. (CoreDNS as kubeadm configures it: 1,000. Here their sockets are those of a
/// process that needs descriptors for much else.)
pub(crate) const FORWARDED: usize = 512;
/// The same, of one client.
pub(crate) const FORWARDED_EACH: usize = 128;
/// How long a TCP client may be silent, take for one question, or leave an answer unread.
pub(crate) const IDLE: Duration = Duration::from_secs(10);
/// The longest question over UDP, in bytes: a name has 255, and what a client may add to it does not fill a packet.
pub(crate) const QUESTION: usize = 1500;
/// Bytes of datagrams that may wait in the socket, of all clients: some thousand questions, each counted with what the
/// kernel keeps about it. Its default is full after 200.
pub(crate) const BUFFER: usize = 4 << 20;
/// How long one name server may take, if the Corefile does not say it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// How long all name servers of one question may take (CoreDNS: 5 s).
pub(crate) const FORWARDING: Duration = Duration::from_secs(5);
/// Name servers that one directive may name (CoreDNS: 15).
pub(crate) const SERVERS: usize = 15;
/// As much of the machine's resolver configuration is read.
pub(crate) const RESOLVER: u64 = 64 << 10;
/// Domains of its search path (Kubernetes: `MaxDNSSearchPaths`, 32).
pub(crate) const SEARCHES: usize = 32;
/// How many answers may ask for each other to be complete: names that stand for names.
pub(crate) const DEPTH: u8 = 8;
/// How many answers one question may ask for, all together.
pub(crate) const LOOKUPS: usize = 32;
/// How many names may stand for each other within the cluster (CoreDNS: 10).
pub(crate) const ALIASES: usize = 10;
/// Words of a Corefile, with what it imports.
pub(crate) const WORDS: usize = 100_000;
/// Server blocks of a Corefile.
pub(crate) const BLOCKS: usize = 256;
/// Ports of a Corefile, and as many for probes and metrics.
pub(crate) const PORTS: usize = 16;
/// Answers kept as bytes, of each port.
pub(crate) const PACKETS: usize = 4096;
/// Bytes of the longest of them, and of the longest question.
pub(crate) const PACKET: usize = 1500;
/// Records of answers with several records that are kept ready.
pub(crate) const MEMO: usize = 16 << 10;
/// Counts of zones and types.
pub(crate) const SERIES: usize = 1024;
/// Connections to one port for probes and metrics.
pub(crate) const WATCHERS: usize = 16;
/// Bytes of a request there.
pub(crate) const HEAD: usize = 4 << 10;
/// Rules of one `rewrite` or `template`.
pub(crate) const RULES: usize = 1024;
/// Bytes of a regular expression (CoreDNS: 10,000).
pub(crate) const PATTERN: usize = 10_000;
/// Bytes of a regular expression made ready.
pub(crate) const PATTERN_COMPILED: usize = 256 << 10;
/// Regular expressions of a Corefile.
pub(crate) const PATTERNS: usize = 256;
/// Bytes that one template may make.
pub(crate) const TEMPLATE: usize = 4 << 10;
/// Records of the zones of one server block, in `file`.
pub(crate) const RECORDS: usize = 100_000;
/// Bytes that a server is known by, in `nsid`.
pub(crate) const IDENTIFIER: usize = 255;
/// Addresses in `hosts`.
pub(crate) const HOSTS: usize = 100_000;
/// Answers that one `cache` keeps of either sort, unless the Corefile says less (CoreDNS: 10,000).
pub(crate) const CACHED: usize = 10_000;
/// Bytes of the answers that one `cache` keeps of either sort.
pub(crate) const CACHED_BYTES: usize = 16 << 20;

/// Those of a server.
pub(crate) const LIMITS: Limits = Limits {
    waiting: WAITING,
    connections: CONNECTIONS,
    connections_each: CONNECTIONS_EACH,
    forwarded: FORWARDED,
    forwarded_each: FORWARDED_EACH,
    idle: IDLE,
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number of permits, of which each client gets some at most.
pub(crate) struct Permits {
    all: usize,
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by: HashMap<IpAddr, usize>,
}

/// One permit, given back when it is dropped.
pub(crate) struct Permit {
    permits: Arc<Permits>,
    client: IpAddr,
}

impl Permits {
    pub(crate) fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Permits { all, each, taken: Mutex::default() })
    }

    /// A permit, or `None` when there is none left for this client. Nobody waits.
    pub(crate) fn take(self: &Arc<Self>, client: IpAddr) -> Option<Permit> {
        let mut taken = lock(&self.taken);
        let mine = taken.by.get(&client).copied().unwrap_or(0);
        if taken.all >= self.all || mine >= self.each {
            return None;
        }
        taken.all += 1;
        taken.by.insert(client, mine + 1);
        Some(Permit { permits: self.clone(), client })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = lock(&self.permits.taken);
        taken.all -= 1;
        let left = taken.by.get_mut(&self.client).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            taken.by.remove(&self.client);
        }
    }
}

/// The TCP connections. A new one always finds place: one of its client's own gives way when it has its share already,
/// else, when all are taken, one of the client that has most; of these that which has been silent longest.
pub(crate) struct Connections {
    all: usize,
    each: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// Counts what happens: connections and questions.
    now: u64,
    all: HashMap<u64, Entry>,
}

struct Entry {
    client: IpAddr,
    /// When it asked last.
    heard: u64,
    close: CancellationToken,
}

/// One connection's place, left when it is dropped.
pub(crate) struct Connection {
    table: Arc<Connections>,
    number: u64,
    close: CancellationToken,
}

impl Connections {
    pub(crate) fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Connections { all, each, open: Mutex::default() })
    }

    /// The place of a new connection.
    pub(crate) fn open(self: &Arc<Self>, client: IpAddr) -> Connection {
        let mut open = lock(&self.open);
        if let Some(number) = open.gives_way(client, self.all, self.each) {
            open.close(number);
        }
        let (number, close) = (open.tick(), CancellationToken::new());
        open.all.insert(number, Entry { client, heard: number, close: close.clone() });
        Connection { table: self.clone(), number, close }
    }

    /// Closes the one that has been silent longest: for when the machine has no descriptor left.
    pub(crate) fn close_one(&self) {
        let mut open = lock(&self.open);
        if let Some(number) = open.silent_longest(|_| true) {
            open.close(number);
        }
    }
}

impl Open {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn gives_way(&self, client: IpAddr, all: usize, each: usize) -> Option<u64> {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        self.all.values().for_each(|entry| *counts.entry(entry.client).or_default() += 1);
        if counts.get(&client).is_some_and(|count| *count >= each) {
            return self.silent_longest(|entry| entry.client == client);
        }
        let most = *counts.values().max().filter(|_| self.all.len() >= all)?;
        self.silent_longest(|entry| counts.get(&entry.client) == Some(&most))
    }

    fn silent_longest(&self, among: impl Fn(&Entry) -> bool) -> Option<u64> {
        let candidates = self.all.iter().filter(|(_, entry)| among(entry));
        candidates.min_by_key(|(_, entry)| entry.heard).map(|(number, _)| *number)
    }

    fn close(&mut self, number: u64) {
        if let Some(entry) = self.all.remove(&number) {
            entry.close.cancel();
        }
    }
}

impl Connection {
    /// The client has asked something.
    pub(crate) fn heard(&self) {
        let mut open = lock(&self.table.open);
        let now = open.tick();
        if let Some(entry) = open.all.get_mut(&self.number) {
            entry.heard = now;
        }
    }

    /// Waits until it must give way.
    pub(crate) async fn closed(&self) {
        self.close.cancelled().await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.table.open).all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
    }

    fn closed(connections: &[Connection]) -> Vec<usize> {
        (0..connections.len()).filter(|at| connections[*at].close.is_cancelled()).collect()
    }

    #[test]
    fn a_client_gets_its_share_of_the_permits_and_gives_them_back() {
        let permits = Permits::new(5, 3);
        let first: Vec<Permit> = (0..3).filter_map(|_| permits.take(client(1))).collect();
        assert_eq!((first.len(), permits.take(client(1)).is_none()), (3, true), "its share");
        let second: Vec<Permit> = (0..3).filter_map(|_| permits.take(client(2))).collect();
        assert_eq!(second.len(), 2, "all are taken");
        drop(first);
        assert!(permits.take(client(1)).is_some());
        drop(second);
        let taken = lock(&permits.taken);
        assert_eq!((taken.all, taken.by.len()), (0, 0), "nothing is left of clients that have gone");
    }

    #[test]
    fn a_client_over_its_share_loses_its_own_silent_connection() {
        let table = Connections::new(100, 3);
        let other = table.open(client(2));
        let mut mine: Vec<Connection> = (0..3).map(|_| table.open(client(1))).collect();
        mine[0].heard();
        mine.push(table.open(client(1)));
        assert_eq!(closed(&mine), [1], "the first has asked since");
        assert!(!other.close.is_cancelled());
    }

    #[test]
    fn when_all_are_taken_who_has_most_gives_way() {
        let table = Connections::new(6, 4);
        let quiet = table.open(client(3));
        let many: Vec<_> = (0..4).map(|_| table.open(client(1))).collect();
        let few = [table.open(client(2))];
        let more = [table.open(client(4)), table.open(client(5))];
        assert_eq!((closed(&many), closed(&few), closed(&more)), (vec![0, 1], vec![], vec![]));
        assert!(!quiet.close.is_cancelled(), "it has one, however long it is silent");
        drop(many);
        assert_eq!(lock(&table.open).all.len(), 4);
    }
}
