//! How often probes ended how, for `/metrics/probes` (upstream: `prober_probe_total`).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;

use super::Sort;
use crate::spec;
use crate::usage::prometheus::labels;

const NAME: &str = "prober_probe_total";
const HELP: &str = "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.";

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Result {
    /// As it should.
    Successful,
    /// Not so.
    Failed,
    /// It could not be made.
    Unknown,
}

impl Result {
    fn text(self) -> &'static str {
        match self {
            Result::Successful => "successful",
            Result::Failed => "failed",
            Result::Unknown => "unknown",
        }
    }
}

/// By uid of the pod; then by container, sort and result.
type Counts = BTreeMap<String, (String, String, BTreeMap<(String, Sort, Result), u64>)>;

/// The counts of all pods that are there.
#[derive(Default)]
pub struct Tally(Mutex<Counts>);

impl Tally {
    /// One more.
    pub fn count(&self, pod: &Pod, container: &str, sort: Sort, result: Result) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let named = || (spec::namespace(pod).to_owned(), spec::name(pod).to_owned(), BTreeMap::new());
        let (_, _, counts) = counts.entry(spec::uid(pod).to_owned()).or_insert_with(named);
        *counts.entry((container.to_owned(), sort, result)).or_insert(0) += 1;
    }

    /// A pod is gone.
    pub fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// In Prometheus' text format.
    pub fn print(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        if !counts.is_empty() {
            let _ = writeln!(text, "# HELP {NAME} {HELP}\n# TYPE {NAME} counter");
        }
        for (uid, (namespace, pod, counts)) in counts.iter() {
            for ((container, sort, result), count) in counts {
                let labels = labels(&[("container", container), ("namespace", namespace), ("pod", pod), ("pod_uid", uid),
                    ("probe_type", sort.title()), ("result", result.text())]);
                let _ = writeln!(text, "{NAME}{{{labels}}} {count}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_until_the_pod_is_gone() {
        let (tally, pod) = (Tally::default(), spec::tests::pod(serde_json::json!({"containers": []})));
        tally.count(&pod, "c", Sort::Liveness, Result::Successful);
        tally.count(&pod, "c", Sort::Liveness, Result::Successful);
        tally.count(&pod, "c", Sort::Readiness, Result::Failed);
        let own = r#"container="c",namespace="ns",pod="p",pod_uid="u1""#;
        let text = tally.print();
        assert!(text.contains(&format!("{NAME}{{{own},probe_type=\"Liveness\",result=\"successful\"}} 2\n")), "{text}");
        assert!(text.contains(&format!("{NAME}{{{own},probe_type=\"Readiness\",result=\"failed\"}} 1\n")), "{text}");
        tally.forget("u1");
        assert_eq!(tally.print(), "");
    }
}
