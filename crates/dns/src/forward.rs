//! Questions about the rest of the world go to the machine's name servers.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::limits::{PATIENCE, SERVERS};

/// As much of the resolver configuration is read.
const CONFIGURATION: u64 = 64 << 10;

/// The machine's name servers.
pub(crate) struct Upstream {
    resolv_conf: PathBuf,
    /// A question must not go in a circle.
    ourselves: IpAddr,
    port: u16,
}

impl Upstream {
    /// Those that the file names whenever something is asked, but for ourselves.
    pub(crate) fn new(resolv_conf: PathBuf, ourselves: IpAddr) -> Self {
        Upstream { resolv_conf, ourselves, port: 53 }
    }

    /// The same at another port.
    #[cfg(test)]
    pub(crate) fn at_port(self, port: u16) -> Self {
        Upstream { port, ..self }
    }

    /// Asks them in turn, with the question as it came. `None` when none of them answers.
    pub(crate) async fn ask(&self, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
        // A few lines of a local file: handing that to another thread takes longer than doing it.
        let mut text = String::new();
        File::open(&self.resolv_conf).ok()?.take(CONFIGURATION).read_to_string(&mut text).ok()?;
        for address in servers(&text, self.ourselves) {
            let server = SocketAddr::new(address, self.port);
            let asked = async {
                if tcp { over_tcp(server, question).await } else { over_udp(server, question).await }
            };
            if let Ok(Ok(answer)) = timeout(PATIENCE, asked).await {
                return Some(answer);
            }
        }
        None
    }
}

/// Name servers in a resolver configuration, without ourselves.
fn servers(text: &str, ourselves: IpAddr) -> Vec<IpAddr> {
    let addresses = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok());
    addresses.filter(|a: &IpAddr| *a != ourselves).take(SERVERS).collect()
}

async fn over_udp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; usize::from(u16::MAX)];
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
        assert_eq!(found, ["10.0.0.2".parse::<IpAddr>().expect("v4"), "::1".parse().expect("v6")]);
    }
}
