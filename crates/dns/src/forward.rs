//! Questions about the rest of the world go to the machine's name servers.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one name server may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The largest answer over UDP.
const DATAGRAM: usize = 4096;

/// Asks the machine's name servers in turn, with the question as it came. `None` when none of them answers.
pub(crate) async fn ask(resolv_conf: &Path, question: &[u8], tcp: bool, ourselves: IpAddr) -> Option<Vec<u8>> {
    let text = tokio::fs::read_to_string(resolv_conf).await.ok()?;
    for server in servers(&text, ourselves) {
        let asked = async {
            if tcp { over_tcp(server, question).await } else { over_udp(server, question).await }
        };
        if let Ok(Ok(answer)) = timeout(PATIENCE, asked).await {
            return Some(answer);
        }
    }
    None
}

/// Name servers in a resolver configuration, without ourselves: a question must not go in a circle.
fn servers(text: &str, ourselves: IpAddr) -> Vec<SocketAddr> {
    let addresses = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok());
    addresses.filter(|a: &IpAddr| *a != ourselves).take(3).map(|a| SocketAddr::new(a, 53)).collect()
}

async fn over_udp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; DATAGRAM];
    loop {
        let length = socket.recv(&mut answer).await?;
        // An answer to another question is not ours.
        if length >= 2 && answer[..2] == question[..2] {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_without_ourselves() {
        let text = "# comment\nsearch x\nnameserver 10.0.0.2\nnameserver 10.244.0.1\nnameserver  ::1\n";
        let found = servers(text, IpAddr::V4([10, 244, 0, 1].into()));
        assert_eq!(found, ["10.0.0.2:53".parse().expect("v4"), "[::1]:53".parse().expect("v6")]);
    }
}
