//! Counters of requests, and their text form (upstream: `endpoints/metrics`, names and labels alike).

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use meta::Attributes;

/// Upper bounds of the duration histogram, in seconds: upstream's.
const BUCKETS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];

/// Requests with the same labels.
#[derive(Debug)]
struct Series {
    /// `verb="GET",group="",…` without the code.
    labels: String,
    code: u16,
    count: AtomicU64,
    micros: AtomicU64,
    /// Not cumulative; the last one is beyond all bounds.
    buckets: [AtomicU64; BUCKETS.len() + 1],
}

/// All requests so far. Counting takes a shared lock and a few atomic additions.
#[derive(Debug, Default)]
pub struct Metrics {
    series: RwLock<HashMap<u64, Arc<Series>>>,
    panics: AtomicU64,
}

impl Metrics {
    /// Counts one request. `known`: its resource is served; others are counted together, so that the
    /// number of series stays bounded.
    pub fn count(&self, attributes: &Attributes, known: bool, code: u16, took: Duration) {
        let parts = Parts::new(attributes, known);
        let mut hasher = DefaultHasher::new();
        (&parts, code).hash(&mut hasher);
        let key = hasher.finish();
        let found = self.series.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let series = found.unwrap_or_else(|| {
            let mut all = self.series.write().unwrap_or_else(PoisonError::into_inner);
            all.entry(key).or_insert_with(|| Arc::new(Series::new(parts.labels(), code))).clone()
        });
        series.add(took);
    }

    /// Counts a request that panicked.
    pub fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything in Prometheus' text format.
    pub fn write(&self, running: (usize, usize), out: &mut String) {
        let mut all: Vec<_> = self.series.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        all.sort_by(|a, b| (&a.labels, a.code).cmp(&(&b.labels, b.code)));
        header(out, "apiserver_request_total", "counter", "Requests by verb, resource and code.");
        for s in &all {
            let (count, code) = (s.count.load(Ordering::Relaxed), s.code);
            let _ = writeln!(out, r#"apiserver_request_total{{code="{code}",{}}} {count}"#, s.labels);
        }
        header(out, "apiserver_request_duration_seconds", "histogram", "Time to answer, in seconds.");
        durations(&all, out);
        header(out, "apiserver_current_inflight_requests", "gauge", "Requests that run now.");
        let _ = writeln!(out, r#"apiserver_current_inflight_requests{{request_kind="readOnly"}} {}"#, running.0);
        let _ = writeln!(out, r#"apiserver_current_inflight_requests{{request_kind="mutating"}} {}"#, running.1);
        header(out, "apiserver_request_panics_total", "counter", "Requests that panicked.");
        let _ = writeln!(out, "apiserver_request_panics_total {}", self.panics.load(Ordering::Relaxed));
    }
}

/// The `HELP` and `TYPE` lines of a metric.
pub fn header(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn durations(all: &[Arc<Series>], out: &mut String) {
    let mut merged: BTreeMap<&str, ([u64; BUCKETS.len() + 1], u64)> = BTreeMap::new();
    for s in all {
        let (buckets, micros) = merged.entry(&s.labels).or_default();
        *micros += s.micros.load(Ordering::Relaxed);
        buckets.iter_mut().zip(&s.buckets).for_each(|(sum, one)| *sum += one.load(Ordering::Relaxed));
    }
    for (labels, (buckets, micros)) in merged {
        let mut sum = 0;
        for (at, count) in buckets.iter().enumerate() {
            sum += count;
            let bound = BUCKETS.get(at).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            let _ = writeln!(out, r#"apiserver_request_duration_seconds_bucket{{{labels},le="{bound}"}} {sum}"#);
        }
        let seconds = Duration::from_micros(micros).as_secs_f64();
        let _ = writeln!(out, "apiserver_request_duration_seconds_sum{{{labels}}} {seconds}");
        let _ = writeln!(out, "apiserver_request_duration_seconds_count{{{labels}}} {sum}");
    }
}

impl Series {
    fn new(labels: String, code: u16) -> Self {
        let (count, micros) = (AtomicU64::new(0), AtomicU64::new(0));
        Series { labels, code, count, micros, buckets: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// The labels of a request.
#[derive(Hash)]
struct Parts<'a> {
    verb: &'a str,
    group: &'a str,
    version: &'a str,
    resource: &'a str,
    subresource: &'a str,
    scope: &'static str,
}

impl<'a> Parts<'a> {
    fn new(a: &'a Attributes, known: bool) -> Self {
        let verb = match &*a.verb {
            "create" | "post" => "POST",
            "update" | "put" => "PUT",
            "patch" => "PATCH",
            "delete" => "DELETE",
            "deletecollection" => "DELETECOLLECTION",
            "list" => "LIST",
            "watch" => "WATCH",
            "get" => "GET",
            _ => "OTHER",
        };
        if !known {
            return Parts { verb, group: "", version: "", resource: "", subresource: "", scope: "" };
        }
        let scope = match (a.name.is_empty(), a.namespace.is_empty()) {
            (false, _) => "resource",
            (true, false) => "namespace",
            (true, true) => "cluster",
        };
        let Attributes { group, version, resource, subresource, .. } = a;
        Parts { verb, group, version, resource, subresource, scope }
    }

    fn labels(&self) -> String {
        format!(
            r#"component="apiserver",group="{}",resource="{}",scope="{}",subresource="{}",verb="{}",version="{}""#,
            self.group, self.resource, self.scope, self.subresource, self.verb, self.version
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_their_labels() {
        let metrics = Metrics::default();
        let a = Attributes { verb: "get".into(), version: "v1".into(), resource: "pods".into(), ..Default::default() };
        metrics.count(&a, true, 200, Duration::from_millis(30));
        metrics.count(&a, true, 200, Duration::from_millis(3));
        metrics.count(&a, true, 404, Duration::from_millis(3));
        let mut out = String::new();
        metrics.write((1, 2), &mut out);
        let labels =
            r#"component="apiserver",group="",resource="pods",scope="cluster",subresource="",verb="GET",version="v1""#;
        assert!(out.contains(&format!(r#"apiserver_request_total{{code="200",{labels}}} 2"#)), "{out}");
        assert!(out.contains(&format!(r#"seconds_bucket{{{labels},le="0.005"}} 2"#)), "{out}");
        assert!(out.contains(&format!("seconds_count{{{labels}}} 3")), "{out}");
    }
}
