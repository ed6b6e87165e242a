//! exec and attach: a program's streams over channels.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response, StatusCode};
use runtime::{ExecConfig, Streams};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use transport::Body;

use super::channels::{CLOSE, Channels, ERROR, Input, Output, RESIZE, STDERR, STDIN, STDOUT};
use super::route::{PodName, StreamOptions};
use super::{spdy, text, websocket};
use crate::agent::Agent;
use crate::pod::observed::is_running;
use crate::spec;

const CHUNK: usize = 32 * 1024;
const OVER_WEBSOCKET: [&str; 3] = ["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"];
const OVER_SPDY: [&str; 3] = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io"];

/// Starts the program, or attaches, and answers with the switch of protocols.
pub async fn answer(
    agent: Arc<Agent>, pod: PodName, container: String, options: StreamOptions, exec: bool, request: Request<Body>,
) -> Response<Body> {
    if !(options.stdin || options.stdout || options.stderr) {
        return text(StatusCode::BAD_REQUEST, "you must specify at least 1 of stdin, stdout, stderr");
    }
    let id = match running(&agent, &pod, &container).await {
        Ok(id) => id,
        Err((code, message)) => return text(code, &message),
    };
    let program = Program { agent, id, options, exec };
    if spdy::upgrade::wanted(request.headers()) {
        return spdy::upgrade::upgrade(request, &OVER_SPDY, move |connection, protocol| async move {
            let streams = program.streams(protocol != "v2.channel.k8s.io");
            let status = protocol == "v4.channel.k8s.io";
            let session = |input, output| program.run(Channels { input, output, status });
            spdy::channels::with_channels(connection, &streams, session).await;
        });
    }
    websocket::upgrade(request, &OVER_WEBSOCKET, move |socket, protocol| async move {
        let status = protocol.starts_with('v');
        let session = |input, output| program.run(Channels { input, output, status });
        websocket::with_channels(socket, session).await;
    })
}

/// What is to run or to be attached to.
struct Program {
    agent: Arc<Agent>,
    id: String,
    options: StreamOptions,
    exec: bool,
}

impl Program {
    /// The channels that the client opens.
    fn streams(&self, sizes: bool) -> Vec<u8> {
        let o = &self.options;
        let all =
            [(ERROR, true), (STDIN, o.stdin), (STDOUT, o.stdout), (STDERR, o.stderr), (RESIZE, o.tty && sizes)];
        all.into_iter().filter(|(_, open)| *open).map(|(channel, _)| channel).collect()
    }

    async fn run(self, channels: Channels) {
        let Program { agent, id, options, exec } = self;
        let config = ExecConfig { command: options.command.clone(), tty: options.tty, stdin: options.stdin };
        let started = if exec { agent.runtime.exec(&id, &config).await } else { agent.runtime.attach(&id).await };
        let output = channels.output.clone();
        let as_status = channels.status;
        let status = match started {
            Ok(streams) => match session(channels, streams, &options).await {
                // Attaching has worked however the program ends.
                Ok(0) => success(),
                Ok(_) if !exec => success(),
                Ok(code) => non_zero(code),
                Err(error) => failure(&error),
            },
            Err(error) => failure(&error.to_string()),
        };
        if as_status {
            output.send(ERROR, status.to_string()).await;
        } else if status["status"] != "Success" {
            output.send(ERROR, status["message"].as_str().unwrap_or_default().to_owned()).await;
        }
    }
}

/// The id of a running container.
pub async fn running(agent: &Agent, name: &PodName, container: &str) -> Result<String, (StatusCode, String)> {
    let missing = |text: &str| (StatusCode::NOT_FOUND, text.to_owned());
    let pod = agent.pods.find(&name.namespace, &name.name).ok_or_else(|| missing("pod does not exist"))?;
    if name.uid.as_deref().is_some_and(|uid| uid != spec::uid(&pod)) {
        return Err(missing("pod does not exist"));
    }
    let failed = |error: runtime::Error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let seen = agent.runtime.pod(spec::uid(&pod)).await.map_err(failed)?;
    let containers = seen.iter().flat_map(|p| &p.containers);
    let found = containers.filter(|c| c.name == container && is_running(c)).max_by_key(|c| c.attempt);
    found.map(|c| c.id.clone()).ok_or_else(|| {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("unable to upgrade connection: container not found ({container:?})"))
    })
}

/// Carries the streams until the program has ended, or until who is attached leaves; the exit code.
async fn session(channels: Channels, streams: Streams, options: &StreamOptions) -> Result<i32, String> {
    let Channels { input, output, status: _ } = channels;
    let Streams { stdin, stdout, stderr, resize, leaves_with_input, exit } = streams;
    // Tells the client that everything is in place.
    let first = if options.stdout { STDOUT } else if options.stderr { STDERR } else { ERROR };
    output.send(first, Bytes::new()).await;
    let stdin = stdin.filter(|_| options.stdin);
    let leaves = leaves_with_input && stdin.is_some();
    let (open, input_ended) = oneshot::channel();
    let reader = tokio::spawn(take_input(input, stdin.map(|stdin| (stdin, open)), resize));
    let out = copy(stdout.filter(|_| options.stdout), STDOUT, output.clone());
    let err = copy(stderr.filter(|_| options.stderr), STDERR, output);
    let to_the_end = async { tokio::join!(out, err, exit).2 };
    let exit = tokio::select! {
        exit = to_the_end => exit,
        _ = input_ended, if leaves => Ok(Ok(0)),
    };
    reader.abort();
    match exit {
        Ok(exit) => exit.map_err(|error| error.to_string()),
        Err(_) => Err("the container runtime has lost the program".to_owned()),
    }
}

fn success() -> Value {
    json!({"metadata": {}, "status": "Success"})
}

/// Status of a program that ended with an exit code.
fn non_zero(code: i32) -> Value {
    json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]}})
}

/// Status of a program that could not run.
fn failure(error: &str) -> Value {
    json!({"metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": format!("Internal error occurred: {error}"), "details": {"causes": [{"message": error}]}})
}

async fn copy(from: Option<Box<dyn AsyncRead + Send + Unpin>>, channel: u8, output: Output) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if !output.send(channel, Bytes::copy_from_slice(&buffer[..n])).await {
                    return;
                }
            }
        }
    }
}

/// Passes standard input and terminal sizes on, until the client closes. What stands beside the input is dropped with it.
async fn take_input(
    mut input: Input,
    mut stdin: Option<(Box<dyn AsyncWrite + Send + Unpin>, oneshot::Sender<()>)>,
    resize: mpsc::Sender<(u16, u16)>,
) {
    while let Some((channel, data)) = input.next().await {
        match channel {
            STDIN => {
                if let Some((open, _)) = stdin.as_mut()
                    && (open.write_all(&data).await.is_err() || open.flush().await.is_err())
                {
                    stdin = None;
                }
            }
            CLOSE if data.first() == Some(&STDIN) => {
                if let Some((mut open, _ended)) = stdin.take() {
                    let _ = open.shutdown().await;
                }
            }
            RESIZE => {
                if let Some(size) = size(&data) {
                    let _ = resize.send(size).await;
                }
            }
            _ => {}
        }
    }
}

/// `{"Width":80,"Height":24}`
fn size(data: &[u8]) -> Option<(u16, u16)> {
    let value: Value = serde_json::from_slice(data).ok()?;
    let number = |key: &str| value[key].as_u64().and_then(|n| u16::try_from(n).ok());
    Some((number("Width")?, number("Height")?))
}
