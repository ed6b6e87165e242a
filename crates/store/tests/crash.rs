//! Kills a writing process 50 times at random moments: no acknowledged write is lost.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use store::{Disk, Durability, Expect, Op, Store, Write};

const CHILD: &str = "IRONCLAD_STORE_CRASH_DIR";

fn write(key: String, value: &str) -> Write {
    let op = Op::Put(Bytes::copy_from_slice(value.as_bytes()));
    Write { key: key.into(), expect: Expect::Absent, op, durability: Durability::Sync, note: None }
}

/// The process that is killed: eight writers, each acknowledged write printed as "key revision".
#[tokio::main]
async fn child(dir: &Path) {
    let store = Arc::new(Disk::open(dir).expect("opens after a crash"));
    let start = store.revision();
    let writers = (0..8).map(|w| {
        let store = store.clone();
        tokio::spawn(async move {
            for i in 0.. {
                let key = format!("/crash/{start}-{w}-{i}");
                let (revision, _) = store.commit(write(key.clone(), &key.repeat(1 + i % 40))).await.expect("put");
                let line = format!("{key} {revision}\n");
                std::io::stdout().lock().write_all(line.as_bytes()).expect("parent listens");
            }
        })
    });
    futures::future::join_all(writers).await;
}

#[test]
fn fifty_kills_lose_nothing() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return child(Path::new(&dir));
    }
    let dir = tempfile::tempdir().expect("dir");
    let mut acknowledged: Vec<(String, u64)> = Vec::new();
    for round in 0..50 {
        let mut process = Command::new(std::env::current_exe().expect("exe"))
            .args(["fifty_kills_lose_nothing", "--exact", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let parse = |line: String| {
            let (key, revision) = line.split_once(' ')?;
            Some((key.starts_with("/crash/").then(|| key.to_owned())?, revision.parse::<u64>().ok()?))
        };
        // Wait for a first write, then let it run for a random moment.
        let first = lines.by_ref().find_map(parse).expect("the child writes");
        std::thread::park_timeout(Duration::from_micros(rand::rng().random_range(0..40_000)));
        process.kill().expect("kill -9");
        acknowledged.push(first);
        acknowledged.extend(lines.filter_map(parse));
        process.wait().expect("reaped");
        let revisions: std::collections::HashSet<u64> = acknowledged.iter().map(|(_, r)| *r).collect();
        assert_eq!(revisions.len(), acknowledged.len(), "round {round}: a revision was used twice");
    }
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let store = Disk::open(dir.path()).expect("opens");
    assert!(acknowledged.len() > 50);
    for (key, revision) in &acknowledged {
        let entry = runtime.block_on(store.get(key)).expect("get").unwrap_or_else(|| panic!("{key} is lost"));
        assert_eq!(entry.modified, *revision);
    }
}
