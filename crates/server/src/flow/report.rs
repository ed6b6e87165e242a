//! Metrics of flow control (upstream: `flowcontrol/metrics`).

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, Ordering};

use super::Flow;
use super::queues::Queues;
use super::table::{Flowing, Placed};
use super::tally::{Histogram, REASONS, Tally};
use super::timing::{Timing, Timings};
use crate::metrics::header;

/// One figure of a level.
type OfLevel = fn(&Placed, &Queues) -> f64;

/// Gauges of levels: name, help, value.
const OF_LEVELS: &[(&str, &str, OfLevel)] = &[
    ("nominal_limit_seats", "Nominal number of execution seats of each level", |p, _| f64::from(p.seats.nominal)),
    ("lower_limit_seats", "Lower bound of execution seats of each level", |p, _| f64::from(p.seats.least)),
    ("upper_limit_seats", "Upper bound of execution seats of each level", |p, _| f64::from(p.seats.most)),
    ("current_limit_seats", "Execution seats that each level has now", |p, _| f64::from(p.current)),
    ("target_seats", "Seats that each level wanted at the last division", |p, _| p.target),
    ("demand_seats_high_watermark", "Most seats that each level could have used", |p, _| p.demand.period.highest),
    ("demand_seats_average", "Mean of the seats that each level could have used", |p, _| p.demand.period.average),
    ("demand_seats_stdev", "Their standard deviation", |p, _| p.demand.period.deviation),
    ("demand_seats_smoothed", "Their smoothed envelope", |p, _| p.demand.smoothed),
    ("current_r", "Virtual time of each level", |_, q| q.gauges.now),
    ("dispatch_r", "Virtual time of the last dispatch", |_, q| q.gauges.dispatched),
    ("latest_s", "Virtual start of the request dispatched last", |_, q| q.gauges.start),
];

/// Lowest and highest virtual start.
type Starts = fn(&Queues) -> (f64, f64);

/// Bounds of virtual starts: name, help, lowest and highest.
const BOUNDS: &[(&str, &str, Starts)] = &[
    ("next_s_bounds", "Lowest and highest virtual start over the queues", |q| q.gauges.starts),
    ("next_discounted_s_bounds", "The same less the work in progress", |q| q.gauges.discounted),
];

/// One gauge of a schema.
type OfSchema = fn(&Tally) -> &AtomicI64;

/// Gauges of schemas.
const OF_SCHEMAS: &[(&str, &str, OfSchema)] = &[
    ("current_inqueue_requests", "Requests that wait", |t| &t.waiting.0),
    ("current_inqueue_seats", "Seats that are waited for", |t| &t.waiting.1),
    ("current_executing_requests", "Requests that run", |t| &t.executing.0),
    ("current_executing_seats", "Seats of those that run", |t| &t.executing.1),
];

fn name(rest: &str) -> String {
    format!("apiserver_flowcontrol_{rest}")
}

