//! Commands in a machine, through one of its ports (`tests/vm/kit/agent.sh` is the other side).

use std::hash::{BuildHasher, RandomState};
use std::io::Write;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The port of one machine.
pub(super) struct Agent<S> {
    port: S,
    asked: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Agent<S> {
    pub(super) fn new(port: S) -> Self {
        Agent { port, asked: 0 }
    }

    /// Runs a shell script with this standard input; what it prints goes to `output` as it comes. Returns its exit code;
    /// an error means that the machine has gone.
    pub(super) async fn run(&mut self, script: &str, input: &[u8], output: &mut dyn FnMut(&[u8])) -> Result<i32> {
        self.asked += 1;
        // Nothing that a script prints can be this.
        let mark = format!("{:016x}", RandomState::new().hash_one(self.asked));
        let head = format!("{mark} {} {}\n{script}", script.len(), input.len());
        self.port.write_all(head.as_bytes()).await.context("send a command to the machine")?;
        self.port.write_all(input).await.context("send a command's input to the machine")?;
        let mut answer = Answer::new(&mark);
        let mut bytes = vec![0; 64 << 10];
        loop {
            match self.port.read(&mut bytes).await.context("read from the machine")? {
                0 => bail!("the machine has gone"),
                length => answer.push(&bytes[..length]),
            }
            output(&answer.printed());
            if let Some(code) = answer.code {
                return Ok(code);
            }
        }
    }
}

/// Output for a person who watches.
pub(super) fn to_terminal(bytes: &[u8]) {
    let mut terminal = std::io::stdout().lock();
    // Who reads it may have gone; the test goes on.
    let _ = terminal.write_all(bytes).and_then(|()| terminal.flush());
}

/// Tells what a command prints from the line that ends it.
struct Answer {
    /// How the last line begins, with the line break before it.
    end: Vec<u8>,
    held: Vec<u8>,
    code: Option<i32>,
}

impl Answer {
    fn new(mark: &str) -> Self {
        Answer { end: format!("\n{mark} ").into_bytes(), held: Vec::new(), code: None }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// What is certain to be the command's.
    fn printed(&mut self) -> Vec<u8> {
        let end = self.held.windows(self.end.len()).position(|part| part == self.end);
        let Some(at) = end else {
            let kept = (0..self.end.len()).rev().find(|length| self.held.ends_with(&self.end[..*length])).unwrap_or(0);
            return self.held.drain(..self.held.len() - kept).collect();
        };
        let number = String::from_utf8_lossy(&self.held[at + self.end.len()..]).into_owned();
        self.code = number.split_once('\n').and_then(|(code, _)| code.parse().ok());
        self.held.drain(..at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_in_any_pieces() {
        let whole = b"one\ntwo\n\n\nabc 7\nabc 8\nlast\nabc 42\n";
        for size in 1..=whole.len() {
            let mut answer = Answer::new("abc");
            let mut printed = Vec::new();
            let (text, end) = whole.split_at(whole.len() - b"\nabc 42\n".len());
            let text: Vec<u8> = text.iter().map(|b| if *b == b'a' { b'x' } else { *b }).collect();
            for piece in [&text, end].concat().chunks(size) {
                answer.push(piece);
                printed.extend(answer.printed());
            }
            assert_eq!((printed, answer.code), (text, Some(42)), "pieces of {size}");
        }
    }

    #[test]
    fn output_is_not_held_back() {
        let mut answer = Answer::new("abc");
        answer.push(b"a line without an end");
        assert_eq!(answer.printed(), b"a line without an end");
        answer.push(b"\nab");
        assert_eq!(answer.printed(), b"");
        answer.push(b"d");
        assert_eq!(answer.printed(), b"\nabd");
    }

    /// The agent of the machines, on this one.
    #[tokio::test]
    async fn the_agent_runs_scripts_with_input_and_code() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (input, output) = (theirs.try_clone().unwrap(), theirs);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vm/kit/agent.sh");
        let mut child = tokio::process::Command::new("bash");
        child.arg(script).stdin(std::os::fd::OwnedFd::from(input)).stdout(std::os::fd::OwnedFd::from(output));
        let mut started = child.spawn().unwrap();
        // The command holds the other end's descriptors until it is dropped.
        drop(child);
        let mut agent = Agent::new(tokio::net::UnixStream::from_std(ours).unwrap());
        let mut printed = Vec::new();
        let input = vec![b'x'; 300_000];
        let code = agent.run("wc -c; echo err >&2; exit 3", &input, &mut |b| printed.extend_from_slice(b)).await;
        assert_eq!((code.unwrap(), String::from_utf8_lossy(&printed).as_ref()), (3, "300000\nerr\n"));
        printed.clear();
        let code = agent.run("printf no-end; cat", b"", &mut |b| printed.extend_from_slice(b)).await;
        assert_eq!((code.unwrap(), printed.as_slice()), (0, b"no-end".as_slice()));
        drop(agent);
        started.wait().await.unwrap();
    }
}
