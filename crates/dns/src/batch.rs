//! Many datagrams at once: what the kernel takes for each call is more than what an answer takes.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage, recvmmsg, sendmmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::limits::QUESTION;

/// Datagrams of one call.
pub(crate) const BATCH: usize = 64;

/// Place for the datagrams of one call.
pub(crate) struct Batch {
    places: Vec<[u8; QUESTION]>,
    /// Who sent the first, the second, … and how long they are.
    received: Vec<(SocketAddr, usize)>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Batch { places: vec![[0; QUESTION]; BATCH], received: Vec::with_capacity(BATCH) }
    }

    /// Waits for datagrams, and takes as many as there are. An error belongs to an earlier answer that nobody took.
    pub(crate) async fn receive(&mut self, udp: &UdpSocket) -> io::Result<()> {
        udp.async_io(Interest::READABLE, || self.take(udp)).await
    }

    fn take(&mut self, udp: &UdpSocket) -> io::Result<()> {
        self.received.clear();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self.places.iter_mut().map(|place| [IoSliceMut::new(place)]).collect();
        let messages = recvmmsg(udp.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        for message in messages {
            // Without an address there is nobody to answer; the place is counted nevertheless.
            let from = message.address.as_ref().and_then(address).unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
            self.received.push((from, message.bytes));
        }
        Ok(())
    }

    /// The datagrams, and whether each is within its client's share: whoever sends more than that, when there are more than
    /// there is place for and others send, too, waits for its turn.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8], bool)> {
        let share = self.share();
        let mut taken: Vec<(IpAddr, usize)> = Vec::new();
        self.received.iter().zip(&self.places).map(move |((from, length), place)| {
            let within = share.is_none_or(|share| {
                match taken.iter_mut().find(|(client, _)| *client == from.ip()) {
                    Some((_, count)) => {
                        *count += 1;
                        *count <= share
                    }
                    None => {
                        taken.push((from.ip(), 1));
                        true
                    }
                }
            });
            (*from, &place[..*length], within)
        })
    }

    /// `None`: there is enough for all.
    fn share(&self) -> Option<usize> {
        let mut clients: Vec<IpAddr> = self.received.iter().map(|(from, _)| from.ip()).collect();
        clients.sort_unstable();
        clients.dedup();
        (self.received.len() >= BATCH && clients.len() > 1).then(|| BATCH / clients.len())
    }
}

/// Sends datagrams. What the socket cannot take at once is lost, as datagrams are.
pub(crate) fn send(udp: &UdpSocket, answers: &[(SocketAddr, Vec<u8>)]) {
    let mut rest = answers;
    while !rest.is_empty() {
        let sent = udp.try_io(Interest::WRITABLE, || {
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(rest.len(), None);
            let slices: Vec<[IoSlice<'_>; 1]> = rest.iter().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
            let addresses: Vec<_> = rest.iter().map(|(to, _)| Some(SockaddrStorage::from(*to))).collect();
            let sent = sendmmsg(udp.as_raw_fd(), &mut headers, slices.iter(), addresses, [], MsgFlags::MSG_DONTWAIT)?;
            Ok(sent.count())
        });
        match sent {
            Ok(count) => rest = &rest[count.max(1).min(rest.len())..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // It belongs to the first of them.
            Err(_) => rest = &rest[1..],
        }
    }
}

fn address(from: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = from.as_sockaddr_in().map(|v4: &SockaddrIn| SocketAddr::V4(SocketAddrV4::from(*v4)));
    v4.or_else(|| from.as_sockaddr_in6().map(|v6: &SockaddrIn6| SocketAddr::V6(SocketAddrV6::from(*v6))))
        .filter(|_| from.family().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_together_is_received_together() {
        let (one, two) = (UdpSocket::bind("127.0.0.1:0").await.expect("a socket"), UdpSocket::bind("127.0.0.2:0").await.expect("a socket"));
        let to = two.local_addr().expect("its address");
        one.writable().await.expect("writable");
        let answers: Vec<_> = (0..10u8).map(|n| (to, vec![n; usize::from(n)])).collect();
        send(&one, &answers);
        let (mut batch, mut all) = (Batch::new(), Vec::new());
        while all.len() < 10 {
            batch.receive(&two).await.expect("datagrams");
            all.extend(batch.datagrams().map(|(from, bytes, within)| (from, bytes.to_vec(), within)));
        }
        let from = one.local_addr().expect("its address");
        assert_eq!(all, (0..10u8).map(|n| (from, vec![n; usize::from(n)], true)).collect::<Vec<_>>());
    }

    #[test]
    fn in_a_full_batch_everybody_has_a_share() {
        let client = |last: u8| SocketAddr::from(([127, 0, 0, last], 9));
        let mut batch = Batch::new();
        let within = |batch: &Batch| batch.datagrams().filter(|(_, _, within)| *within).count();
        batch.received = (0..BATCH).map(|_| (client(1), 1)).collect();
        assert_eq!(within(&batch), BATCH, "nobody else is there");
        batch.received[BATCH - 1].0 = client(2);
        assert_eq!(within(&batch), BATCH / 2 + 1);
        batch.received.pop();
        assert_eq!(within(&batch), BATCH - 1, "there is place for all");
    }
}
