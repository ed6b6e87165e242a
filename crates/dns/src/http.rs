//! Probes and metrics over HTTP, for those who watch the server: one short answer on each connection.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::limits::{HEAD, WATCHERS};
use crate::metrics::Metrics;

/// How long a client may take for its request, and for taking the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long nobody is accepted after the machine refused a connection.
const BREATH: Duration = Duration::from_millis(100);

/// What a port tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tell {
    /// `/health`: the server runs.
    Health,
    /// `/ready`: it knows the cluster.
    Ready,
    /// `/metrics`.
    Metrics,
}

/// What one port tells, which may change.
#[derive(Clone)]
pub(crate) struct Board {
    tells: Arc<Mutex<Vec<Tell>>>,
    synced: Arc<dyn Fn() -> bool + Send + Sync>,
    metrics: Arc<Metrics>,
}

impl Board {
    pub(crate) fn new(tells: Vec<Tell>, synced: Arc<dyn Fn() -> bool + Send + Sync>, metrics: Arc<Metrics>) -> Self {
        Board { tells: Arc::new(Mutex::new(tells)), synced, metrics }
    }

    pub(crate) fn set(&self, tells: Vec<Tell>) {
        *self.tells.lock().unwrap_or_else(PoisonError::into_inner) = tells;
    }

    fn page(&self, path: &str) -> (&'static str, String) {
        let tells = self.tells.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match path {
            "/health" if tells.contains(&Tell::Health) => ("200 OK", "OK".to_owned()),
            "/ready" if tells.contains(&Tell::Ready) && (self.synced)() => ("200 OK", "OK".to_owned()),
            "/ready" if tells.contains(&Tell::Ready) => ("503 Service Unavailable", "kubernetes".to_owned()),
            "/metrics" if tells.contains(&Tell::Metrics) => ("200 OK", self.metrics.text()),
            _ => ("404 Not Found", "404 page not found\n".to_owned()),
        }
    }

    /// Serves for ever.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                Some(_) = open.join_next() => continue,
                accepted = listener.accept(), if open.len() < WATCHERS => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let board = self.clone();
                    open.spawn(async move { timeout(PATIENCE, board.answer(stream)).await });
                }
                Err(_) => sleep(BREATH).await,
            }
        }
    }

    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let (mut head, mut length) = ([0; HEAD], 0);
        while !head[..length].windows(4).any(|end| end == b"\r\n\r\n") {
            let read = stream.read(&mut head[length..]).await?;
            if read == 0 {
                return Ok(());
            }
            length += read;
        }
        let text = String::from_utf8_lossy(&head[..length]);
        let mut words = text.split_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let (status, body) = match method {
            "GET" | "HEAD" => self.page(path.split('?').next().unwrap_or(path)),
            _ => ("405 Method Not Allowed", String::new()),
        };
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let body = if method == "HEAD" { "" } else { &body };
        stream.write_all((head + body).as_bytes()).await?;
        stream.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(board: &Board, request: &str) -> String {
        let (mut client, server) = tokio::io::duplex(64 << 10);
        client.write_all(request.as_bytes()).await.expect("write");
        let _ = board.answer(server).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    #[tokio::test]
    async fn a_port_tells_what_it_is_to_tell() {
        let ready = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let synced = ready.clone();
        let synced = Arc::new(move || synced.load(std::sync::atomic::Ordering::Relaxed));
        let board = Board::new(vec![Tell::Health, Tell::Ready], synced, Arc::default());
        let of = async |path: &str| get(&board, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let health = of("/health").await;
        assert!(health.starts_with("HTTP/1.1 200 OK\r\n") && health.ends_with("\r\n\r\nOK"), "{health}");
        assert!(of("/ready").await.starts_with("HTTP/1.1 503 "));
        ready.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(of("/ready").await.starts_with("HTTP/1.1 200 "));
        assert!(of("/metrics").await.starts_with("HTTP/1.1 404 "));
        board.set(vec![Tell::Metrics]);
        assert!(of("/metrics").await.contains("# TYPE coredns_dns_requests_total counter"));
        assert!(of("/health").await.starts_with("HTTP/1.1 404 "));
        assert!(get(&board, "POST / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
        assert_eq!(get(&board, &"x".repeat(HEAD + 1)).await, "", "no request");
    }
}
