//! The shim's loop: requests, output, ends of processes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::log::Log;
use super::mapped;
use super::pause::Pause;
use super::peers::{Peer, Role};
use super::process::{self, PidSource, Program};
use super::running::{Running, Streams};
use super::sandbox::{self, Made};
use super::wire::{Failure, PidNamespace, Reply, Request, Sandbox, Start, UNREAD};
use super::{SOCKET, USER, longer, socket};
use crate::container::Stdio;
use crate::{ContainerState, cgroup, clock, disk};

/// A shim at work.
pub(super) struct Serving {
    dir: PathBuf,
    config: Sandbox,
    signals: SignalFd,
    pause: Option<Pause>,
    users: Option<std::fs::File>,
    listener: OwnedFd,
    peers: Vec<Peer>,
    running: Vec<Running>,
    stopping: bool,
}

/// What a polled descriptor belongs to.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Listener,
    Peer(usize),
    Output(usize, usize),
}

impl Serving {
    /// Opens the socket.
    pub(super) fn new(dir: &Path, config: Sandbox, signals: SignalFd, made: Made) -> Result<Self, Failure> {
        let path = dir.join(SOCKET);
        let _ = std::fs::remove_file(&path);
        let listener = socket::listen_at(&path).map_err(|e| Failure::system(path.display(), e))?;
        let dir = dir.to_path_buf();
        let Made { pause, users } = made;
        let (peers, running) = (Vec::new(), Vec::new());
        Ok(Self { dir, config, signals, pause, users, listener, peers, running, stopping: false })
    }

    /// Serves until the pod is stopped.
    pub(super) fn run(&mut self) -> io::Result<()> {
        while !(self.stopping && self.running.is_empty()) {
            for source in self.wait()? {
                self.handle(source);
            }
            self.peers.retain(|peer| peer.role != Role::Gone);
            self.running.iter_mut().for_each(Running::close_ended);
        }
        if let Some(pause) = &self.pause {
            let _ = kill(pause.pid, Signal::SIGKILL);
        }
        sandbox::unmake(&self.dir, &self.config);
        let _ = std::fs::remove_file(self.dir.join(SOCKET));
        for peer in self.peers.iter_mut().filter(|peer| peer.role == Role::Stopper) {
            peer.tell(&Reply::Done);
        }
        Ok(())
    }

