//! The pages below `/debug/api_priority_and_fairness` (upstream: `apf_controller_debug.go`).

use std::fmt::Write;
use std::time::Duration;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use meta::Attributes;

use super::Flow;
use super::level::Guest;
use super::queues::{Ticket, seconds};
use super::table::{Flowing, Placed};
use super::work::Work;

/// Rows of text in columns, as Go's `tabwriter` aligns them.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &[String], column: usize| row.get(column).map_or(0, |text| text.chars().count() + 1);
    // The widest with its comma, and one space.
    let wide: Vec<usize> = (0..columns).map(|c| rows.iter().map(|r| cell(r, c) + 1).max().unwrap_or(0).max(8)).collect();
    let mut out = String::new();
    for row in rows {
        for (column, text) in row.iter().enumerate() {
            if column + 1 == row.len() {
                out.push_str(text);
            } else {
                let _ = write!(out, "{:width$}", format!("{text},"), width = wide[column]);
            }
        }
        out.push('\n');
    }
    out
}

fn row<const N: usize>(cells: [&dyn ToString; N]) -> Vec<String> {
    cells.iter().map(|cell| cell.to_string()).collect()
}

const LEVEL_HEADINGS: [&str; 10] = [
    "PriorityLevelName",
    "ActiveQueues",
    "IsIdle",
    "IsQuiescing",
    "WaitingRequests",
    "ExecutingRequests",
    "DispatchedRequests",
    "RejectedRequests",
    "TimedoutRequests",
    "CancelledRequests",
];
const QUEUE_HEADINGS: [&str; 9] = [
    "PriorityLevelName",
    "Index",
    "PendingRequests",
    "ExecutingRequests",
    "SeatsInUse",
    "NextDispatchR",
    "InitialSeatsSum",
    "MaxSeatsSum",
    "TotalWorkSum",
];

fn headings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A line for each level.
pub fn levels(flow: &Flow) -> String {
    let mut rows = vec![headings(&LEVEL_HEADINGS)];
    for placed in &flow.table().levels {
        let inner = placed.level.lock();
        let (queues, counts) = (&inner.queues, inner.counts);
        let active = queues.queues.values().filter(|queue| !queue.waiting.is_empty()).count();
        rows.push(row([
            &placed.level.name,
            &active,
            &queues.is_idle(),
            &placed.leaving,
            &queues.waiting(),
            &queues.executing(),
            &counts.dispatched,
            &counts.rejected,
            &0,
            &counts.cancelled,
        ]));
    }
    table(&rows)
}

/// A line for each queue that has somebody.
pub fn queues(flow: &Flow) -> String {
    let mut rows = vec![headings(&QUEUE_HEADINGS)];
    for placed in &flow.table().levels {
        for (index, queue) in &placed.level.lock().queues.queues {
            let first: u32 = queue.waiting.iter().map(|one| one.work.first).sum();
            rows.push(row([
                &placed.level.name,
                index,
                &queue.waiting.len(),
                &queue.executing,
                &queue.seats,
                &format!("{:.8}ss", seconds(queue.next)),
                &first,
                &queue.seats_waiting,
                &format!("{:.8}ss", seconds(queue.work_waiting)),
            ]));
        }
    }
    table(&rows)
}

const REQUEST_HEADINGS: [&str; 10] = [
    "PriorityLevelName",
    "FlowSchemaName",
    "QueueIndex",
    "RequestIndexInQueue",
    "FlowDistingsher",
    "ArriveTime",
    "InitialSeats",
    "FinalSeats",
    "AdditionalLatency",
    "StartTime",
];
const DETAIL_HEADINGS: [&str; 8] =
    ["UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource"];

/// A request as the page shows it.
struct Shown<'a> {
    placed: &'a Placed,
    schemas: &'a [Flowing],
    queue: i64,
    index: i64,
    started: Option<Duration>,
    work: Work,
}

/// A line for each request that waits or runs.
pub fn requests(flow: &Flow, details: bool) -> String {
    let mut names = headings(&REQUEST_HEADINGS);
    if details {
        names.extend(headings(&DETAIL_HEADINGS));
    }
    let mut rows = vec![names];
    let all = flow.table();
    for placed in &all.levels {
        let inner = placed.level.lock();
        let mut show = |ticket: Ticket, queue: i64, index: i64, started, work| {
            if let Some(guest) = inner.guests.get(&ticket) {
                let shown = Shown { placed, schemas: &all.schemas, queue, index, started, work };
                rows.push(shown.row(guest, flow.began.elapsed(), details));
            }
        };
        for (place, queue) in &inner.queues.queues {
            for (index, one) in queue.waiting.iter().enumerate() {
                show(one.ticket, i64::from(*place), index as i64, None, one.work);
            }
        }
        for (ticket, place, started, work) in inner.queues.running() {
            show(ticket, place.map_or(-1, i64::from), -1, Some(started), work);
        }
    }
    table(&rows)
}

/// The time of day that was so long after the start, now being so long after it.
fn clock(at: Duration, now: Duration) -> String {
    let ago = SignedDuration::try_from(now.saturating_sub(at)).unwrap_or_default();
    Timestamp::now().checked_sub(ago).unwrap_or_default().to_string()
}

impl Shown<'_> {
    fn row(&self, guest: &Guest, now: Duration, details: bool) -> Vec<String> {
        // The path says the rest, and was read before.
        let mut a = crate::route::route(&Method::GET, guest.path(), None).unwrap_or_default().attributes;
        guest.user().clone_into(&mut a.user.name);
        guest.verb().clone_into(&mut a.verb);
        let schema = self.schemas.iter().find(|flowing| *flowing.schema.name == *guest.schema);
        let flow = schema.map_or("", |flowing| flowing.schema.flow(&a));
        let latency = format!("{:?}", self.work.linger);
        let mut cells = row([
            &self.placed.level.name,
            &guest.schema,
            &self.queue,
            &self.index,
            &flow,
            &clock(guest.arrived, now),
            &self.work.first,
            &self.work.last,
            &latency,
            &self.started.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| clock(at, now)),
        ]);
        if details {
            let Attributes { verb, path, namespace, name, group, version, resource, subresource, .. } = &a;
            let version = meta::names::join_api_version(group, version);
            cells.extend(row([&a.user.name, verb, path, namespace, name, &version, resource, subresource]));
        }
        cells
    }
}
