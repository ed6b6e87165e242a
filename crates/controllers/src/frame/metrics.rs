//! Counters of one controller, named as upstream's workqueue metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters; only ever added to, except the depth.
#[derive(Debug, Default)]
pub struct Counters {
    /// Keys waiting (`workqueue_depth`).
    pub depth: AtomicU64,
    /// Keys worked on (`workqueue_adds_total`).
    pub worked: AtomicU64,
    /// Keys to be tried again after a failure (`workqueue_retries_total`).
    pub retries: AtomicU64,
    /// Panics caught.
    pub panics: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Prometheus text for the controller of this name.
    pub fn text(&self, name: &str) -> String {
        let value = |c: &AtomicU64| c.load(Ordering::Relaxed);
        format!(
            "workqueue_depth{{name=\"{name}\"}} {}\nworkqueue_adds_total{{name=\"{name}\"}} {}\n\
             workqueue_retries_total{{name=\"{name}\"}} {}\ncontroller_panics_total{{name=\"{name}\"}} {}\n",
            value(&self.depth),
            value(&self.worked),
            value(&self.retries),
            value(&self.panics),
        )
    }
}
