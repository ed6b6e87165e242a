//! Opening a connection, with Go's words for what can go wrong.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;

/// Connects within the time.
pub async fn connect(host: &str, port: u16, limit: Duration) -> Result<TcpStream, String> {
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let what = match tokio::time::timeout(limit, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => match error.kind() {
            ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
            ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
            ErrorKind::ConnectionReset => "connect: connection reset by peer".to_owned(),
            _ => error.to_string(),
        },
        Err(_) => "i/o timeout".to_owned(),
    };
    Err(format!("dial tcp {address}: {what}"))
}
