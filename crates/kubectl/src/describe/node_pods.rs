//! What runs on a node, and how much of it is given away.

use std::collections::BTreeMap;

use meta::Quantity;
use serde_json::Value;

use super::page::Page;
use super::resources::{Amounts, Side, add, of_pod, read};
use super::time::since;
use super::tree::{list, text};
use crate::failure::Failure;
use crate::selection::encode;
use crate::session::Session;

/// So many pools of devices are shown.
const POOLS: usize = 10;

/// The pods of a node that have not ended; `None` without permission.
pub async fn list_of(session: &Session, node: &str) -> Result<Option<Vec<Value>>, Failure> {
    let selector = encode(&format!("spec.nodeName={node},status.phase!=Failed,status.phase!=Succeeded"));
    match session.items(&format!("/api/v1/pods?fieldSelector={selector}")).await {
        Ok(pods) => Ok(Some(pods)),
        Err(failure) if failure.reason() == "Forbidden" => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Writes the pods and the sums.
pub fn write(page: &mut Page, node: &Value, pods: &[Value]) {
    let allocatable = read(&node["status"]["allocatable"]);
    let allocatable = if allocatable.is_empty() { read(&node["status"]["capacity"]) } else { allocatable };
    page.field(0, "Non-terminated Pods", format!("({} in total)", pods.len()));
    page.headers(1, &["Namespace", "Name", "", "CPU Requests", "CPU Limits", "Memory Requests", "Memory Limits", "Age"]);
    for pod in pods {
        let sides = [of_pod(pod, Side::Requests, true), of_pod(pod, Side::Limits, true)];
        let metadata = &pod["metadata"];
        let mut row = vec![text(&metadata["namespace"]).to_owned(), text(&metadata["name"]).to_owned(), String::new()];
        for name in ["cpu", "memory"] {
            row.extend(sides.iter().map(|side| part(side, &allocatable, name)));
        }
        row.push(since(&metadata["creationTimestamp"]));
        page.row(1, &row);
    }
    page.line(0, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)");
    page.headers(1, &["Resource", "Requests", "Limits"]);
    let sums = [Side::Requests, Side::Limits].map(|side| {
        let mut sum = Amounts::new();
        pods.iter().for_each(|pod| add(&mut sum, &of_pod(pod, side, false)));
        sum
    });
    let pages = |name: &&String| name.starts_with("hugepages-");
    let standard = ["cpu", "memory", "ephemeral-storage"];
    let named = standard.into_iter().chain(allocatable.keys().filter(pages).map(String::as_str));
    for name in named {
        page.row(1, &[name.to_owned(), part(&sums[0], &allocatable, name), part(&sums[1], &allocatable, name)]);
    }
    for name in allocatable.keys().filter(|n| !pages(n) && !standard.contains(&n.as_str()) && *n != "pods") {
        let amount = |side: &Amounts| side.get(name).map_or("0".to_owned(), Quantity::to_string);
        page.row(1, &[name.clone(), amount(&sums[0]), amount(&sums[1])]);
    }
}

/// An amount and how many hundredths of the node it is: `250m (12%)`.
fn part(amounts: &Amounts, allocatable: &Amounts, name: &str) -> String {
    let measure = |q: &Quantity| if name == "cpu" { q.milli_value() } else { q.value() };
    let own = amounts.get(name).map_or(0, measure);
    let whole = allocatable.get(name).map_or(0, measure);
    let percent = if whole == 0 { 0 } else { (own as f64 / whole as f64 * 100.0) as i64 };
    format!("{} ({percent}%)", amounts.get(name).map_or("0".to_owned(), Quantity::to_string))
}

/// Writes the devices that the node alone has, by driver and pool.
pub fn slices(page: &mut Page, slices: &[Value]) {
    let mut pools: BTreeMap<String, (&str, &str, usize, usize)> = BTreeMap::new();
    for slice in slices {
        let (driver, pool) = (text(&slice["spec"]["driver"]), text(&slice["spec"]["pool"]["name"]));
        let known = pools.entry(format!("{driver}/{pool}")).or_insert((driver, pool, 0, 0));
        known.2 += 1;
        known.3 += list(&slice["spec"]["devices"]).len();
    }
    if pools.is_empty() {
        return;
    }
    page.line(0, "Node-Local ResourceSlices:");
    page.headers(1, &["Driver", "Pool", "Slices", "Devices"]);
    for (driver, pool, slices, devices) in pools.values().take(POOLS) {
        page.row(1, &[driver.to_string(), pool.to_string(), slices.to_string(), devices.to_string()]);
    }
    if pools.len() > POOLS {
        page.line(1, format!("...and {} more pools", pools.len() - POOLS));
    }
}
