//! Programs in running containers, and attaching to the first one.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::oneshot;

use super::connection::{Connection, raw};
use super::terminal::{Stream, no_terminal};
use super::{Inner, system};
use crate::shim::wire::{Reply, Request};
use crate::{Error, ExecConfig, Output, Result, Streams};

/// How long output is waited for after the program has ended: a daemon that it left behind may hold the pipe open.
const DRAIN: Duration = Duration::from_secs(2);

type Input = Box<dyn AsyncWrite + Send + Unpin>;
type Source = Box<dyn AsyncRead + Send + Unpin>;

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::System(format!("make a pipe: {e}")))
}

fn stream(fd: OwnedFd) -> Result<Stream> {
    Stream::new(fd).map_err(system("open a stream"))
}

impl Inner {
    fn shim_of(&self, id: &str) -> Result<Connection> {
        let container = self.container(id)?;
        if container.ended() {
            return Err(Error::NotFound(format!("container {id} is not running")));
        }
        Connection::open(&self.config.shim(&container.pod_uid))
    }

    pub(super) async fn exec(&self, id: &str, config: &ExecConfig) -> Result<Streams> {
        let shim = self.shim_of(id)?;
        let request = Request::Exec { id: id.to_owned(), command: config.command.clone(), tty: config.tty };
        if config.tty {
            let (_, fds) = shim.call(&request, &[]).await?;
            let terminal = fds.into_iter().next().ok_or_else(|| Error::System("exec: no terminal".into()))?;
            return Ok(on_terminal(stream(terminal)?, config.stdin, exit_of(shim)));
        }
        let (their_in, our_in) = pipe()?;
        let (our_out, their_out) = pipe()?;
        let (our_err, their_err) = pipe()?;
        let theirs = [their_in, their_out, their_err];
        shim.call(&request, &raw(&theirs)).await?;
        drop(theirs);
        // Without a standard input the program sees its end at once.
        let stdin = if config.stdin { Some(Box::new(stream(our_in)?) as Input) } else { None };
        let (stdout, stderr) = (Box::new(stream(our_out)?) as Source, Box::new(stream(our_err)?) as Source);
        let (stdout, stderr) = (Some(stdout), Some(stderr));
        let (resize, exit) = (no_terminal(), exit_of(shim));
        Ok(Streams { stdin, stdout, stderr, resize, leaves_with_input: false, exit })
    }

    pub(super) async fn exec_sync(&self, id: &str, command: &[String], timeout: Duration) -> Result<Output> {
        let config = ExecConfig { command: command.to_vec(), ..ExecConfig::default() };
        let streams = self.exec(id, &config).await?;
        let finished = run_to_end(streams);
        // Giving up drops the connection, and with it the shim kills the program.
        if timeout.is_zero() {
            return finished.await;
        }
        match tokio::time::timeout(timeout, finished).await {
            Ok(output) => output,
            Err(_) => Err(Error::Timeout(format!("command {command:?} timed out after {timeout:?}"))),
        }
    }

    pub(super) async fn attach(self: &Arc<Self>, id: &str) -> Result<Streams> {
        let container = self.container(id)?;
        let shim = self.shim_of(id)?;
        let (our_out, their_out) = pipe()?;
        let (our_err, their_err) = pipe()?;
        let theirs = if container.config.tty { vec![their_out] } else { vec![their_out, their_err] };
        let (_, fds) = shim.call(&Request::Attach { id: id.to_owned() }, &raw(&theirs)).await?;
        drop((theirs, shim));
        let input = fds.into_iter().next().map(stream).transpose()?;
        let resize = match &input {
            Some(terminal) if container.config.tty => terminal.resizer(),
            _ => no_terminal(),
        };
        let (sender, exit) = oneshot::channel();
        let inner = self.clone();
        let name = id.to_owned();
        tokio::spawn(async move {
            let mut sender = sender;
            tokio::select! {
                code = inner.wait_ended(&name) => drop(sender.send(Ok(code))),
                () = sender.closed() => {}
            }
        });
        let once = container.config.stdin_once && !container.config.tty;
        let stdin = input
            .filter(|_| container.config.stdin)
            .map(|input| if once { Box::new(self.once(id, input)) as Input } else { Box::new(input) as Input });
        let stdout = Some(Box::new(stream(our_out)?) as Source);
        let stderr = if container.config.tty { None } else { Some(Box::new(stream(our_err)?) as Source) };
        let leaves_with_input = stdin.is_some() && !once;
        Ok(Streams { stdin, stdout, stderr, resize, leaves_with_input, exit })
    }

    /// A standard input whose end is the container's.
    fn once(self: &Arc<Self>, id: &str, input: Stream) -> Once {
        let (ended, wait) = oneshot::channel::<()>();
        let (inner, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            // The sender is only ever dropped.
            let _ = wait.await;
            if let Ok(shim) = inner.shim_of(&id) {
                let _ = shim.call(&Request::CloseStdin { id }, &[]).await;
            }
        });
        Once { input, _ended: ended }
    }
}

fn on_terminal(terminal: Stream, stdin: bool, exit: oneshot::Receiver<Result<i32>>) -> Streams {
    Streams {
        stdin: stdin.then(|| Box::new(terminal.clone()) as Input),
        resize: terminal.resizer(),
        leaves_with_input: false,
        stdout: Some(Box::new(terminal)),
        stderr: None,
        exit,
    }
}

/// Waits for the end of the program; when nobody wants to know any more, the connection goes and the program with it.
fn exit_of(shim: Connection) -> oneshot::Receiver<Result<i32>> {
    let (mut sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        tokio::select! {
            answer = shim.receive() => {
                let code = match answer {
                    Ok((Reply::Exited { code }, _)) => Ok(code),
                    Ok((other, _)) => Err(Error::System(format!("exec: unexpected answer {other:?}"))),
                    Err(error) => Err(error),
                };
                let _ = sender.send(code);
            }
            () = sender.closed() => {}
        }
    });
    receiver
}

async fn run_to_end(streams: Streams) -> Result<Output> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (mut stdout, mut stderr) = (streams.stdout, streams.stderr);
    let mut exit = streams.exit;
    let code = {
        let read = async {
            tokio::join!(collect(&mut stdout, &mut out), collect(&mut stderr, &mut err));
        };
        tokio::pin!(read);
        let code = tokio::select! {
            code = &mut exit => Some(code),
            () = &mut read => None,
        };
        match code {
            Some(code) => {
                let _ = tokio::time::timeout(DRAIN, read).await;
                code
            }
            None => exit.await,
        }
    };
    let code = code.map_err(|_| Error::System("exec: the runtime is shutting down".into()))??;
    Ok(Output { code, stdout: Bytes::from(out), stderr: Bytes::from(err) })
}

/// Most output that a finished exec keeps, as the CRI: 16 MiB each.
const MAX_OUTPUT: u64 = 16 << 20;

async fn collect(source: &mut Option<Source>, to: &mut Vec<u8>) {
    let Some(source) = source else { return };
    // An error is an end like any other: the exit code tells how it went.
    let _ = source.take(MAX_OUTPUT).read_to_end(to).await;
    let _ = tokio::io::copy(source, &mut tokio::io::sink()).await;
}

/// See [`Inner::once`].
struct Once {
    input: Stream,
    _ended: oneshot::Sender<()>,
}

impl AsyncWrite for Once {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.input).poll_write(cx, bytes)
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}
