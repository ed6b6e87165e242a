//! Starts the two servers, both empty, and waits until both answer.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::lane::Lane;
use super::side::{Side, Tls};
use super::transcript::Case;

/// Where the programs are.
#[derive(Clone, Debug, clap::Args)]
pub struct Programs {
    /// Upstream's kube-apiserver.
    #[arg(long, hide = true)]
    pub apiserver: Option<PathBuf>,
    /// etcd.
    #[arg(long, hide = true)]
    pub etcd: Option<PathBuf>,
    /// Our API server alone.
    #[arg(long, hide = true)]
    pub ours: Option<PathBuf>,
    /// Folder of upstream's round-trip fixtures.
    #[arg(long, hide = true)]
    pub fixtures: Option<PathBuf>,
}

/// The address that upstream's server announces; it takes no loopback one.
pub const ANNOUNCED: &str = "172.30.0.1";

const ETCD: &str = "http://127.0.0.1:2379";
/// Where etcd is asked what upstream has stored.
pub const ETCD_ADDRESS: &str = "127.0.0.1:2379";
/// Ours over upstream's data.
const OVER: &str = "127.0.0.1:6445";
const UPSTREAM: &str = "127.0.0.1:6443";
const OURS: &str = "127.0.0.1:6444";

/// Admission plug-ins that are on by default in upstream's server, and that we have not yet.
const ABSENT_PLUGINS: &str = "LimitRanger,DefaultStorageClass,StorageObjectInUseProtection,PersistentVolumeClaimResize,\
    ClusterTrustBundleAttest,DefaultIngressClass,\
    PodTopologyLabels,MutatingAdmissionPolicy,MutatingAdmissionWebhook,ValidatingAdmissionPolicy,\
    ValidatingAdmissionWebhook,ResourceQuota";

/// Ended when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Both servers, until dropped.
pub struct Servers {
    pub lane: Lane,
    // Upstream's server takes a minute to stop when its etcd has gone.
    _processes: Vec<Process>,
}

/// Starts everything in `directory`.
pub async fn start(programs: &Programs, directory: &Path) -> Result<Servers> {
    let path = |program: &Option<PathBuf>| program.clone().context("the path of a program is missing");
    let pki = directory.join("pki");
    let ours = spawn(Command::new(path(&programs.ours)?).arg(&pki).arg(OURS), directory, "ours")?;
    let etcd = spawn(&mut etcd(&path(&programs.etcd)?, directory), directory, "etcd")?;
    // Our server writes the keys that both use; this file is the last.
    appears(&pki.join("ready")).await?;
    let read = |name: &str| std::fs::read_to_string(pki.join(name)).with_context(|| format!("read {name}"));
    let tls = || Tls::new(&read("ca.crt")?, &read("admin.crt")?, &read("admin.key")?);
    let upstream = spawn(&mut apiserver(&path(&programs.apiserver)?, directory, &pki), directory, "upstream")?;
    let address = |text: &str| text.parse::<SocketAddr>().context("an address");
    let mut servers = Servers {
        lane: Lane { upstream: Side::new(address(UPSTREAM)?, tls()?), ours: Side::new(address(OURS)?, tls()?) },
        _processes: vec![upstream, etcd, ours],
    };
    for path in ["/readyz", "/api/v1/namespaces/default", "/api/v1/namespaces/kube-node-lease"] {
        for side in servers.lane.sides() {
            answers(side, path).await.with_context(|| format!("see {}", directory.display()))?;
        }
    }
    super::webhook::start(&mut servers.lane, &pki).await?;
    Ok(servers)
}

/// A server of ours over other data, until dropped.
pub struct Page {
    pub side: Side,
    _process: Process,
}

/// Starts one over the keys and values of a file.
pub async fn over(programs: &Programs, directory: &Path, page: &Path) -> Result<Page> {
    let pki = directory.join("page-pki");
    let program = programs.ours.clone().context("the path of our server is missing")?;
    let process = spawn(Command::new(program).arg(&pki).arg(OVER).arg(page), directory, "page")?;
    appears(&pki.join("ready")).await?;
    let read = |name: &str| std::fs::read_to_string(pki.join(name)).with_context(|| format!("read {name}"));
    let tls = Tls::new(&read("ca.crt")?, &read("admin.crt")?, &read("admin.key")?)?;
    let mut side = Side::new(OVER.parse()?, tls);
    answers(&mut side, "/readyz").await.with_context(|| format!("see {}", directory.display()))?;
    Ok(Page { side, _process: process })
}

fn spawn(command: &mut Command, directory: &Path, name: &str) -> Result<Process> {
    let log = File::create(directory.join(format!("{name}.log")))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(Process(command.spawn().with_context(|| format!("start {:?}", command.get_program()))?))
}

fn etcd(program: &Path, directory: &Path) -> Command {
    let mut etcd = Command::new(program);
    etcd.arg("--data-dir").arg(directory.join("etcd"));
    etcd.args(["--listen-client-urls", ETCD, "--advertise-client-urls", ETCD, "--unsafe-no-fsync"]);
    etcd.args(["--listen-peer-urls", "http://127.0.0.1:2380", "--log-level", "warn"]);
    etcd
}

fn apiserver(program: &Path, directory: &Path, pki: &Path) -> Command {
    let mut server = Command::new(program);
    server.args(["--etcd-servers", ETCD, "--bind-address", "127.0.0.1", "--secure-port", "6443"]);
    server.args(["--advertise-address", ANNOUNCED, "--service-cluster-ip-range", "10.96.0.0/12"]);
    server.args(["--authorization-mode", "Node,RBAC", "--allow-privileged=true", "--anonymous-auth=true"]);
    server.args(["--service-account-issuer", "https://kubernetes.default.svc.cluster.local"]);
    server.args(["--enable-admission-plugins", "NodeRestriction", "--disable-admission-plugins", ABSENT_PLUGINS]);
    server.arg("--cert-dir").arg(directory.join("certificates"));
    for (flag, file) in [
        ("--client-ca-file", "ca.crt"),
        ("--tls-cert-file", "upstream.crt"),
        ("--tls-private-key-file", "upstream.key"),
        ("--service-account-key-file", "sa.pub"),
        ("--service-account-signing-key-file", "sa.key"),
    ] {
        server.arg(flag).arg(pki.join(file));
    }
    server
}

/// Waits until a file is there: a program of another process says nothing else.
async fn appears(path: &Path) -> Result<()> {
    for _ in 0..600 {
        if path.exists() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("{} did not appear", path.display())
}

/// Waits until the server answers a path with 200.
async fn answers(side: &mut Side, path: &str) -> Result<()> {
    let case = Case::new("start", "GET", path);
    let mut last = String::new();
    for _ in 0..600 {
        match side.ask(&case).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => last = format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
            Err(error) => last = format!("{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("a server does not answer {path}: {last}")
}
