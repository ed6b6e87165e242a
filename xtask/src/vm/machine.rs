//! Machines: one process of the emulator for each. They end with us, whatever ends us.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::agent::Agent;
use super::image::Image;

/// How the folders of runs are called, and the file in each that its owner holds locked.
const PREFIX: &str = "ironclad-vm-";
const LOCK: &str = "lock";
/// How long a machine that was told to may take to switch itself off.
const OFF: Duration = Duration::from_secs(30);
/// Bytes of a console that are shown.
const CONSOLE_END: i64 = 4 << 10;

/// Where a machine's console goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Console {
    /// Into a file of the run's folder.
    File,
    /// To the terminal that we have.
    Terminal,
}

/// One machine that runs.
pub(super) struct Machine {
    /// Its number, from 1; its host name is `vmN`.
    pub(super) number: usize,
    process: Child,
    agent: Agent<tokio::net::UnixStream>,
    console: PathBuf,
}

impl Machine {
    /// Waits for its first command: it has booted.
    pub(super) async fn ready(&mut self) -> Result<()> {
        let link = "[ ! -e /sys/class/net/eth0 ] || systemctl start vm-link";
        let script = format!("systemctl is-system-running --wait > /dev/null; udevadm settle; {link}");
        match self.run(&script, &[], &mut super::agent::to_terminal).await? {
            0 => Ok(()),
            code => bail!("machine {} has booted, but has no network ({code})", self.number),
        }
    }

    /// Runs a shell script with this standard input, and returns its exit code.
    pub(super) async fn run(&mut self, script: &str, input: &[u8], output: &mut dyn FnMut(&[u8])) -> Result<i32> {
        self.agent.run(script, input, output).await
    }

    /// Waits until it is switched off from within.
    pub(super) async fn ended(mut self) -> Result<ExitStatus> {
        self.process.wait().await.context("wait for the machine")
    }

    /// Switches it off. Its disk ends with it, so nothing must be written first.
    pub(super) async fn power_off(mut self) {
        let ended = async {
            // The answer is that it has gone.
            let _ = self.agent.run("poweroff --force --force", &[], &mut |_| ()).await;
            self.process.wait().await
        };
        if timeout(OFF, ended).await.is_err() {
            let _ = self.process.kill().await;
        }
    }

    /// The last lines of its console.
    pub(super) fn console_end(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(&self.console)?;
            let mut bytes = Vec::new();
            let length = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
            file.seek(SeekFrom::End(-length.min(CONSOLE_END)))?;
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_else(|e| format!("(it cannot be read: {e})"))
    }
}

/// The folder of this run, in that of all. Those whose owner was killed are removed.
pub(super) fn directory(all: &Path) -> Result<TempDir> {
    for path in std::fs::read_dir(all)?.flatten().map(|entry| entry.path()) {
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        // A folder without a lock has just been made by somebody.
        if ours && File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
    let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(all)?;
    let lock = File::create(dir.path().join(LOCK))?;
    lock.lock()?;
    // Held until we end, however that may be.
    std::mem::forget(lock);
    Ok(dir)
}

/// Starts machines with a network between them. From the first one, each other one's agent is reached through the port
/// `machineN`.
pub(super) fn boot(dir: &Path, image: &Image, files: &Path, count: usize, console: Console) -> Result<Vec<Machine>> {
    // Sockets that two processes share have no names and no ports that somebody else could have.
    let mut wires: Vec<Vec<Wire>> = (0..count).map(|_| Vec::new()).collect();
    for other in 2..=count {
        let (near, far) = UnixStream::pair()?;
        wires[0].push(Wire::Network(near));
        wires[other - 1].push(Wire::Network(far));
        let (near, far) = UnixStream::pair()?;
        wires[0].push(Wire::Port(near, format!("machine{other}")));
        wires[other - 1].push(Wire::Port(far, "peer".to_owned()));
    }
    let mut machines = Vec::new();
    for (at, mut wires) in wires.into_iter().enumerate() {
        let number = at + 1;
        let (ours, theirs) = UnixStream::pair()?;
        wires.push(Wire::Port(theirs, "host".to_owned()));
        let path = dir.join(format!("console{number}"));
        let mut arguments = arguments(number, image, files);
        arguments.push("-serial".to_owned());
        arguments.push(match console {
            Console::File => format!("file:{}", path.display()),
            Console::Terminal => "mon:stdio".to_owned(),
        });
        for (at, wire) in wires.iter().enumerate() {
            arguments.extend(wire.arguments(at, number)?);
        }
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]).args(arguments).env("TMPDIR", dir).kill_on_drop(true);
        if console == Console::File {
            command.stdin(Stdio::null());
        }
        let process = command.spawn().context("start setpriv (of util-linux)")?;
        ours.set_nonblocking(true)?;
        let agent = Agent::new(tokio::net::UnixStream::from_std(ours)?);
        machines.push(Machine { number, process, agent, console: path });
    }
    Ok(machines)
}

