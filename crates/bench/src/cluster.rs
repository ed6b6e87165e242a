//! A cluster of its own: an empty data directory, a copy of the program, and `down` at the end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::https::Client;
use crate::kubeconfig;
use crate::process::{self, Usage};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lines of the log that are shown after a failure.
const LOG_LINES: usize = 200;

/// A cluster that runs. It ends with [`Cluster::down`], or when it is dropped.
pub struct Cluster {
    home: TempDir,
    program: PathBuf,
    data: PathBuf,
    /// `up` in the foreground.
    child: Option<Child>,
    ended: bool,
}

impl Cluster {
    /// Runs `up` with flags to its end, as `--detach` makes it come to one.
    pub fn up(program: &Path, flags: &[&str]) -> Result<Self> {
        let cluster = Self::prepare(program)?;
        cluster.launch(flags)?;
        Ok(cluster)
    }

    /// Runs `up` with flags to its end.
    pub fn launch(&self, flags: &[&str]) -> Result<()> {
        self.run("up", flags)
    }

    /// Runs one of the program's commands to its end.
    pub fn run(&self, verb: &str, arguments: &[&str]) -> Result<()> {
        let output = self.command(verb, arguments).output()?;
        ensure!(output.status.success(), "{verb} failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Starts `up` with flags in the foreground and does not wait.
    pub fn start(program: &Path, flags: &[&str]) -> Result<Self> {
        let mut cluster = Self::prepare(program)?;
        cluster.child = Some(cluster.command("up", flags).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        Ok(cluster)
    }

    /// Starts `up` with flags once more, in the foreground of whoever waits for it. It logs where one in the background
    /// does.
    pub fn spawn(&self, flags: &[&str]) -> Result<Child> {
        let log = std::fs::File::options().append(true).create(true).open(self.data.join("ironclad.log"))?;
        Ok(self.command("up", flags).stdout(Stdio::null()).stderr(log).spawn()?)
    }

    /// One that was not started yet.
    pub fn prepare(program: &Path) -> Result<Self> {
        let home = TempDir::with_prefix("ironclad-bench-")?;
        // A copy of its own tells its processes from those of others.
        let copy = home.path().join("ironclad");
        std::fs::copy(program, &copy).with_context(|| format!("copy {}", program.display()))?;
        let data = home.path().join("data");
        Ok(Cluster { home, program: copy, data, child: None, ended: false })
    }

    /// Gives one that was not started yet another data directory.
    pub fn move_to(&mut self, data: PathBuf) {
        self.data = data;
    }

    /// A directory of its own, which goes with it.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its copy of the program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Prints the end of the log of a cluster in the background.
    pub fn show_log(&self) {
        let text = std::fs::read(self.data.join("ironclad.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(LOG_LINES)).for_each(|line| println!("log  {line}"));
    }

    fn command(&self, verb: &str, flags: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb).args(flags).arg("--data-dir").arg(&self.data).stdin(Stdio::null());
        // The kubeconfig of whoever measures is none of its.
        command.env("HOME", self.home.path());
        command
    }

    /// Where it keeps everything.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A new connection as the administrator.
    pub async fn connect(&self) -> Result<Client> {
        let (address, tls) = kubeconfig::read(&self.data.join("admin.conf"))?;
        Client::connect(address, tls).await
    }

    /// Where the server is, and how to speak with it without a certificate.
    pub fn outside(&self) -> Result<(SocketAddr, Arc<rustls::ClientConfig>)> {
        kubeconfig::outside(&self.data.join("admin.conf"))
    }

    /// The same as soon as there is a server.
    pub async fn connect_patiently(&self) -> Result<Client> {
        let started = Instant::now();
        loop {
            match self.connect().await {
                Ok(client) => return Ok(client),
                Err(error) if started.elapsed() > PATIENCE => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// What all its processes use.
    pub fn usage(&self) -> Result<Usage> {
        process::usage(&self.program)
    }

    /// Ends it and removes everything.
    pub fn down(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let output = self.command("down", &["--purge"]).output()?;
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        if !output.status.success() {
            bail!("down failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("{error:#}");
        }
    }
}
