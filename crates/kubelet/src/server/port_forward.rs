//! Port forwarding: any number of connections over SPDY, plain or in a WebSocket, or a fixed list of ports over a
//! WebSocket's channels (upstream: `cri-streaming/pkg/streaming/portforward`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use transport::Body;

use super::route::PodName;
use super::spdy::{self, Connection, Stream};
use super::{port_channels, text, websocket};
use crate::agent::Agent;
use crate::spec;

const PROTOCOL: [&str; 1] = ["portforward.k8s.io"];
const TUNNELLED: [&str; 1] = ["SPDY/3.1+portforward.k8s.io"];
const CHUNK: usize = 32 * 1024;

/// The pod whose ports are meant.
#[derive(Clone)]
pub struct Target {
    /// Name and namespace, for messages.
    pub title: String,
    /// Its network; the node's own without one.
    pub netns: Option<PathBuf>,
}

/// Switches protocols and forwards.
pub async fn answer(agent: Arc<Agent>, name: PodName, ports: Vec<u16>, request: Request<Body>) -> Response<Body> {
    let Some(pod) = agent.pods.find(&name.namespace, &name.name) else {
        return text(StatusCode::NOT_FOUND, "pod does not exist");
    };
    let sandbox = match agent.runtime.pod(spec::uid(&pod)).await {
        Ok(Some(sandbox)) if sandbox.ready => sandbox,
        Ok(_) => return text(StatusCode::NOT_FOUND, "pod not found"),
        Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    let title = format!("{}, uid {}", spec::name(&pod), spec::uid(&pod));
    let target = Target { title, netns: sandbox.netns };
    if spdy::upgrade::wanted(request.headers()) {
        return spdy::upgrade::upgrade(request, &PROTOCOL, move |connection, _| forward(connection, target));
    }
    if websocket::has(request.headers(), &header::SEC_WEBSOCKET_PROTOCOL, "spdy/3.1+") {
        return websocket::upgrade(request, &TUNNELLED, move |socket, _| async move {
            match spdy::serve(websocket::tunnel(socket)) {
                Ok(connection) => forward(connection, target).await,
                Err(error) => tracing::debug!(%error, "SPDY not begun"),
            }
        });
    }
    port_channels::answer(target, ports, request)
}

/// The two streams of one forwarded connection.
#[derive(Default)]
struct Pair {
    data: Option<Stream>,
    error: Option<Stream>,
}

async fn forward(mut connection: Connection, target: Target) {
    // Pairs that lack a stream: as many as there are streams open, which the connection bounds.
    let mut open: BTreeMap<String, Pair> = BTreeMap::new();
    let mut running = JoinSet::new();
    while let Some(stream) = connection.streams.recv().await {
        while running.try_join_next().is_some() {}
        open.retain(|_, pair| pair.data.iter().chain(&pair.error).all(|s| !s.reset.is_cancelled()));
        let Some((id, is_data)) = place(&stream) else {
            stream.output.reset().await;
            continue;
        };
        let pair = open.entry(id.clone()).or_default();
        let side = if is_data { &mut pair.data } else { &mut pair.error };
        *side = Some(stream);
        if pair.data.is_some()
            && pair.error.is_some()
            && let Some(Pair { data: Some(data), error: Some(error) }) = open.remove(&id)
        {
            running.spawn(one(data, error, target.clone()));
        }
    }
    // The client is gone, and with it whoever used the connections.
    running.shutdown().await;
}

/// Which pair a stream belongs to, and whether it is the one with the data. Old clients number nothing, but open
/// the two right after another.
fn place(stream: &Stream) -> Option<(String, bool)> {
    port(stream)?;
    let is_data = match stream.headers.get("streamtype")?.as_str() {
        "data" => true,
        "error" => false,
        _ => return None,
    };
    let given = stream.headers.get("requestid").filter(|id| !id.is_empty());
    let counted = || stream.id.wrapping_sub(if is_data { 2 } else { 0 }).to_string();
    Some((given.cloned().unwrap_or_else(counted), is_data))
}

fn port(stream: &Stream) -> Option<u16> {
    stream.headers.get("port")?.parse().ok().filter(|port| *port > 0)
}

/// One connection, to its end.
async fn one(data: Stream, error: Stream, target: Target) {
    let port = port(&data).unwrap_or_default();
    match connect(target.netns, port).await {
        Ok(socket) => {
            let reset = data.reset.clone();
            reset.run_until_cancelled(carry(socket, data)).await;
        }
        Err(why) => {
            let text = format!("error forwarding port {port} to pod {}: {why}", target.title);
            error.output.send(Bytes::from(text)).await;
            data.output.end().await;
        }
    }
    error.output.end().await;
}

async fn carry(socket: TcpStream, data: Stream) {
    let Stream { mut input, output, .. } = data;
    let (mut read, mut write) = socket.into_split();
    let up = async {
        while let Some(bytes) = input.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = write.shutdown().await;
    };
    let down = async {
        let mut buffer = vec![0; CHUNK];
        while let Ok(n @ 1..) = read.read(&mut buffer).await {
            if !output.send(Bytes::copy_from_slice(&buffer[..n])).await {
                return;
            }
        }
        output.end().await;
    };
    tokio::pin!(up, down);
    // What the pod has to say decides; what it does not read is lost with it.
    tokio::select! {
        () = &mut down => {}
        () = &mut up => down.await,
    }
}

/// Connects to the port on the pod's own loopback. A thread of its own enters the network namespace
/// and ends there: no thread that runs anything else ever changes namespaces.
pub async fn connect(netns: Option<PathBuf>, port: u16) -> Result<TcpStream, String> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let work = move || {
        let connected = enter(netns).map_err(|e| e.to_string()).and_then(|()| loopback(port));
        let _ = sender.send(connected);
    };
    std::thread::Builder::new().name("port-forward".to_owned()).spawn(work).map_err(|e| e.to_string())?;
    let stream = receiver.await.map_err(|e| e.to_string())??;
    stream.set_nonblocking(true).map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    TcpStream::from_std(stream).map_err(|e| e.to_string())
}

/// Either loopback address will do. The error has the words of containerd's.
fn loopback(port: u16) -> Result<std::net::TcpStream, String> {
    let dial = |network: &str, host: &str, address: &str| {
        let failed = |e: std::io::Error| {
            let why = if e.kind() == std::io::ErrorKind::ConnectionRefused { "connection refused" } else { &e.to_string() };
            format!("dial {network} {host}:{port}: connect: {why}")
        };
        std::net::TcpStream::connect((address, port)).map_err(failed)
    };
    dial("tcp4", "127.0.0.1", "127.0.0.1").or_else(|four| {
        dial("tcp6", "[::1]", "::1").map_err(|six| {
            format!("failed to connect to localhost:{port} inside the pod's network, IPv4: {four} IPv6 {six} ")
        })
    })
}

fn enter(netns: Option<PathBuf>) -> std::io::Result<()> {
    let Some(path) = netns else { return Ok(()) };
    let file = std::fs::File::open(path)?;
    Ok(nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET)?)
}
