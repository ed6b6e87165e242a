//! Questions that came by UDP and wait for their answer: each client in turn, so that who asks much waits for itself.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// One datagram, and whose it is.
pub(crate) type Datagram = (SocketAddr, Vec<u8>);

/// A bounded queue with one reader. A client may have as many in it as places are free: one alone gets half of them, and
/// however many clients ask too much, there is place for the next one. What has no place is lost, as datagrams are.
pub(crate) struct Queue {
    all: usize,
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    count: usize,
    by: HashMap<IpAddr, VecDeque<Datagram>>,
    /// Who has something in the queue, each once.
    turns: VecDeque<IpAddr>,
}

impl Queue {
    pub(crate) fn new(all: usize) -> Self {
        Queue { all, waiting: Mutex::default(), filled: Notify::new() }
    }

    /// Puts a datagram in, if it has a place.
    pub(crate) fn push(&self, client: SocketAddr, datagram: &[u8]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = waiting.by.get(&client.ip()).map_or(0, VecDeque::len);
        if mine >= self.all - waiting.count {
            return;
        }
        if mine == 0 {
            waiting.turns.push_back(client.ip());
        }
        waiting.count += 1;
        waiting.by.entry(client.ip()).or_default().push_back((client, datagram.to_vec()));
        self.filled.notify_one();
    }

    /// The next client's oldest datagram; waits for one.
    pub(crate) async fn pop(&self) -> Datagram {
        loop {
            if let Some(next) = self.try_pop() {
                return next;
            }
            // One that was put in since then is remembered.
            self.filled.notified().await;
        }
    }

    fn try_pop(&self) -> Option<Datagram> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let client = waiting.turns.pop_front()?;
        let mine = waiting.by.get_mut(&client)?;
        let next = mine.pop_front();
        if mine.is_empty() {
            waiting.by.remove(&client);
        } else {
            waiting.turns.push_back(client);
        }
        waiting.count -= usize::from(next.is_some());
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> SocketAddr {
        ([127, 0, 0, last], 53).into()
    }

    fn order(queue: &Queue) -> Vec<(u8, u8)> {
        let last = |client: SocketAddr| match client.ip() {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(_) => 0,
        };
        std::iter::from_fn(|| queue.try_pop()).map(|(client, bytes)| (last(client), bytes[0])).collect()
    }

    #[test]
    fn clients_take_turns_and_a_flood_drowns_itself() {
        let queue = Queue::new(8);
        (0..50).for_each(|n| queue.push(client(1), &[n]));
        (0..50).for_each(|n| queue.push(client(2), &[n]));
        queue.push(client(3), &[0]);
        assert_eq!(order(&queue), [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (1, 2), (1, 3)]);
        queue.push(client(1), &[9]);
        assert_eq!(order(&queue), [(1, 9)], "its place is free again");
    }

    #[test]
    fn the_whole_is_bounded_and_nothing_is_kept_of_who_has_gone() {
        let queue = Queue::new(5);
        (1..=9).for_each(|n| queue.push(client(n), &[n]));
        assert_eq!(order(&queue).len(), 5);
        let waiting = queue.waiting.lock().expect("no panic");
        assert_eq!((waiting.count, waiting.by.len(), waiting.turns.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let queue = std::sync::Arc::new(Queue::new(5));
        let (reader, (waits, waited)) = (queue.clone(), tokio::sync::oneshot::channel());
        let read = tokio::spawn(async move {
            let _ = waits.send(());
            (reader.pop().await.1, reader.pop().await.1)
        });
        waited.await.expect("it has started");
        queue.push(client(1), b"a");
        queue.push(client(1), b"b");
        assert_eq!(read.await.expect("it reads"), (b"a".to_vec(), b"b".to_vec()));
    }
}