/// What connects two machines, or one with us. Dropped when the emulator has its end: then the other end sees it go.
enum Wire {
    Network(UnixStream),
    Port(UnixStream, String),
}

impl Wire {
    /// Arguments of the emulator that inherits it.
    fn arguments(&self, at: usize, machine: usize) -> Result<Vec<String>> {
        let arguments = match self {
            // All of a machine's networks and its card are one segment.
            Wire::Network(socket) => {
                let card = format!("virtio-net-pci,netdev=card,mac=52:54:00:00:00:{machine:02x}");
                let first = ["-netdev".to_owned(), "hubport,id=card,hubid=0".to_owned(), "-device".to_owned(), card];
                let wire = format!("socket,id=wire{at},fd={}", inherited(socket)?);
                let hub = format!("hubport,id=hub{at},hubid=0,netdev=wire{at}");
                let wire = ["-netdev".to_owned(), wire, "-netdev".to_owned(), hub];
                first.into_iter().filter(|_| at == 0).chain(wire).collect()
            }
            Wire::Port(socket, name) => vec![
                "-chardev".to_owned(),
                format!("socket,id=port{at},fd={}", inherited(socket)?),
                "-device".to_owned(),
                format!("virtserialport,chardev=port{at},name={name}"),
            ],
        };
        Ok(arguments)
    }
}

/// Lets the programs that we start inherit the socket, under the same number.
fn inherited(socket: &UnixStream) -> Result<RawFd> {
    fcntl(socket, FcntlArg::F_SETFD(FdFlag::empty())).context("keep a socket open for the emulator")?;
    Ok(socket.as_raw_fd())
}

/// The machine itself. A panic of its kernel stops it, so that its console ends with the reason.
fn arguments(number: usize, image: &Image, files: &Path) -> Vec<String> {
    let kernel = format!(
        "console=ttyS0 quiet panic=0 no_timer_check mitigations=off audit=0 net.ifnames=0 systemd.hostname=vm{number} \
         systemd.show_status=false"
    );
    let disk = |path: &Path, how: &str| format!("file={},format=raw,if=virtio,{how}", path.display());
    let arguments = [
        "-machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 1536 -display none -nodefaults -no-user-config -nic none",
        "-device virtio-rng-pci -device virtio-serial-pci",
    ];
    let mut arguments: Vec<String> = arguments.iter().flat_map(|line| line.split(' ')).map(str::to_owned).collect();
    let paths = [("-kernel", image.kernel.display().to_string()), ("-initrd", image.initrd.display().to_string())];
    let disks = [("-drive", disk(&image.disk, "snapshot=on")), ("-drive", disk(files, "readonly=on"))];
    for (flag, value) in paths.into_iter().chain(disks).chain([("-append", kernel)]) {
        arguments.extend([flag.to_owned(), value]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_is_removed_and_a_living_one_keeps_its_own() {
        let all = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = all.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let (killed, young, other) = (folder("ironclad-vm-1"), folder("ironclad-vm-2"), folder("something"));
        File::create(killed.join(LOCK)).unwrap();
        File::create(other.join(LOCK)).unwrap();
        let living = directory(all.path()).unwrap();
        let next = directory(all.path()).unwrap();
        let there = [killed.as_path(), &young, &other, living.path(), next.path()].map(Path::exists);
        assert_eq!(there, [false, true, true, true, true]);
    }

    #[test]
    fn the_first_machine_is_wired_to_each_other_one() {
        let image = Image { disk: "d".into(), kernel: "k".into(), initrd: "i".into() };
        let first = arguments(1, &image, Path::new("f")).join(" ");
        assert!(first.contains("systemd.hostname=vm1 ") && first.contains("file=d,format=raw,if=virtio,snapshot=on"));
        let (near, _far) = UnixStream::pair().unwrap();
        let number = near.as_raw_fd();
        let wire = Wire::Network(near).arguments(0, 1).unwrap().join(" ");
        assert!(wire.contains(&format!("socket,id=wire0,fd={number}")) && wire.contains("netdev=card,mac="), "{wire}");
        let (near, _far) = UnixStream::pair().unwrap();
        let again = Wire::Network(near).arguments(2, 1).unwrap().join(" ");
        assert!(!again.contains("mac=") && again.contains("hubport,id=hub2,hubid=0,netdev=wire2"), "one card: {again}");
    }
}