/// Appends all metrics.
pub fn metrics(flow: &Flow, out: &mut String) {
    let table = flow.table();
    for (rest, help, value) in OF_LEVELS {
        header(out, &name(rest), "gauge", help);
        for placed in &table.levels {
            let value = value(placed, &placed.level.lock().queues);
            let _ = writeln!(out, r#"{}{{priority_level="{}"}} {value}"#, name(rest), placed.level.name);
        }
    }
    for (rest, help, bounds) in BOUNDS {
        header(out, &name(rest), "gauge", help);
        for placed in &table.levels {
            let (least, most) = bounds(&placed.level.lock().queues);
            for (bound, value) in [("min", least), ("max", most)] {
                let labels = format!(r#"bound="{bound}",priority_level="{}""#, placed.level.name);
                let _ = writeln!(out, "{}{{{labels}}} {value}", name(rest));
            }
        }
    }
    header(out, &name("seat_fair_frac"), "gauge", "Part of its target that a level gets which is at no bound");
    let _ = writeln!(out, "{} {}", name("seat_fair_frac"), flow.fraction());
    header(out, &name("held_bytes"), "gauge", "Bytes of bodies that are read and of answers that were not taken yet");
    let _ = writeln!(out, "{} {}", name("held_bytes"), flow.budget.held());
    timings(&table.levels, out);
    of_schemas(&table.schemas, out);
    histograms(&table.schemas, out);
}

fn labels(tally: &Tally) -> String {
    format!(r#"flow_schema="{}",priority_level="{}""#, tally.schema, tally.level)
}

fn of_schemas(schemas: &[Flowing], out: &mut String) {
    for (rest, help, value) in OF_SCHEMAS {
        header(out, &name(rest), "gauge", help);
        for Flowing { tally, .. } in schemas {
            let _ = writeln!(out, "{}{{{}}} {}", name(rest), labels(tally), value(tally).load(Ordering::Relaxed));
        }
    }
    header(out, &name("dispatched_requests_total"), "counter", "Requests that were let run");
    for Flowing { tally, .. } in schemas {
        let count = tally.dispatched.load(Ordering::Relaxed);
        let _ = writeln!(out, "{}{{{}}} {count}", name("dispatched_requests_total"), labels(tally));
    }
    header(out, &name("rejected_requests_total"), "counter", "Requests that were refused");
    for Flowing { tally, .. } in schemas {
        for ((_, reason), count) in REASONS.iter().zip(tally.refused()).filter(|(_, count)| *count > 0) {
            let labels = format!(r#"{},reason="{reason}""#, labels(tally));
            let _ = writeln!(out, "{}{{{labels}}} {count}", name("rejected_requests_total"));
        }
    }
}

fn histograms(schemas: &[Flowing], out: &mut String) {
    let each = |out: &mut String, rest: &str, help: &str, write: &dyn Fn(&mut String, &Tally, &str)| {
        header(out, &name(rest), "histogram", help);
        schemas.iter().for_each(|flowing| write(out, &flowing.tally, &name(rest)));
    };
    each(out, "request_wait_duration_seconds", "Time waited in a queue", &|out, tally, name| {
        histogram(out, name, &format!(r#"execute="true",{}"#, labels(tally)), &tally.waited.0);
        histogram(out, name, &format!(r#"execute="false",{}"#, labels(tally)), &tally.waited.1);
    });
    each(out, "request_execution_seconds", "Time run", &|out, tally, name| {
        histogram(out, name, &format!(r#"{},type="watch""#, labels(tally)), &tally.ran.0);
        histogram(out, name, &format!(r#"{},type="regular""#, labels(tally)), &tally.ran.1);
    });
    each(out, "request_queue_length_after_enqueue", "Length of its queue as each request found it", &|out, tally, name| {
        histogram(out, name, &labels(tally), &tally.lengths);
    });
    each(out, "work_estimated_seats", "Seats of each request", &|out, tally, name| {
        histogram(out, name, &labels(tally), &tally.seats);
    });
    each(out, "watch_count_samples", "Watchers of each change", &|out, tally, name| {
        histogram(out, name, &labels(tally), &tally.watchers);
    });
}

/// Histograms of levels over time: name, help, further labels, which.
type OverTime = (&'static str, &'static str, &'static str, fn(&Timings) -> &Timing);

const OVER_TIME: &[OverTime] = &[
    ("priority_level_seat_utilization", "Seats in use, as a part of all", r#"phase="executing","#, |t| &t.seats),
    ("demand_seats", "Seats that each level could use, as a part of those that it has", "", |t| &t.demand),
    ("priority_level_request_utilization", "Requests, as a part of what there may be", r#"phase="waiting","#, |t| &t.waiting),
    ("priority_level_request_utilization", "", r#"phase="executing","#, |t| &t.executing),
];

fn timings(levels: &[Placed], out: &mut String) {
    for (rest, help, more, timing) in OVER_TIME {
        if !help.is_empty() {
            header(out, &name(rest), "histogram", help);
        }
        for placed in levels {
            let read = timing(&placed.level.lock().queues.timings).read();
            write_histogram(out, &name(rest), &format!(r#"{more}priority_level="{}""#, placed.level.name), read);
        }
    }
    let rest = "request_dispatch_no_accommodation_total";
    header(out, &name(rest), "counter", "Times that the one whose turn it was found too few seats");
    for placed in levels {
        for (schema, count) in &placed.level.lock().cramped {
            let labels = format!(r#"flow_schema="{schema}",priority_level="{}""#, placed.level.name);
            let _ = writeln!(out, "{}{{{labels}}} {count}", name(rest));
        }
    }
}

/// Appends a histogram in which something was counted.
fn histogram<const N: usize>(out: &mut String, name: &str, labels: &str, histogram: &Histogram<N>) {
    write_histogram(out, name, labels, histogram.read());
}

fn write_histogram(out: &mut String, name: &str, labels: &str, (counts, sum, all): (Vec<(f64, u64)>, f64, u64)) {
    if all == 0 {
        return;
    }
    for (bound, count) in counts {
        let _ = writeln!(out, r#"{name}_bucket{{{labels},le="{bound}"}} {count}"#);
    }
    let _ = writeln!(out, r#"{name}_bucket{{{labels},le="+Inf"}} {all}"#);
    let _ = writeln!(out, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {all}");
}