    fn wait(&self) -> io::Result<Vec<Source>> {
        let mut fds = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
        ];
        let mut sources = vec![Source::Signals, Source::Listener];
        for (index, peer) in self.peers.iter().enumerate() {
            fds.push(PollFd::new(peer.socket.as_fd(), PollFlags::POLLIN));
            sources.push(Source::Peer(index));
        }
        for (index, running) in self.running.iter().enumerate() {
            for (number, output) in running.outputs.iter().enumerate() {
                let (fd, flags) = output.interest();
                fds.push(PollFd::new(fd, flags));
                sources.push(Source::Output(index, number));
            }
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => return Ok(Vec::new()),
            other => other?,
        };
        let ready = fds.iter().map(|fd| fd.any().unwrap_or(true));
        let ready = ready.zip(sources).filter(|(ready, _)| *ready).map(|(_, source)| source);
        // Of one container standard output first: where both wait, that is the likelier order.
        let (mut ready, others): (Vec<Source>, Vec<Source>) = ready.partition(|s| matches!(s, Source::Output(..)));
        // What an agent asked before its end is done before the next one hears what runs.
        let (asked, mut others): (Vec<Source>, Vec<Source>) =
            others.into_iter().partition(|source| matches!(source, Source::Peer(_)));
        // Last the one that removes containers: indexes stay valid.
        others.reverse();
        ready.extend(asked.into_iter().chain(others));
        Ok(ready)
    }

    fn handle(&mut self, source: Source) {
        match source {
            Source::Signals => self.reap(),
            Source::Listener => self.accept(),
            Source::Peer(index) => self.answer(index),
            Source::Output(index, number) => {
                let Some(running) = self.running.get_mut(index) else { return };
                if running.outputs[number].is_held() {
                    running.outputs[number].flush();
                } else if !running.pump(number) {
                    running.outputs[number].ended = true;
                }
            }
        }
    }

    fn accept(&mut self) {
        use nix::sys::socket::{SockFlag, accept4};
        use std::os::fd::FromRawFd;
        if let Ok(fd) = accept4(self.listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            // SAFETY: accept has just made this descriptor for us.
            let socket = unsafe { OwnedFd::from_raw_fd(fd) };
            self.peers.push(Peer { socket, role: Role::Client });
        }
    }

    fn answer(&mut self, index: usize) {
        let (message, mut fds) = match socket::receive(&self.peers[index].socket) {
            Ok((message, fds)) if !message.is_empty() => (message, fds),
            _ => {
                // Nobody waits for this program any more.
                if let Role::Exec(pid) = self.peers[index].role {
                    let _ = kill(pid, Signal::SIGKILL);
                }
                self.peers[index].role = Role::Gone;
                return;
            }
        };
        let request = match read(&message, &mut fds) {
            Ok(request) => request,
            Err(failure) => return self.peers[index].tell(&Reply::Failed(failure)),
        };
        match self.perform(index, request, fds) {
            Ok((reply, fd)) => self.peers[index].tell_with(&reply, fd.as_ref().map(AsRawFd::as_raw_fd)),
            Err(failure) => self.peers[index].tell(&Reply::Failed(failure)),
        }
    }

    fn perform(
        &mut self,
        peer: usize,
        request: Request,
        fds: Vec<OwnedFd>,
    ) -> Result<(Reply, Option<OwnedFd>), Failure> {
        let done = (Reply::Done, None);
        match request {
            Request::Start(start) => self.start(start),
            Request::Exec { id, command, tty } => self.exec(peer, &id, &command, tty, fds),
            Request::Attach { id } => {
                let running = self.find(&id)?;
                running.attach(fds);
                let copy = running.input.as_ref().map(OwnedFd::try_clone).transpose();
                let input = copy.map_err(|e| Failure::system("copy the standard input", e))?;
                Ok((Reply::Running { pid: running.pid.as_raw(), started_at: running.started_at }, input))
            }
            Request::CloseStdin { id } => {
                self.find(&id)?.input = None;
                Ok(done)
            }
            Request::Signal { id, signal } => self.signal(&id, signal).map(|()| done),
            Request::ReopenLog { id } => {
                self.find(&id)?.log.reopen().map_err(|e| Failure::system("reopen the log", e))?;
                Ok(done)
            }
            Request::State => Ok((Reply::State(self.running.iter().map(|r| r.start.id.clone()).collect()), None)),
            Request::Watch => {
                self.peers[peer].role = Role::Watcher;
                Ok(done)
            }
            Request::Stop => {
                self.peers[peer].role = Role::Stopper;
                self.stop();
                Ok(done)
            }
            Request::Longer => Err(unread("a request that leads to another")),
        }
    }

    fn find(&mut self, id: &str) -> Result<&mut Running, Failure> {
        let found = self.running.iter_mut().find(|running| running.start.id == id);
        found.ok_or_else(|| Failure::NotFound(format!("container {id} does not run")))
    }

    /// The pid namespace of a running container.
    fn pid_namespace(&mut self, id: &str) -> Result<std::fs::File, Failure> {
        let path = format!("/proc/{}/ns/pid", self.find(id)?.pid);
        std::fs::File::open(&path).map_err(|e| Failure::system(path, e))
    }

    /// Whether the end of a container's first process is not the end of all of them.
    fn shares_pids(&self, start: &Start) -> bool {
        self.config.pid != PidNamespace::Own || start.pid_of.is_some()
    }

    fn start(&mut self, start: Start) -> Result<(Reply, Option<OwnedFd>), Failure> {
        if self.stopping {
            return Err(Failure::NoSandbox("the pod is being stopped".into()));
        }
        let log = Log::open(start.log.clone()).map_err(|e| Failure::system(start.log.display(), e))?;
        let mut streams = Streams::new(&start)?;
        let dir = self.config.containers.join(&start.id);
        let target = start.pid_of.as_ref().map(|id| self.pid_namespace(id)).transpose()?;
        let pids = match &target {
            Some(target) => PidSource::Existing(target),
            None => PidSource::first(self.config.pid, self.pause.as_ref().map(|pause| &pause.namespace)),
        };
        let stdio = streams.take()?;
        let spawned = match &self.users {
            None => process::spawn(&dir, Program::First, &pids, stdio)?,
            Some(users) => {
                let group = self.config.hierarchies.procs_files(&start.group);
                mapped::spawn(&mapped::Start { dir: &dir, users, pids, group }, stdio)?
            }
        };
        let started_at = clock::now();
        if let Some(user) = &spawned.user {
            // For the status alone: who cannot write it down goes without.
            let _ = disk::write_json(&dir.join(USER), user, false);
        }
        let reply = Reply::Running { pid: spawned.pid.as_raw(), started_at };
        // Not worth a wait for the disk: a machine that loses power has also lost the container.
        let _ = disk::write_json(&dir.join("state.json"), &ContainerState::Running { started_at }, false);
        self.running.push(streams.running(start, spawned, started_at, log)?);
        Ok((reply, None))
    }

    fn exec(
        &mut self,
        peer: usize,
        id: &str,
        args: &[String],
        tty: bool,
        fds: Vec<OwnedFd>,
    ) -> Result<(Reply, Option<OwnedFd>), Failure> {
        let dir = self.config.containers.join(id);
        let pid = self.find(id)?.pid;
        let namespace = self.pid_namespace(id)?;
        let mut fds = fds.into_iter();
        let stdio = match (tty, fds.next(), fds.next(), fds.next()) {
            (true, ..) => Stdio::Terminal,
            (false, Some(input), Some(output), Some(error)) => Stdio::Pipes(Some(input), output, error),
            _ => return Err(Failure::Start("exec needs three descriptors".into())),
        };
        let program = Program::Another { pid, args, users: self.users.as_ref() };
        let spawned = process::spawn(&dir, program, &PidSource::Existing(&namespace), stdio)?;
        self.peers[peer].role = Role::Exec(spawned.pid);
        Ok((Reply::Running { pid: spawned.pid.as_raw(), started_at: clock::now() }, spawned.terminal))
    }

    fn signal(&mut self, id: &str, signal: i32) -> Result<(), Failure> {
        let signal = Signal::try_from(signal).map_err(|_| Failure::Start(format!("no such signal: {signal}")))?;
        let running = self.find(id)?;
        let (pid, start) = (running.pid, running.start.clone());
        // The first process of its own pid namespace takes all others with it; elsewhere the cgroup knows them.
        let _ = kill(pid, signal);
        if signal == Signal::SIGKILL && self.shares_pids(&start) {
            cgroup::kill(&self.config.hierarchies, &start.group);
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.stopping = true;
        let ids: Vec<String> = self.running.iter().map(|running| running.start.id.clone()).collect();
        for id in ids {
            let _ = self.signal(&id, Signal::SIGKILL as i32);
        }
    }

    fn reap(&mut self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
        loop {
            let (pid, code, signal) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, code, 0),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32, signal as i32),
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => continue,
            };
            self.ended(pid, code, signal);
        }
    }

    fn ended(&mut self, pid: Pid, code: i32, signal: i32) {
        for peer in self.peers.iter_mut().filter(|peer| peer.role == Role::Exec(pid)) {
            peer.tell(&Reply::Exited { code });
            peer.role = Role::Gone;
        }
        if self.pause.as_ref().is_some_and(|pause| pause.pid == pid) {
            // The kernel has ended the whole pid namespace with it.
            self.pause = None;
            self.stop();
        }
        if let Some(index) = self.running.iter().position(|running| running.pid == pid) {
            let running = self.running.swap_remove(index);
            self.finish(running, code, signal);
        }
    }

    fn finish(&mut self, mut running: Running, code: i32, signal: i32) {
        if self.shares_pids(&running.start) {
            cgroup::kill(&self.config.hierarchies, &running.start.group);
        }
        running.drain();
        let out_of_memory = code != 0 && cgroup::oom_kills(&self.config.hierarchies, &running.start.group) > 0;
        let reason = match code {
            0 => "Completed",
            _ if out_of_memory => "OOMKilled",
            _ => "Error",
        };
        let (started_at, finished_at) = (running.started_at, clock::now());
        let (reason, message) = (reason.to_owned(), String::new());
        let state = ContainerState::Exited { started_at, finished_at, code, signal, reason, message };
        let path = self.config.containers.join(&running.start.id).join("state.json");
        // The record comes first: who hears of the end must be able to read it. On a full disk the watcher reads
        // "running" of a container that the shim no longer lists, and concludes the rest.
        let _ = disk::write_json(&path, &state, true);
        for peer in self.peers.iter_mut().filter(|peer| peer.role == Role::Watcher) {
            peer.tell(&Reply::Ended(running.start.id.clone()));
        }
    }
}

/// The request of a message, or of the file that it leads to.
fn read(message: &[u8], fds: &mut Vec<OwnedFd>) -> Result<Request, Failure> {
    match serde_json::from_slice(message).map_err(unread)? {
        Request::Longer => {
            let file = fds.pop().ok_or_else(|| unread("its file is missing"))?;
            serde_json::from_slice(&longer::read(file).map_err(unread)?).map_err(unread)
        }
        request => Ok(request),
    }
}

fn unread(why: impl std::fmt::Display) -> Failure {
    Failure::system(UNREAD, why)
}
