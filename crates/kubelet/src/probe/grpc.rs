//! `grpc.health.v1.Health/Check` over HTTP/2 without TLS, in as many bytes as it takes.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

/// `HealthCheckResponse.SERVING`.
const SERVING: u8 = 1;
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// Asks for a service's health. The error is upstream's text.
pub async fn health(host: &str, port: u16, service: &str, limit: Duration) -> Result<(), String> {
    match tokio::time::timeout(limit, ask(host, port, service)).await {
        Ok(result) => result,
        Err(_) => Err(format!("timeout: health rpc did not complete within {}s", limit.as_secs())),
    }
}

async fn ask(host: &str, port: u16, service: &str) -> Result<(), String> {
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let stream = super::tcp::connect(host, port, Duration::from_secs(3600)).await;
    let stream = stream.map_err(|e| format!("error: failed to connect service at {address:?}: {e}"))?;
    let failed = |e: &dyn std::fmt::Display| format!("error: health rpc probe failed: {e}");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|e| failed(&e))?;
    let driver = tokio::spawn(connection);
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/1.36")
        .body(Full::new(Bytes::from(message(service))))
        .map_err(|e| failed(&e))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
        let headers = response.headers().clone();
        let body = response.into_body().collect().await.map_err(|e| failed(&e))?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        rpc_status(&headers, &trailers)?;
        verdict(&body.to_bytes())
    };
    let answer = answer.await;
    driver.abort();
    answer
}

/// The request's frame: no compression, length, field 1 (the service's name).
fn message(service: &str) -> Vec<u8> {
    let mut body = Vec::new();
    if !service.is_empty() {
        body.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            body.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        body.push(length as u8);
        body.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
    frame.extend(body);
    frame
}

fn rpc_status(headers: &HeaderMap, trailers: &HeaderMap) -> Result<(), String> {
    let get = |name: &str| {
        let value = trailers.get(name).or_else(|| headers.get(name));
        value.and_then(|v| v.to_str().ok()).unwrap_or("")
    };
    match get("grpc-status") {
        "" | "0" => Ok(()),
        "12" => Err(format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
            get("grpc-message")
        )),
        code => Err(format!("error: health rpc probe failed: rpc error: code = {code} desc = {}", get("grpc-message"))),
    }
}

/// The response's frame: field 1 is the status; absent, it is 0.
fn verdict(frame: &[u8]) -> Result<(), String> {
    let status = match frame.get(5..) {
        Some([0x08, status, ..]) => *status,
        _ => 0,
    };
    if status == SERVING {
        return Ok(());
    }
    let name = STATUSES.get(usize::from(status)).unwrap_or(&"UNKNOWN");
    Err(format!("service unhealthy (responded with {name:?})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        assert_eq!(message(""), [0, 0, 0, 0, 0]);
        assert_eq!(message("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(verdict(&[0, 0, 0, 0, 2, 8, 1]), Ok(()));
        assert_eq!(verdict(&[0, 0, 0, 0, 2, 8, 2]), Err("service unhealthy (responded with \"NOT_SERVING\")".to_owned()));
    }
}
