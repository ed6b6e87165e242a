//! Counts of questions and answers, by CoreDNS' names.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::corefile::values::{CODES, code_name};
use crate::limits::SERIES;

/// Upper bounds of the classes of durations, in seconds (CoreDNS: `plugin.TimeBuckets`).
const BOUNDS: [f64; 16] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
];

/// Everything that was counted, by zone and type.
#[derive(Default)]
pub(crate) struct Metrics(Mutex<BTreeMap<(String, String), Arc<Series>>>);

/// What was counted of one zone and type.
#[derive(Default)]
pub(crate) struct Series {
    udp: AtomicU64,
    tcp: AtomicU64,
    /// By code, as in [`CODES`]; the last is any other.
    codes: [AtomicU64; CODES.len() + 1],
    /// By duration; the last is anything longer.
    durations: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Metrics {
    /// The counts of a zone and type.
    pub(crate) fn series(&self, zone: &str, kind: RecordType) -> Arc<Series> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Anybody may ask for any of 65,536 types.
        let kind = match kind {
            RecordType::Unknown(_) => "other".to_owned(),
            kind => kind.to_string(),
        };
        let key = (zone.to_owned(), kind);
        if all.len() >= SERIES && !all.contains_key(&key) {
            return all.entry(("other".to_owned(), "other".to_owned())).or_default().clone();
        }
        all.entry(key).or_default().clone()
    }

    /// In the form that Prometheus reads.
    pub(crate) fn text(&self) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut out = String::from(
            "# HELP coredns_dns_requests_total Counter of DNS requests made per zone, protocol and family.\n\
             # TYPE coredns_dns_requests_total counter\n",
        );
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        for ((zone, kind), series) in &all {
            for (proto, count) in [("udp", get(&series.udp)), ("tcp", get(&series.tcp))].into_iter().filter(|(_, n)| *n > 0) {
                let labels = format!("family=\"1\",proto=\"{proto}\",server=\"dns\",type=\"{kind}\",view=\"\",zone=\"{zone}\"");
                let _ = writeln!(out, "coredns_dns_requests_total{{{labels}}} {count}");
            }
        }
        out.push_str(
            "# HELP coredns_dns_responses_total Counter of response status codes.\n\
             # TYPE coredns_dns_responses_total counter\n",
        );
        let mut zones: BTreeMap<&str, Vec<&Series>> = BTreeMap::new();
        all.iter().for_each(|((zone, _), series)| zones.entry(zone).or_default().push(series));
        for (zone, series) in &zones {
            for at in 0..=CODES.len() {
                let count: u64 = series.iter().map(|s| get(&s.codes[at])).sum();
                let code = CODES.get(at).map_or_else(|| "other".to_owned(), |(_, code)| code_name(*code));
                if count > 0 {
                    let labels = format!("plugin=\"\",rcode=\"{code}\",server=\"dns\",view=\"\",zone=\"{zone}\"");
                    let _ = writeln!(out, "coredns_dns_responses_total{{{labels}}} {count}");
                }
            }
        }
        out.push_str(
            "# HELP coredns_dns_request_duration_seconds Histogram of the time (in seconds) each request took per zone.\n\
             # TYPE coredns_dns_request_duration_seconds histogram\n",
        );
        for (zone, series) in &zones {
            histogram(&mut out, zone, series);
        }
        out
    }
}

fn histogram(out: &mut String, zone: &str, series: &[&Series]) {
    let (name, labels) = ("coredns_dns_request_duration_seconds", format!("server=\"dns\",view=\"\",zone=\"{zone}\""));
    let mut sum = 0;
    for at in 0..=BOUNDS.len() {
        sum += series.iter().map(|s| s.durations[at].load(Ordering::Relaxed)).sum::<u64>();
        let bound = BOUNDS.get(at).map_or_else(|| "+Inf".to_owned(), f64::to_string);
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {sum}");
    }
    let nanoseconds: u64 = series.iter().map(|s| s.nanoseconds.load(Ordering::Relaxed)).sum();
    let seconds = Duration::from_nanos(nanoseconds).as_secs_f64();
    let _ = writeln!(out, "{name}_sum{{{labels}}} {seconds}\n{name}_count{{{labels}}} {sum}");
}

impl Series {
    /// Counts one question and its answer.
    pub(crate) fn count(&self, code: ResponseCode, tcp: bool, took: Duration) {
        let add = |count: &AtomicU64, more: u64| count.fetch_add(more, Ordering::Relaxed);
        add(if tcp { &self.tcp } else { &self.udp }, 1);
        let code = CODES.iter().position(|(_, known)| *known == code).unwrap_or(CODES.len());
        add(&self.codes[code], 1);
        let seconds = took.as_secs_f64();
        let class = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        add(&self.durations[class], 1);
        add(&self.nanoseconds, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_counted_by_zone_and_type() {
        let metrics = Metrics::default();
        let series = metrics.series(".", RecordType::A);
        series.count(ResponseCode::NoError, false, Duration::from_micros(300));
        series.count(ResponseCode::NXDomain, true, Duration::from_secs(60));
        metrics.series(".", RecordType::AAAA).count(ResponseCode::NoError, false, Duration::ZERO);
        let text = metrics.text();
        for line in [
            "coredns_dns_requests_total{family=\"1\",proto=\"udp\",server=\"dns\",type=\"A\",view=\"\",zone=\".\"} 1",
            "coredns_dns_responses_total{plugin=\"\",rcode=\"NOERROR\",server=\"dns\",view=\"\",zone=\".\"} 2",
            "coredns_dns_responses_total{plugin=\"\",rcode=\"NXDOMAIN\",server=\"dns\",view=\"\",zone=\".\"} 1",
            "coredns_dns_request_duration_seconds_bucket{server=\"dns\",view=\"\",zone=\".\",le=\"0.00025\"} 1",
            "coredns_dns_request_duration_seconds_bucket{server=\"dns\",view=\"\",zone=\".\",le=\"0.0005\"} 2",
            "coredns_dns_request_duration_seconds_bucket{server=\"dns\",view=\"\",zone=\".\",le=\"+Inf\"} 3",
            "coredns_dns_request_duration_seconds_count{server=\"dns\",view=\"\",zone=\".\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn there_are_so_many_series_and_no_more() {
        let metrics = Metrics::default();
        for zone in 0..SERIES + 9 {
            metrics.series(&format!("{zone}.example."), RecordType::A).count(ResponseCode::NoError, false, Duration::ZERO);
        }
        (0..999).for_each(|kind| drop(metrics.series(".", RecordType::Unknown(60000 + kind))));
        assert_eq!(metrics.0.lock().expect("no panic").len(), SERIES + 1);
    }
}
