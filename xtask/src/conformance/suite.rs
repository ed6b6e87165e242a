//! The suite's test binary: what specs it has, and runs of some of them.
//!
//! Several processes run at a time, each with a few specs by name. A spec that brings its process down (upstream has
//! assertions in goroutines of their own) so costs only itself its result.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use super::report::{self, Outcome, Row};

/// A process has at most so many specs, and no more than are expected to take a minute: starting it costs two
/// seconds, and what is in one process waits for one another.
const BATCH: usize = 16;
const BATCH_SECONDS: f64 = 60.0;

/// What a run needs.
pub struct Suite {
    /// The suite.
    pub e2e: PathBuf,
    /// The kubectl that the suite calls.
    pub kubectl: PathBuf,
    /// The cluster.
    pub kubeconfig: PathBuf,
    /// How many nodes the cluster has.
    pub nodes: usize,
    /// Where output and reports go.
    pub output: PathBuf,
}

impl Suite {
    /// All specs; those that match count as passed, the others as not run.
    pub fn list(&self, focus: Option<&str>) -> Result<Vec<Row>> {
        let mut filters = vec!["--ginkgo.dry-run".to_owned()];
        filters.extend(focus.map(|pattern| format!("--ginkgo.focus={pattern}")));
        let log = self.output.join("list.log");
        self.start(&filters, "list")?.with_context(|| format!("the suite does not list its specs: see {}", log.display()))
    }

    /// Runs the specs, so many processes at a time, those that are expected to take longest first. Each result is
    /// printed as soon as it is there.
    pub fn run(&self, specs: &[Row], processes: usize) -> Result<Vec<Row>> {
        let queue = Mutex::new(batches(specs));
        let rows = Mutex::new(Vec::new());
        let number = AtomicUsize::new(0);
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let worker = || -> Result<()> {
            while let Some(batch) = next() {
                let name = format!("{:03}", number.fetch_add(1, Ordering::Relaxed));
                let done = self.batch(&batch, &name)?;
                done.iter().for_each(report::print);
                rows.lock().unwrap_or_else(PoisonError::into_inner).extend(done);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..processes.max(1)).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(_) => bail!("a worker of the suite panicked"),
            })
        })?;
        Ok(rows.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs specs in one process; when it comes down, each in one of its own.
    fn batch(&self, specs: &[Row], name: &str) -> Result<Vec<Row>> {
        let names: Vec<String> = specs.iter().map(|spec| escape(&spec.name)).collect();
        let filter = format!("--ginkgo.focus=^Kubernetes e2e suite ({})$", names.join("|"));
        if let Some(mut rows) = self.start(&[filter], name)? {
            rows.retain(|row| row.outcome != Outcome::NotRun);
            return Ok(rows);
        }
        let [spec] = specs else {
            let single = |(at, spec): (usize, &Row)| self.batch(std::slice::from_ref(spec), &format!("{name}-{at:02}"));
            let rows: Result<Vec<Vec<Row>>> = specs.iter().enumerate().map(single).collect();
            return Ok(rows?.concat());
        };
        let line = format!("the suite's process came down: {}.log", name);
        Ok(vec![Row { outcome: Outcome::Failed, line, ..spec.clone() }])
    }

    /// One process: the rows of its report, if it has written one.
    fn start(&self, filters: &[String], name: &str) -> Result<Option<Vec<Row>>> {
        std::fs::create_dir_all(&self.output).with_context(|| format!("create {}", self.output.display()))?;
        let log = self.output.join(format!("{name}.log"));
        let report = self.output.join(format!("{name}.json"));
        remove(&report)?;
        let out = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut suite = Command::new(&self.e2e);
        suite
            .args(["--ginkgo.timeout=6h", "--ginkgo.no-color", "--ginkgo.silence-skips", "--ginkgo.vv"])
            .args(filters)
            .arg(format!("--ginkgo.json-report={}", report.display()))
            .args(self.flags())
            .env("KUBECONFIG", &self.kubeconfig)
            .current_dir(&self.output)
            .stdout(out.try_clone()?)
            .stderr(out);
        suite.status().with_context(|| format!("start {}", self.e2e.display()))?;
        if !report.is_file() {
            return Ok(None);
        }
        let rows = report::read(&report)?;
        // All 7,900 specs are in each report.
        remove(&report)?;
        Ok(Some(rows))
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

/// The specs, the longest first, in pieces for one process each.
fn batches(specs: &[Row]) -> VecDeque<Vec<Row>> {
    let mut sorted = specs.to_vec();
    sorted.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let mut batches: VecDeque<Vec<Row>> = VecDeque::new();
    let mut seconds = 0.0;
    for spec in sorted {
        match batches.back_mut() {
            Some(batch) if batch.len() < BATCH && seconds + spec.seconds <= BATCH_SECONDS => {
                seconds += spec.seconds;
                batch.push(spec);
            }
            _ => {
                seconds = spec.seconds;
                batches.push_back(vec![spec]);
            }
        }
    }
    batches
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The text as a regular expression that matches it alone.
fn escape(text: &str) -> String {
    let special = |c: char| r"\.+*?()|[]{}^$".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, seconds: f64) -> Row {
        Row { name: name.into(), file: String::new(), outcome: Outcome::Passed, seconds, line: String::new(), conformance: true }
    }

    #[test]
    fn names_are_matched_literally() {
        assert_eq!(escape("[sig-node] Pods should (x) 1.5"), r"\[sig-node\] Pods should \(x\) 1\.5");
    }

    #[test]
    fn long_specs_come_first_and_have_a_process_of_their_own() {
        let specs = [spec("a", 1.0), spec("b", 300.0), spec("c", 40.0), spec("d", 30.0)];
        let batches = batches(&specs);
        let names: Vec<Vec<&str>> = batches.iter().map(|b| b.iter().map(|s| s.name.as_str()).collect()).collect();
        assert_eq!(names, [vec!["b"], vec!["c"], vec!["d", "a"]]);
    }
}
