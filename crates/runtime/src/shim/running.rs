//! A running container: its output on the way to the log and to those attached.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Pid, pipe2, read, write};

use super::log::{Lines, Log};
use super::process::{self, Spawned};
use super::wire::{Failure, Start};
use crate::container::Stdio;

/// Bytes taken at once.
const CHUNK: usize = 8 * 1024;

/// One output of a container.
pub(super) struct Output {
    source: OwnedFd,
    lines: Lines,
    copies: Vec<Copy>,
    /// Nothing comes any more.
    pub(super) ended: bool,
}

/// One who is attached.
struct Copy {
    target: OwnedFd,
    pending: Vec<u8>,
}

/// See the module.
pub(super) struct Running {
    /// What was asked for.
    pub start: Start,
    /// Its first process.
    pub pid: Pid,
    /// Nanoseconds since the epoch.
    pub started_at: i64,
    /// Our end of its standard input, or its terminal.
    pub input: Option<OwnedFd>,
    /// Its log.
    pub log: Log,
    /// Standard output and error; the terminal alone when there is one.
    pub outputs: Vec<Output>,
}

/// The two ends of a container's streams.
pub(super) struct Streams {
    theirs: Option<Stdio>,
    input: Option<OwnedFd>,
    sources: Vec<(OwnedFd, &'static str)>,
}

impl Streams {
    /// As the container wants them.
    pub(super) fn new(start: &Start) -> Result<Self, Failure> {
        if start.tty {
            return Ok(Self { theirs: Some(Stdio::Terminal), input: None, sources: Vec::new() });
        }
        let pipe = || pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| Failure::system("make a pipe", e));
        let (out_source, out) = pipe()?;
        let (err_source, err) = pipe()?;
        let (stdin, input) =
            if start.stdin { pipe().map(|(read, write)| (Some(read), Some(write)))? } else { (None, None) };
        let sources = vec![(out_source, "stdout"), (err_source, "stderr")];
        Ok(Self { theirs: Some(Stdio::Pipes(stdin, out, err)), input, sources })
    }

    /// The container's ends, once.
    pub(super) fn take(&mut self) -> Result<Stdio, Failure> {
        match self.theirs.take() {
            Some(stdio) => Ok(stdio),
            None => Ok(Stdio::Pipes(None, process::null()?, process::null()?)),
        }
    }

    /// The container that uses them now.
    pub(super) fn running(self, start: Start, spawned: Spawned, started_at: i64, log: Log) -> Result<Running, Failure> {
        let mut sources = self.sources;
        let mut input = self.input;
        if let Some(terminal) = spawned.terminal {
            let copy = terminal.try_clone().map_err(|e| Failure::system("copy the terminal", e))?;
            input = Some(copy);
            sources.push((terminal, "stdout"));
        }
        let outputs = sources
            .into_iter()
            .map(|(source, name)| Output { source, lines: Lines::new(name), copies: Vec::new(), ended: false })
            .collect();
        Ok(Running { start, pid: spawned.pid, started_at, input, log, outputs })
    }
}

impl Running {
    /// Adds one who is attached, with a descriptor for each output.
    pub(super) fn attach(&mut self, targets: Vec<OwnedFd>) {
        for (output, target) in self.outputs.iter_mut().zip(targets) {
            // Ours alone: the reader has the other end of the pipe.
            let _ = nix::fcntl::fcntl(&target, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK));
            output.copies.push(Copy { target, pending: Vec::new() });
        }
    }

    /// Lets go of the outputs that have ended.
    pub(super) fn close_ended(&mut self) {
        let Running { outputs, log, .. } = self;
        outputs.iter_mut().filter(|output| output.ended).for_each(|output| output.close(log));
        outputs.retain(|output| !output.ended);
    }

    /// Takes what is in the pipes, without waiting, and ends the log.
    pub(super) fn drain(&mut self) {
        let mut index = 0;
        while index < self.outputs.len() {
            let readable = {
                let mut fds = [PollFd::new(self.outputs[index].source.as_fd(), PollFlags::POLLIN)];
                poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
            };
            if !readable || !self.pump(index) {
                index += 1;
            }
        }
        for output in &mut self.outputs {
            output.lines.finish(&mut self.log);
        }
    }

    /// Reads one output once; false at its end.
    pub(super) fn pump(&mut self, index: usize) -> bool {
        let mut buffer = [0u8; CHUNK];
        let output = &mut self.outputs[index];
        match read(&output.source, &mut buffer) {
            // A terminal whose last user is gone says EIO.
            Ok(0) | Err(Errno::EIO) => false,
            Ok(length) => {
                output.lines.push(&buffer[..length], &mut self.log);
                for copy in &mut output.copies {
                    copy.pending.extend_from_slice(&buffer[..length]);
                }
                output.flush();
                true
            }
            Err(Errno::EINTR | Errno::EAGAIN) => true,
            Err(_) => false,
        }
    }
}

impl Output {
    /// What to wait for: room at a slow reader first, then more output. So a reader's pace is the container's.
    pub(super) fn interest(&self) -> (BorrowedFd<'_>, PollFlags) {
        match self.copies.iter().find(|copy| !copy.pending.is_empty()) {
            Some(copy) => (copy.target.as_fd(), PollFlags::POLLOUT),
            None => (self.source.as_fd(), PollFlags::POLLIN),
        }
    }

    /// Whether a slow reader holds it up.
    pub(super) fn is_held(&self) -> bool {
        self.copies.iter().any(|copy| !copy.pending.is_empty())
    }

    /// Writes what is pending; drops readers that are gone.
    pub(super) fn flush(&mut self) {
        self.copies.retain_mut(|copy| copy.write().is_ok());
    }

    /// Ends it for everyone when the source has ended.
    pub(super) fn close(&mut self, log: &mut Log) {
        self.lines.finish(log);
        self.copies.clear();
    }
}

impl Copy {
    fn write(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            match write(&self.target, &self.pending) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.pending = Vec::new();
        Ok(())
    }
}

impl AsRawFd for Output {
    fn as_raw_fd(&self) -> i32 {
        self.source.as_raw_fd()
    }
}
