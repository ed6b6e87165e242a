//! Measures the disk engine: `cargo run --release -p store --example measure -- DIRECTORY`.
//! Prints durable writes per second with 1 and 64 writers, bytes written per byte stored, and the
//! time to open a store of about a gigabyte that was not closed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use store::{Disk, Durability, Expect, Op, Store, Write};

const VALUE: usize = 1024;

fn write(key: String, value: Bytes, durability: Durability) -> Write {
    Write { key: key.into(), expect: Expect::Absent, op: Op::Put(value), durability, note: None }
}

async fn rate(dir: &Path, writers: usize, each: usize) -> Result<f64, store::Error> {
    let store = Arc::new(Disk::open(dir)?);
    let start = Instant::now();
    let tasks = (0..writers).map(|w| {
        let store = store.clone();
        tokio::spawn(async move {
            for i in 0..each {
                let value = Bytes::from(vec![b'x'; VALUE]);
                store.commit(write(format!("/{writers}/{w}/{i}"), value, Durability::Sync)).await?;
            }
            Ok::<(), store::Error>(())
        })
    });
    for done in futures::future::join_all(tasks).await {
        done.map_err(|e| store::Error::Io(e.to_string()))??;
    }
    Ok((writers * each) as f64 / start.elapsed().as_secs_f64())
}

fn written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    text.lines().find_map(|l| l.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0)
}

#[tokio::main]
async fn main() -> Result<(), store::Error> {
    let dir = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "measure.store".to_owned()));
    println!("1 writer: {:.0} writes/s", rate(&dir.join("one"), 1, 5_000).await?);
    let before = written();
    println!("64 writers: {:.0} writes/s", rate(&dir.join("many"), 64, 1_000).await?);
    println!("bytes written per byte stored: {:.2}", (written() - before) as f64 / (64_000 * VALUE) as f64);
    let large = dir.join("large");
    let store = Disk::open(&large)?;
    for i in 0..1_000_000 {
        let durability = if i % 1000 == 999 { Durability::Sync } else { Durability::Lazy };
        store.commit(write(format!("/large/{i}"), Bytes::from(vec![b'x'; VALUE]), durability)).await?;
    }
    // As after kill -9: the files as they are now, opened by another owner.
    let copy = dir.join("killed");
    let io = |e: std::io::Error| store::Error::Io(e.to_string());
    std::fs::create_dir_all(&copy).map_err(io)?;
    for file in std::fs::read_dir(&large).map_err(io)?.flatten() {
        std::fs::copy(file.path(), copy.join(file.file_name())).map_err(io)?;
    }
    drop(store);
    let start = Instant::now();
    let opened = Disk::open(&copy)?;
    println!("open of {} entries after a kill: {:.2} s", opened.range("/", None, 0, None).await?.entries.len(), start.elapsed().as_secs_f64());
    Ok(())
}
