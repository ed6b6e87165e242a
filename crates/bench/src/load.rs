//! Many clients at once, each with its own connection and one request at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Result;

use crate::https::Client;
use crate::target::Target;

/// What the clients ask: the n-th request, ready to send.
pub type Make = fn(usize) -> Vec<u8>;

/// Connects so many clients.
pub async fn connect(target: &Target, count: usize) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(target.connect().await?);
    }
    Ok(clients)
}

/// Sends `count` requests over all clients and returns the answers per second. Every answer must be a success.
pub async fn run(clients: &mut Vec<Client>, count: usize, make: Make) -> Result<f64> {
    let (started, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for mut client in clients.drain(..) {
        let next = next.clone();
        tasks.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<_, anyhow::Error>(client);
                }
                client.send(&make(number)).await?;
            }
        }));
    }
    for task in tasks {
        clients.push(task.await??);
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}
