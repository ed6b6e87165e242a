//! Port forwarding over a WebSocket's channels: two for each port of a fixed list, data and error, one connection
//! each (upstream: `cri-streaming/pkg/streaming/portforward/websocket.go`).

use std::collections::HashMap;

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use transport::Body;

use super::channels::{Input, Output};
use super::port_forward::{Target, connect};
use super::{text, websocket};

const PROTOCOLS: [&str; 1] = ["v4.channel.k8s.io"];
const CHUNK: usize = 32 * 1024;
/// Each takes two of 256 channels.
const MOST_PORTS: usize = 127;

/// Switches protocols and forwards.
pub fn answer(target: Target, ports: Vec<u16>, request: Request<Body>) -> Response<Body> {
    if ports.is_empty() || ports.contains(&0) || ports.len() > MOST_PORTS {
        return text(StatusCode::BAD_REQUEST, "query parameter \"port\" is required");
    }
    websocket::upgrade(request, &PROTOCOLS, move |socket, _| async move {
        websocket::with_channels(socket, |input, output| forward(input, output, ports, target)).await;
    })
}

async fn forward(mut input: Input, output: Output, ports: Vec<u16>, target: Target) {
    // Each channel begins with its port.
    for (i, port) in (0_u8..).step_by(2).zip(&ports) {
        let number = Bytes::copy_from_slice(&port.to_le_bytes());
        output.send(i, number.clone()).await;
        output.send(i + 1, number).await;
    }
    let mut writers: HashMap<u8, OwnedWriteHalf> = HashMap::new();
    let mut readers = tokio::task::JoinSet::new();
    for (channel, port) in (0_u8..).step_by(2).zip(&ports) {
        match connect(target.netns.clone(), *port).await {
            Ok(stream) => {
                let (read, write) = stream.into_split();
                writers.insert(channel, write);
                readers.spawn(copy(read, channel, output.clone()));
            }
            Err(error) => {
                let message = format!("error forwarding port {port} to pod {}: {error}", target.title);
                output.send(channel + 1, message).await;
            }
        }
    }
    loop {
        tokio::select! {
            message = input.next() => {
                let Some((channel, data)) = message else { return };
                if let Some(writer) = writers.get_mut(&channel)
                    && writer.write_all(&data).await.is_err()
                {
                    writers.remove(&channel);
                }
            }
            ended = readers.join_next() => {
                if ended.is_none() || readers.is_empty() {
                    return;
                }
            }
        }
    }
}

async fn copy(mut from: OwnedReadHalf, channel: u8, output: Output) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(n) = from.read(&mut buffer).await {
        if n == 0 || !output.send(channel, Bytes::copy_from_slice(&buffer[..n])).await {
            return;
        }
    }
}
