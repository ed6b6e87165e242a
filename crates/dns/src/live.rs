//! The Corefile in force: that of the ConfigMap `kube-system/coredns`, taken as soon as it changes. One that is refused
//! leaves the last good one in force, and an event says which line is wrong, and why.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use client::{Informer, Recorder};
use hickory_proto::op::{Message, Query};
use k8s_openapi::api::core::v1::ConfigMap;
use meta::Key;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::corefile::Files;
use crate::http::{Board, Tell};
use crate::limits::{LIMITS, Permits};
use crate::plan::{self, Compiled};
use crate::respond::{Reply, Slot, reply};
use crate::serve::Server;
use crate::steps::Environment;

/// Namespace and name of the ConfigMap.
pub(crate) const NAMESPACE: &str = "kube-system";
pub(crate) const NAME: &str = "coredns";
/// The ConfigMap that distributions mount in `custom/` beside it, for what their users add.
pub(crate) const CUSTOM: &str = "coredns-custom";
/// The key of the Corefile.
const KEY: &str = "Corefile";

/// The servers of all addresses, and the Corefile they answer by.
pub(crate) struct Live {
    environment: Environment,
    domain: String,
    events: Recorder,
    forwarded: Arc<Permits>,
    listening: BTreeMap<SocketAddr, Listening>,
    /// Probes and metrics.
    telling: BTreeMap<u16, (Board, AbortHandle)>,
    tellers: JoinSet<()>,
    servers: JoinSet<(SocketAddr, io::Error)>,
    /// What was tried last.
    tried: Option<(String, Files)>,
}

struct Listening {
    slot: Slot,
    task: AbortHandle,
}

impl Live {
    /// Listens, and answers by the built-in Corefile.
    pub(crate) async fn start(environment: Environment, domain: String, events: Recorder) -> io::Result<Self> {
        let forwarded = Permits::new(LIMITS.forwarded, LIMITS.forwarded_each);
        let (listening, servers) = (BTreeMap::new(), JoinSet::new());
        let (telling, tellers) = (BTreeMap::new(), JoinSet::new());
        let mut live = Live { environment, domain, events, forwarded, listening, telling, tellers, servers, tried: None };
        let text = plan::default(&live.domain);
        let compiled = plan::compile(&text, &Files::new(), &live.environment).map_err(io::Error::other)?;
        live.tried = Some((text, Files::new()));
        live.take(compiled).await.map(|()| live)
    }

