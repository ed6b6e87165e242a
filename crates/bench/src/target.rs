//! What is measured: a cluster of Ironclad, or upstream's own programs. Ended when it is dropped.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::https::Client;
use crate::process::Usage;
use crate::upstream::Upstream;

/// One of the two.
pub enum Target {
    /// A whole cluster.
    Ours(Cluster),
    /// etcd, kube-apiserver, and what a measurement needs besides.
    Upstream(Upstream),
}

impl Target {
    /// A cluster of ours that is ready.
    pub fn ours(program: &Path) -> Result<Self> {
        Ok(Target::Ours(Cluster::up(program, &["--detach"])?))
    }

    /// A new connection as an administrator whom RBAC lets in.
    pub async fn connect(&self) -> Result<Client> {
        match self {
            Target::Ours(cluster) => cluster.connect().await,
            Target::Upstream(upstream) => upstream.connect().await,
        }
    }

    /// A connection as soon as the server says that it is ready.
    pub async fn ready(&self) -> Result<Client> {
        loop {
            let mut client = match self {
                Target::Ours(cluster) => cluster.connect_patiently().await?,
                Target::Upstream(upstream) => upstream.connect_patiently().await?,
            };
            let asked = tokio::time::timeout(Duration::from_millis(500), client.get("/readyz")).await;
            if asked.is_ok_and(|answer| answer.is_ok()) {
                return Ok(client);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Watches until so many objects are there. A server may end the watch of a slow client: it begins anew then,
    /// with all that are there.
    pub async fn appear(&self, path: &str, count: usize) -> Result<()> {
        loop {
            let (mut client, mut left) = (self.connect().await?, count);
            let watch = client.watch(path, |line| {
                left -= usize::from(line.starts_with(br#"{"type":"ADDED""#)).min(left);
                left == 0
            });
            match watch.await {
                Ok(()) => return Ok(()),
                Err(error) => eprintln!("{path}: {error}, watching again"),
            }
        }
    }

    /// What all its processes use.
    pub fn usage(&self) -> Result<Usage> {
        match self {
            Target::Ours(cluster) => cluster.usage(),
            Target::Upstream(upstream) => upstream.usage(),
        }
    }

    /// Ends it and removes everything.
    pub fn end(self) -> Result<()> {
        match self {
            Target::Ours(cluster) => cluster.down(),
            Target::Upstream(upstream) => {
                drop(upstream);
                Ok(())
            }
        }
    }
}
