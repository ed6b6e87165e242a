//! Port forwarding over WebSocket: two channels per port, data and error
//! (upstream: `kubelet/pkg/cri/streaming/portforward/websocket.go`).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use transport::Body;

use super::route::PodName;
use super::text;
use super::websocket::{Channels, Output, receive, upgrade};
use crate::agent::Agent;
use crate::spec;

const PROTOCOLS: [&str; 1] = ["v4.channel.k8s.io"];
const CHUNK: usize = 32 * 1024;

/// Switches protocols and forwards.
pub async fn answer(agent: Arc<Agent>, name: PodName, ports: Vec<u16>, request: Request<Incoming>) -> Response<Body> {
    if ports.is_empty() || ports.contains(&0) {
        return text(StatusCode::BAD_REQUEST, "query parameter \"port\" is required");
    }
    let Some(pod) = agent.pods.find(&name.namespace, &name.name) else {
        return text(StatusCode::NOT_FOUND, "pod does not exist");
    };
    let sandbox = match agent.runtime.pod(spec::uid(&pod)).await {
        Ok(Some(sandbox)) if sandbox.ready => sandbox,
        Ok(_) => return text(StatusCode::NOT_FOUND, "pod not found"),
        Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    upgrade(request, &PROTOCOLS, move |channels| forward(channels, ports, sandbox.netns))
}

async fn forward(channels: Channels, ports: Vec<u16>, netns: Option<PathBuf>) {
    let Channels { mut input, output, protocol: _ } = channels;
    // Each channel begins with its port.
    for (i, port) in (0_u8..).step_by(2).zip(&ports) {
        output.send(i, &port.to_le_bytes()).await;
        output.send(i + 1, &port.to_le_bytes()).await;
    }
    let mut writers: HashMap<u8, OwnedWriteHalf> = HashMap::new();
    let mut readers = tokio::task::JoinSet::new();
    for (channel, port) in (0_u8..).step_by(2).zip(&ports) {
        match connect(netns.clone(), *port).await {
            Ok(stream) => {
                let (read, write) = stream.into_split();
                writers.insert(channel, write);
                readers.spawn(copy(read, channel, output.clone()));
            }
            Err(error) => {
                let message = format!("error forwarding port {port} to pod: {error}");
                output.send(channel + 1, message.as_bytes()).await;
            }
        }
    }
    loop {
        tokio::select! {
            message = receive(&mut input) => {
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

async fn copy(mut from: tokio::net::tcp::OwnedReadHalf, channel: u8, output: Output) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(n) = from.read(&mut buffer).await {
        if n == 0 || !output.send(channel, &buffer[..n]).await {
            return;
        }
    }
}

/// Connects to the port on the pod's own loopback. A thread of its own enters the network namespace
/// and ends there: no thread that runs anything else ever changes namespaces.
async fn connect(netns: Option<PathBuf>, port: u16) -> Result<TcpStream, String> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let work = move || {
        let connected = enter(netns).and_then(|()| {
            let stream = std::net::TcpStream::connect(("127.0.0.1", port));
            stream.or_else(|_| std::net::TcpStream::connect(("::1", port)))
        });
        let _ = sender.send(connected);
    };
    std::thread::Builder::new().name("port-forward".to_owned()).spawn(work).map_err(|e| e.to_string())?;
    let stream = receiver.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
    stream.set_nonblocking(true).map_err(|e| e.to_string())?;
    TcpStream::from_std(stream).map_err(|e| e.to_string())
}

fn enter(netns: Option<PathBuf>) -> std::io::Result<()> {
    let Some(path) = netns else { return Ok(()) };
    let file = std::fs::File::open(path)?;
    Ok(nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET)?)
}