    /// Follows the ConfigMaps for ever. It returns only when something is broken.
    pub(crate) async fn follow(mut self, maps: &Informer<ConfigMap>, custom: &Informer<ConfigMap>) -> io::Error {
        let (changed, mut changes) = watch::channel(());
        for informer in [maps, custom] {
            let changed = changed.clone();
            informer.on_change(move |_| {
                changed.send_replace(());
            });
        }
        // What is not known yet is not absent.
        let known = async {
            maps.synced().await;
            custom.synced().await;
        };
        tokio::select! {
            () = known => {}
            error = self.ended() => return error,
        }
        loop {
            changes.mark_unchanged();
            let (map, more) = (maps.get(&Key::new(NAMESPACE, NAME)), custom.get(&Key::new(NAMESPACE, CUSTOM)));
            self.apply(map.as_deref(), more.as_deref()).await;
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return io::Error::other("the ConfigMap is not followed") },
                error = self.ended() => return error,
            }
        }
    }

    /// Waits until the server's own address is served no more; another one is given up.
    async fn ended(&mut self) -> io::Error {
        loop {
            match self.servers.join_next().await {
                Some(Ok((address, error))) if address == self.own() => return error,
                Some(Ok((address, error))) => {
                    tracing::error!(%error, %address, "an address of the cluster DNS is served no more");
                    self.listening.remove(&address);
                }
                Some(Err(end)) if end.is_cancelled() => {}
                Some(Err(_)) | None => return io::Error::other("a part of the cluster DNS has ended"),
            }
        }
    }

    /// Takes the ConfigMap as it is, or the built-in Corefile where there is none. The second one has files to import.
    pub(crate) async fn apply(&mut self, map: Option<&ConfigMap>, custom: Option<&ConfigMap>) {
        let mut files: Files = map.and_then(|map| map.data.clone()).unwrap_or_default();
        let more = custom.filter(|_| map.is_some()).and_then(|map| map.data.clone()).unwrap_or_default();
        files.extend(more.into_iter().map(|(name, text)| (format!("custom/{name}"), text)));
        let text = match (map, files.remove(KEY)) {
            (None, _) => plan::default(&self.domain),
            (Some(_), Some(text)) => text,
            (Some(_), None) => String::new(),
        };
        if self.tried.as_ref().is_some_and(|(t, f)| (t, f) == (&text, &files)) {
            return;
        }
        self.tried = Some((text.clone(), files.clone()));
        let environment = self.environment.clone();
        // Regular expressions may take their time.
        let compiled = tokio::task::spawn_blocking(move || plan::compile(&text, &files, &environment)).await;
        let taken = match compiled {
            Ok(Ok(compiled)) => self.take(compiled).await.map_err(|error| error.to_string()),
            Ok(Err(fault)) => Err(fault.to_string()),
            Err(_) => Err("the Corefile made the server panic".to_owned()),
        };
        match (taken, map) {
            (Ok(()), Some(map)) => self.events.event(map, "Normal", "CorefileLoaded", "the Corefile is in force"),
            (Ok(()), None) => tracing::info!("cluster DNS answers by the built-in Corefile"),
            (Err(why), Some(map)) => {
                tracing::warn!(error = %why, "the Corefile is refused");
                self.events.event(map, "Warning", "CorefileRefused", format!("{why}; the last good Corefile stays in force"));
            }
            (Err(why), None) => tracing::error!(error = %why, "the built-in Corefile is refused"),
        }
    }

    /// Puts a Corefile in force: as a whole, or not at all.
    async fn take(&mut self, compiled: Compiled) -> io::Result<()> {
        let mut new = Vec::new();
        for (address, plan) in &compiled.sockets {
            if !self.listening.contains_key(address) {
                let slot = Slot::new(plan.clone());
                let server = Server::bind(*address, slot.clone(), self.forwarded.clone(), LIMITS).await;
                let why = |error: io::Error| io::Error::new(error.kind(), format!("listen at {address}: {error}"));
                new.push((*address, slot, server.map_err(why)?));
            }
        }
        let mut boards = Vec::new();
        for (port, tells) in &compiled.tells {
            if !self.telling.contains_key(port) {
                let address = SocketAddr::new(self.environment.address, *port);
                let why = |error: io::Error| io::Error::new(error.kind(), format!("listen at {address}: {error}"));
                boards.push((*port, tells.clone(), TcpListener::bind(address).await.map_err(why)?));
            }
        }
        // Nothing fails from here on.
        self.tell(&compiled.tells, boards);
        for (address, slot, server) in new {
            let task = self.servers.spawn(async move { (address, server.run().await) });
            self.listening.insert(address, Listening { slot, task });
        }
        self.listening.retain(|address, listening| match compiled.sockets.get(address) {
            Some(plan) => {
                listening.slot.set(plan.clone());
                true
            }
            None => {
                listening.task.abort();
                false
            }
        });
        for (address, probe) in compiled.probes {
            let Some(slot) = self.listening.get(&address).map(|l| l.slot.clone()) else { continue };
            tokio::spawn(ask_ourselves(slot, self.forwarded.clone(), self.environment.address, probe));
        }
        Ok(())
    }
}

impl Live {
    /// The server's own address.
    fn own(&self) -> SocketAddr {
        SocketAddr::new(self.environment.address, self.environment.port)
    }

    /// Has the boards tell what is to be told, and no other.
    fn tell(&mut self, tells: &BTreeMap<u16, Vec<Tell>>, new: Vec<(u16, Vec<Tell>, TcpListener)>) {
        self.telling.retain(|port, (board, task)| match tells.get(port) {
            Some(tells) => {
                board.set(tells.clone());
                true
            }
            None => {
                task.abort();
                false
            }
        });
        for (port, tells, listener) in new {
            let board = Board::new(tells, self.environment.synced.clone(), self.environment.metrics.clone());
            let task = self.tellers.spawn(board.clone().serve(listener));
            self.telling.insert(port, (board, task));
        }
        // Those that were told to end.
        while self.tellers.try_join_next().is_some() {}
    }
}

/// Whatever comes of it: whoever wants to know sees the question pass.
async fn ask_ourselves(slot: Slot, forwarded: Arc<Permits>, client: IpAddr, probe: crate::step::Probe) {
    let Some(name) = crate::names::parse(&probe.name) else { return };
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, probe.kind));
    let Ok(bytes) = message.to_vec() else { return };
    if let Reply::Waiting(answer) = reply(&slot, &forwarded, &bytes, false, client).await {
        answer.await;
    }
}

#[cfg(test)]
mod tests;
