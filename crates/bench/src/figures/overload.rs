//! What others notice while two accounts do their worst: 256 clients that list 20,000 objects without end, and 200 that
//! send a body which never comes, by an account that may do nothing at all.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Group, at_most};
use crate::cluster::Cluster;
use crate::https::{self, Client};
use crate::load;
use crate::target::Target;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
const OBJECTS: usize = 20_000;
const WRITERS: usize = 32;
const LISTERS: usize = 256;
const SLOW: usize = 200;
/// The measurement begins when the crowd is there, …
const SETTLE: Duration = Duration::from_secs(5);
/// … and lasts so long.
const WINDOW: Duration = Duration::from_secs(30);
/// Time between two requests of the light client.
const PACE: Duration = Duration::from_millis(20);
/// Who was sent away, or lost the connection, comes again after this.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) const GROUP: Group = Group {
    figures: &[
        at_most("overload.healthz_p99_ms", "ms", 100.0),
        at_most("overload.light_p99_ms", "ms", 200.0),
        // The node renews its lease every ten seconds.
        at_most("overload.lease_gap_s", "s", 12.0),
    ],
    measure: |program| Box::pin(measure(program)),
};

async fn measure(program: PathBuf) -> Result<Vec<f64>> {
    let cluster = Cluster::up(&program, &["--detach"])?;
    let mut admin = cluster.connect().await?;
    let (lister, nobody) = (account(&mut admin, "lister").await?, account(&mut admin, "nobody").await?);
    let binding = json!({"metadata": {"name": "lister"}, "subjects": [{"kind": "ServiceAccount", "name": "lister"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}});
    let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    admin.post(bindings, binding.to_string().as_bytes()).await?;
    let target = Target::Ours(cluster);
    let mut writers = load::connect(&target, WRITERS).await?;
    load::run(&mut writers, OBJECTS, map).await?;
    drop(writers);
    let Target::Ours(cluster) = target else { unreachable!("made above") };

    let (address, tls) = cluster.outside()?;
    let crowd = crowd()?;
    for _ in 0..LISTERS {
        crowd.spawn(lists(address, tls.clone(), request("GET", MAPS, &lister, "")));
    }
    let slow = request("POST", MAPS, &nobody, "content-type: application/json\r\ncontent-length: 1000\r\n");
    for _ in 0..SLOW {
        crowd.spawn(dawdles(address, tls.clone(), slow.clone()));
    }
    tokio::time::sleep(SETTLE).await;
    let leases = tokio::spawn(lease_gap(cluster.connect().await?));
    let healthz = tokio::spawn(paced(cluster.connect().await?, |_| https::get("/healthz")));
    let light = tokio::spawn(paced(cluster.connect().await?, small));
    let values = vec![p99(healthz.await??), p99(light.await??), leases.await??];
    crowd.shutdown_background();
    cluster.down()?;
    Ok(values)
}

/// A runtime of its own for the crowd, whose threads give way to all others: else it would measure itself.
fn crowd() -> Result<tokio::runtime::Runtime> {
    let modest = || {
        // `PID/task/TID`.
        let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
        let thread = thread.file_name().map(std::ffi::OsStr::to_owned).unwrap_or_default();
        let renice = Command::new("renice").args(["-n", "19", "-p"]).arg(thread).stdout(Stdio::null()).status();
        if !renice.is_ok_and(|status| status.success()) {
            eprintln!("the crowd runs with the priority of all others");
        }
    };
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().on_thread_start(modest).build()?)
}

/// Makes an account and returns a token of it.
async fn account(admin: &mut Client, name: &str) -> Result<String> {
    admin.post(ACCOUNTS, json!({"metadata": {"name": name}}).to_string().as_bytes()).await?;
    let answer = admin.body(&https::post(&format!("{ACCOUNTS}/{name}/token"), br#"{"spec":{}}"#)).await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    Ok(answer["status"]["token"].as_str().context("no token")?.to_owned())
}

fn map(number: usize) -> Vec<u8> {
    let object = json!({"metadata": {"name": format!("overload-{number}")}, "data": {"text": "x".repeat(900)}});
    https::post(MAPS, object.to_string().as_bytes())
}

/// The head of a request with a token.
fn request(method: &str, path: &str, token: &str, more: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nhost: ironclad\r\nauthorization: Bearer {token}\r\n{more}\r\n").into_bytes()
}

async fn lists(address: SocketAddr, tls: Arc<rustls::ClientConfig>, list: Vec<u8>) {
    loop {
        if let Ok(mut client) = Client::connect(address, tls.clone()).await {
            while client.send(&list).await.is_ok() {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn dawdles(address: SocketAddr, tls: Arc<rustls::ClientConfig>, head: Vec<u8>) {
    loop {
        if let Ok(mut client) = Client::connect(address, tls.clone()).await
            && client.begin(&head).await.is_ok()
            && client.begin(b"{").await.is_ok()
        {
            // As long as the server lets it: the answer ends it, whatever it is.
            let _ = client.send(b"").await;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Reads one object, then writes one, and so on.
fn small(number: usize) -> Vec<u8> {
    if number.is_multiple_of(2) {
        return https::get(&format!("{MAPS}/overload-{}", number % OBJECTS));
    }
    let patch = format!(r#"{{"data":{{"n":"{number}"}}}}"#);
    https::request("PATCH", &format!("{MAPS}/overload-1"), "application/merge-patch+json", patch.as_bytes())
}

/// Times of requests one after the other, in milliseconds.
async fn paced(mut client: Client, make: fn(usize) -> Vec<u8>) -> Result<Vec<f64>> {
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < WINDOW {
        let sent = Instant::now();
        client.send(&make(times.len())).await?;
        times.push(sent.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(PACE).await;
    }
    Ok(times)
}

/// The longest time between two renewals of a node's lease, in seconds.
async fn lease_gap(mut client: Client) -> Result<f64> {
    let (began, mut last, mut gap) = (Instant::now(), None::<Instant>, 0.0_f64);
    let path = format!("{LEASES}?watch=1");
    let watch = client.watch(&path, |_| {
        if let Some(last) = last.replace(Instant::now()) {
            gap = gap.max(last.elapsed().as_secs_f64());
        }
        began.elapsed() >= WINDOW
    });
    // A lease that is not renewed at all is late, too.
    let ended = tokio::time::timeout(WINDOW * 2, watch).await;
    ended.map_or_else(|_| Ok(WINDOW.as_secs_f64()), |watched| watched.map(|()| gap))
}

fn p99(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}
