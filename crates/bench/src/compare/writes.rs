//! Durable creates of ConfigMaps, of 1 KB and of 64 KB, by one client and by 64.

use anyhow::Result;

use super::{Group, Start, more};
use crate::{https, load};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const CLIENTS: usize = 64;

pub(super) const GROUP: Group = Group {
    name: "writes",
    rows: &[
        more("create 1 KB, 1 client"),
        more("create 1 KB, 64 clients"),
        more("create 64 KB, 1 client"),
        more("create 64 KB, 64 clients"),
    ],
    measure: |start| Box::pin(measure(start)),
};

async fn measure(start: &Start<'_>) -> Result<Vec<f64>> {
    let target = start.api().await?;
    let mut one = load::connect(&target, 1).await?;
    let mut many = load::connect(&target, CLIENTS).await?;
    let values = vec![
        load::run(&mut one, 1_000, |n| create("a", n, 900)).await?,
        load::run(&mut many, 10_000, |n| create("b", n, 900)).await?,
        load::run(&mut one, 300, |n| create("c", n, 65_000)).await?,
        load::run(&mut many, 1_000, |n| create("d", n, 65_000)).await?,
    ];
    drop((one, many));
    target.end()?;
    Ok(values)
}

/// The request that creates a ConfigMap with so many bytes of data.
pub(super) fn create(prefix: &str, number: usize, bytes: usize) -> Vec<u8> {
    let data = "x".repeat(bytes);
    let body = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{prefix}-{number}"}},"data":{{"text":"{data}"}}}}"#
    );
    https::post(MAPS, body.as_bytes())
}
