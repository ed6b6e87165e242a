//! Upstream's own control plane: etcd (with its syncs), kube-apiserver with RBAC and its usual admission, and, when
//! asked for, kube-controller-manager and kube-scheduler with room for many requests a second.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::https::{self, Client};
use crate::process::{self, Usage};
use crate::{kubeconfig, pki};

const ETCD: &str = "http://127.0.0.1:2379";
const SERVER: &str = "127.0.0.1:6443";
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);

const ATTEMPT: Duration = Duration::from_millis(500);

/// Binds the administrator's group.
const BINDING: &str = r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding",
    "metadata":{"name":"bench"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole",
    "name":"cluster-admin"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"bench:admins"}]}"#;

const USERS: &[pki::User] = &[
    pki::ADMIN,
    ("master", "master", "system:masters"),
    ("scheduler", "system:kube-scheduler", ""),
    ("controllers", "system:kube-controller-manager", ""),
];

/// The running programs. Ended when dropped: etcd last, since kube-apiserver stops slowly without it.
pub struct Upstream {
    home: TempDir,
    programs: PathBuf,
    children: Vec<(String, Child)>,
}

impl Upstream {
    /// Starts etcd and kube-apiserver out of a directory of programs; does not wait.
    pub fn start(programs: &Path) -> Result<Self> {
        let home = TempDir::with_prefix("ironclad-bench-upstream-")?;
        pki::write(home.path(), SERVER, USERS)?;
        let mut all = Upstream { home, programs: programs.to_owned(), children: Vec::new() };
        let data = all.path("etcd");
        let etcd = ["--data-dir", &data, "--listen-client-urls", ETCD, "--advertise-client-urls", ETCD, "--log-level", "warn"];
        all.spawn("etcd", &etcd, &[])?;
        let server = [
            "--etcd-servers", ETCD, "--bind-address", "127.0.0.1", "--secure-port", "6443",
            // It takes no loopback address; nobody connects to this one.
            "--advertise-address", "172.30.0.1", "--service-cluster-ip-range", "10.96.0.0/12",
            "--authorization-mode", "Node,RBAC", "--enable-admission-plugins", "NodeRestriction",
            "--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
        ];
        let files = [
            ("--client-ca-file", "ca.crt"),
            ("--tls-cert-file", "server.crt"),
            ("--tls-private-key-file", "server.key"),
            ("--service-account-key-file", "sa.pub"),
            ("--service-account-signing-key-file", "sa.key"),
        ];
        all.spawn("kube-apiserver", &server, &files)?;
        Ok(all)
    }

    /// Starts kube-controller-manager (with more flags) and kube-scheduler, too.
    pub fn start_actors(&mut self, flags: &[&str]) -> Result<()> {
        let rates = ["--leader-elect=false", "--kube-api-qps=5000", "--kube-api-burst=10000"];
        let files = [
            ("--kubeconfig", "controllers.conf"),
            ("--service-account-private-key-file", "sa.key"),
            ("--root-ca-file", "ca.crt"),
        ];
        self.spawn("kube-controller-manager", &[&rates[..], &["--use-service-account-credentials=true"], flags].concat(), &files)?;
        self.spawn("kube-scheduler", &rates, &[("--kubeconfig", "scheduler.conf")])
    }

    /// The administrator's.
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("admin.conf")
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    fn spawn(&mut self, name: &str, flags: &[&str], files: &[(&str, &str)]) -> Result<()> {
        let log = File::create(self.path(&format!("{name}.log")))?;
        let mut command = Command::new(self.programs.join(name));
        command.args(flags).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        for (flag, file) in files {
            command.arg(flag).arg(self.home.path().join(file));
        }
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        self.children.push((name.to_owned(), child));
        Ok(())
    }

    /// A new connection as the administrator.
    pub async fn connect(&self) -> Result<Client> {
        self.connect_as("admin").await
    }

    async fn connect_as(&self, user: &str) -> Result<Client> {
        let (address, tls) = kubeconfig::read(&self.home.path().join(format!("{user}.conf")))?;
        Client::connect(address, tls).await
    }

    /// The same as soon as there is a server that knows the administrator.
    pub async fn connect_patiently(&self) -> Result<Client> {
        let started = Instant::now();
        loop {
            // A request that comes too early may be held for a minute.
            let bound = tokio::time::timeout(ATTEMPT, self.bind()).await;
            match bound.unwrap_or_else(|late| Err(late.into())) {
                Ok(()) => return self.connect().await,
                Err(error) if started.elapsed() > PATIENCE => {
                    let log = std::fs::read_to_string(self.path("kube-apiserver.log")).unwrap_or_default();
                    let end: Vec<&str> = log.lines().rev().take(5).collect();
                    return Err(error.context(end.join("\n")));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    async fn bind(&self) -> Result<()> {
        let mut master = self.connect_as("master").await?;
        let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        if master.get(&format!("{path}/bench")).await.is_err() {
            let mut again = self.connect_as("master").await?;
            again.send(&https::post(path, BINDING.as_bytes())).await?;
        }
        Ok(())
    }

    /// What all of them use.
    pub fn usage(&self) -> Result<Usage> {
        let mut sum = Usage::default();
        for (_, child) in &self.children {
            let one = process::of_process(&PathBuf::from(format!("/proc/{}", child.id())))?;
            sum.pss_bytes += one.pss_bytes;
            sum.cpu_seconds += one.cpu_seconds;
            sum.written_bytes += one.written_bytes;
        }
        Ok(sum)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        for (_, child) in self.children.iter_mut().rev() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
