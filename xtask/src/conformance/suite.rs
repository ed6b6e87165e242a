//! One call of ginkgo: the suite's test binary with filters, and its report.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::report::{self, Row};
use super::select::Part;

/// What a run needs.
pub struct Suite {
    /// The ginkgo command, which runs several processes of the suite.
    pub ginkgo: PathBuf,
    /// The suite.
    pub e2e: PathBuf,
    /// The kubectl that the suite calls.
    pub kubectl: PathBuf,
    /// The cluster.
    pub kubeconfig: PathBuf,
    /// How many nodes the cluster has.
    pub nodes: usize,
    /// Where output and report go.
    pub output: PathBuf,
}

impl Suite {
    /// Runs a part; its output goes to a file.
    pub fn run(&self, part: &Part, procs: usize) -> Result<Vec<Row>> {
        std::fs::create_dir_all(&self.output).with_context(|| format!("create {}", self.output.display()))?;
        let log = self.output.join(format!("{}.log", part.name));
        let report = self.output.join(format!("{}.json", part.name));
        // A report of an earlier run is not this one's.
        if report.exists() {
            std::fs::remove_file(&report)?;
        }
        println!("running {}: output in {}", part.name, log.display());
        let out = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut ginkgo = Command::new(&self.ginkgo);
        ginkgo
            .arg("run")
            .arg(format!("--procs={}", if part.serial { 1 } else { procs }))
            .args(["--timeout=6h", "--no-color", "--silence-skips", "--vv", "--keep-going"])
            .args(part.arguments())
            .arg(format!("--output-dir={}", self.output.display()))
            .arg(format!("--json-report={}.json", part.name))
            .arg(&self.e2e)
            .arg("--")
            .args(self.flags())
            .env("KUBECONFIG", &self.kubeconfig)
            .stdout(out.try_clone()?)
            .stderr(out);
        let status = ginkgo.status().context("start ginkgo")?;
        if !report.is_file() {
            bail!("ginkgo ended ({status}) without a report: see {}", log.display());
        }
        report::read(&report)
    }

    /// Flags of the suite itself. What waits for the cluster as a whole waits a minute: it is up already.
    fn flags(&self) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", self.kubeconfig.display()),
            format!("--kubectl-path={}", self.kubectl.display()),
            "--provider=skeleton".into(),
            format!("--num-nodes={}", self.nodes),
            "--allowed-not-ready-nodes=0".into(),
            "--node-schedulable-timeout=1m".into(),
            "--system-pods-startup-timeout=1m".into(),
            "--dump-logs-on-failure=false".into(),
        ]
    }
}
