//! 1,000 watchers of one object that changes 1,000 times: from a change to the moment when the last watcher has it.
//! The next change follows when all have the one before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Result;
use tokio::sync::Notify;

use super::{Group, Start, less};
use crate::{figures, https};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const WATCHERS: usize = 1_000;
const CHANGES: usize = 1_000;

pub(super) const GROUP: Group = Group {
    name: "fanout",
    rows: &[
        less("watch, 1,000 watchers: to the last, median", "ms"),
        less("watch, 1,000 watchers: to the last, 99th percentile", "ms"),
        // The times above are as much those of the client, which reads a million events on the same cores.
        less("watch, a million events: CPU of the server", "s"),
    ],
    measure: |start| Box::pin(measure(start)),
};

async fn measure(start: &Start<'_>) -> Result<Vec<f64>> {
    let target = start.api().await?;
    let mut writer = target.connect().await?;
    writer.post(MAPS, br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"w"}}"#).await?;
    let (arrived, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        let (mut client, arrived, all) = (target.connect().await?, arrived.clone(), all.clone());
        watchers.push(tokio::spawn(async move {
            let mut left = CHANGES + 1;
            let path = format!("{MAPS}?watch=1&fieldSelector=metadata.name%3Dw");
            client
                .watch(&path, |_| {
                    if (arrived.fetch_add(1, Ordering::AcqRel) + 1).is_multiple_of(WATCHERS) {
                        all.notify_one();
                    }
                    left -= 1;
                    left == 0
                })
                .await
        }));
    }
    // Every watcher begins with the object as it is.
    all.notified().await;
    let before = target.usage()?.cpu_seconds;
    let mut times = Vec::new();
    for number in 0..CHANGES {
        let body = format!(r#"{{"data":{{"n":"{number}"}}}}"#);
        let request = https::request("PATCH", &format!("{MAPS}/w"), "application/merge-patch+json", body.as_bytes());
        let began = Instant::now();
        writer.send(&request).await?;
        all.notified().await;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    for watcher in watchers {
        watcher.await??;
    }
    let cpu = target.usage()?.cpu_seconds - before;
    drop(writer);
    target.end()?;
    times.sort_by(f64::total_cmp);
    let late = times[times.len() * 99 / 100];
    Ok(vec![figures::median(times), late, cpu])
}
