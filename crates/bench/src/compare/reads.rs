//! 20,000 ConfigMaps of 1 KB: one of them, all of them, patches, and the memory that they take.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::writes::create;
use super::{Group, Start, less, more};
use crate::https::{self, Client};
use crate::{figures, load};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const OBJECTS: usize = 20_000;
const CLIENTS: usize = 64;
const GETS: usize = 20_000;
const PATCHES: usize = 4_000;
const LISTS: usize = 5;

pub(super) const GROUP: Group = Group {
    name: "reads",
    rows: &[
        more("GET of one, 64 clients"),
        more("PATCH of one, 64 clients"),
        less("LIST of 20,000, cached", "ms"),
        less("LIST of 20,000, consistent", "ms"),
        less("memory with 20,000 (PSS)", "MB"),
    ],
    measure: |start| Box::pin(measure(start)),
};

async fn measure(start: &Start<'_>) -> Result<Vec<f64>> {
    let target = start.api().await?;
    let mut many = load::connect(&target, CLIENTS).await?;
    load::run(&mut many, OBJECTS, |n| create("a", n, 900)).await?;
    let gets = load::run(&mut many, GETS, |n| https::get(&format!("{MAPS}/a-{}", n % OBJECTS))).await?;
    let patches = load::run(&mut many, PATCHES, patch).await?;
    let cached = list(&mut many[0], &format!("{MAPS}?resourceVersion=0")).await?;
    let consistent = list(&mut many[0], MAPS).await?;
    let usage = target.usage()?;
    drop(many);
    target.end()?;
    Ok(vec![gets, patches, cached, consistent, usage.pss_bytes as f64 / 1e6])
}

fn patch(number: usize) -> Vec<u8> {
    let body = format!(r#"{{"metadata":{{"labels":{{"n":"{number}"}}}}}}"#);
    let path = format!("{MAPS}/a-{}", number % OBJECTS);
    https::request("PATCH", &path, "application/merge-patch+json", body.as_bytes())
}

async fn list(client: &mut Client, path: &str) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..LISTS {
        let began = Instant::now();
        let bytes = client.get(path).await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        ensure!(bytes > OBJECTS * 1000, "the list has only {bytes} bytes");
    }
    Ok(figures::median(times))
}
