//! The API server and its store under load, over HTTPS, as a cluster administrator whom RBAC lets in.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Group, at_least, at_most, up};
use crate::target::Target;
use crate::{https, load};

/// Where the objects go.
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Objects for the list and the memory.
const OBJECTS: usize = 20_000;
const CLIENTS: usize = 64;
const ALONE: usize = 4_000;
const GETS: usize = 120_000;
const LISTS: usize = 9;
/// Memory is looked at when what the load left behind is given back.
const SETTLE: Duration = Duration::from_secs(5);

pub(super) const GROUP: Group = Group {
    figures: &[
        at_least("api.create_c1_per_s", "1/s", 2_500.0),
        at_least("api.create_c64_per_s", "1/s", 15_000.0),
        at_least("api.get_c64_per_s", "1/s", 30_000.0),
        at_most("api.create_cpu_us", "µs", 200.0),
        at_most("api.get_cpu_us", "µs", 30.0),
        at_most("api.list20k_ms", "ms", 40.0),
        at_most("api.pss20k_mb", "MB", 150.0),
    ],
    measure: |program| Box::pin(measure(program)),
};

async fn measure(program: PathBuf) -> Result<Vec<f64>> {
    let cluster = Target::ours(&program)?;
    let mut one = load::connect(&cluster, 1).await?;
    let alone = load::run(&mut one, ALONE, create).await?;
    let mut many = load::connect(&cluster, CLIENTS).await?;
    let begun = cluster.usage()?.cpu_seconds;
    let together = load::run(&mut many, OBJECTS - ALONE, |n| create(ALONE + n)).await?;
    let created = cluster.usage()?.cpu_seconds;
    let gets = load::run(&mut many, GETS, get).await?;
    let got = cluster.usage()?.cpu_seconds;
    // What the server works for each does not depend on who else has the processors.
    let each = |seconds: f64, requests: usize| seconds * 1e6 / requests as f64;
    let work = (each(created - begun, OBJECTS - ALONE), each(got - created, GETS));
    let mut lists = Vec::new();
    for _ in 0..LISTS {
        let started = Instant::now();
        let length = one[0].get(MAPS).await?;
        lists.push(started.elapsed().as_secs_f64() * 1e3);
        anyhow::ensure!(length > OBJECTS * 1000, "the list has only {length} bytes");
    }
    drop((one, many));
    tokio::time::sleep(SETTLE).await;
    let usage = cluster.usage()?;
    cluster.end()?;
    Ok(vec![alone, together, gets, work.0, work.1, up::median(lists), usage.pss_bytes as f64 / 1e6])
}

/// The request that creates a ConfigMap of 1 KB.
fn create(number: usize) -> Vec<u8> {
    let data = "x".repeat(900);
    let body = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"bench-{number}"}},"data":{{"text":"{data}"}}}}"#
    );
    https::post(MAPS, body.as_bytes())
}

fn get(number: usize) -> Vec<u8> {
    https::get(&format!("{MAPS}/bench-{}", number % OBJECTS))
}
