//! Links, addresses and routes over netlink.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::{FutureExt, TryStreamExt};
use ipnet::Ipv4Net;
use nix::sched::{CloneFlags, setns};
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkMessage};
use rtnetlink::packet_route::route::{RouteScope, RouteType};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use tokio::task::JoinHandle;

use crate::api::{Error, Result};

/// A netlink connection in the network namespace of the thread that made it. Its task ends with it.
pub struct Links {
    line: Mutex<Line>,
}

/// One connection, and the task that carries what is said over it.
struct Line {
    handle: Handle,
    task: JoinHandle<()>,
}

impl Line {
    fn open() -> Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(|e| failed("open netlink", e))?;
        Ok(Line { handle, task: tokio::spawn(connection) })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Links {
    /// Connects. Must be called inside a tokio runtime.
    pub fn connect() -> Result<Self> {
        Ok(Links { line: Mutex::new(Line::open()?) })
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self) -> Handle {
        self.lock().handle.clone()
    }

    /// Asked after work that must not be believed blindly: where the task has ended meanwhile (a panic, a broken
    /// socket), questions that were on their way look as if they had been answered. There is a new connection then, and
    /// an error: the work has to be done again. To be called in the namespace of the connection.
    pub fn check(&self) -> Result<()> {
        let mut line = self.lock();
        if !line.task.is_finished() {
            return Ok(());
        }
        let end = (&mut line.task).now_or_never();
        let why = end.and_then(|end| end.err()).map_or_else(|| "it has ended".to_owned(), |error| error.to_string());
        tracing::error!(error = why, "a netlink connection is made anew");
        *line = Line::open()?;
        Err(failed("netlink", why))
    }

    /// A link's index, if it exists.
    pub async fn index(&self, name: &str) -> Result<Option<u32>> {
        let mut found = self.handle().link().get().match_name(name.to_owned()).execute();
        match found.try_next().await {
            Ok(link) => Ok(link.map(|l| l.header.index)),
            Err(rtnetlink::Error::NetlinkError(e)) if e.raw_code() == -libc::ENODEV => Ok(None),
            Err(e) => Err(failed(format!("look up link {name}"), e)),
        }
    }

    /// Names of all links.
    pub async fn names(&self) -> Result<Vec<String>> {
        let links: Vec<LinkMessage> =
            self.handle().link().get().execute().try_collect().await.map_err(|e| failed("list links", e))?;
        let name = |l: LinkMessage| {
            l.attributes.into_iter().find_map(|a| if let LinkAttribute::IfName(n) = a { Some(n) } else { None })
        };
        Ok(links.into_iter().filter_map(name).collect())
    }

    /// Makes a bridge with an address, if it is not there, and brings it up. Returns its index.
    pub async fn bridge(&self, name: &str, address: Ipv4Addr, prefix: u8) -> Result<u32> {
        if self.index(name).await?.is_none() {
            let made = self.handle().link().add(LinkBridge::new(name).build()).execute().await;
            made.map_err(|e| failed(format!("create bridge {name}"), e))?;
        }
        let index = self.require(name).await?;
        self.address(index, address, prefix).await?;
        self.up(index).await?;
        Ok(index)
    }

    /// Gives a link an address; no error if it has it.
    pub async fn address(&self, index: u32, address: Ipv4Addr, prefix: u8) -> Result<()> {
        let added = self.handle().address().add(index, IpAddr::V4(address), prefix).replace().execute().await;
        added.map_err(|e| failed(format!("add address {address}/{prefix}"), e))
    }

    /// Takes from a link what it has of an address with another prefix, and the route to that range with it.
    pub async fn keep_prefix(&self, index: u32, address: Ipv4Addr, prefix: u8) -> Result<()> {
        let what = || format!("keep of {address} the prefix /{prefix} alone");
        let found = self.handle().address().get().set_link_index_filter(index).set_address_filter(address.into());
        let found: Vec<_> = found.execute().try_collect().await.map_err(|e| failed(what(), e))?;
        for other in found.into_iter().filter(|other| other.header.prefix_len != prefix) {
            self.handle().address().del(other).execute().await.map_err(|e| failed(what(), e))?;
        }
        Ok(())
    }

    /// Brings a link up.
    pub async fn up(&self, index: u32) -> Result<()> {
        let up = LinkUnspec::new_with_index(index).up().build();
        self.handle().link().change(up).execute().await.map_err(|e| failed("bring link up", e))
    }

    /// Takes a link out of the bridge that it is a port of; no error if it is none. It answers for the bridge's
    /// hardware address from then on, which its peer knows.
    pub async fn unplug(&self, index: u32, bridge: u32) -> Result<()> {
        let link = self.message(index).await?;
        if !link.attributes.iter().any(|a| matches!(a, LinkAttribute::Controller(c) if *c == bridge)) {
            return Ok(());
        }
        let hardware = |link: LinkMessage| {
            link.attributes.into_iter().find_map(|a| if let LinkAttribute::Address(h) = a { Some(h) } else { None })
        };
        let own = hardware(self.message(bridge).await?).unwrap_or_default();
        // Said once, the bridge keeps it whatever ports come and go.
        for link in [bridge, index] {
            let change = LinkUnspec::new_with_index(link).address(own.clone()).build();
            self.handle().link().change(change).execute().await.map_err(|e| failed("set the hardware address", e))?;
        }
        let out = LinkUnspec::new_with_index(index).nocontroller().build();
        self.handle().link().change(out).execute().await.map_err(|e| failed("take link out of its bridge", e))
    }

    async fn message(&self, index: u32) -> Result<LinkMessage> {
        let found = self.handle().link().get().match_index(index).execute().try_next().await;
        found.map_err(|e| failed("look up a link", e))?.ok_or_else(|| Error::System("a link is gone".to_owned()))
    }

    /// Makes a pair of links, one here and its peer in another namespace, in one step: there is never half of it.
    pub async fn veth(&self, name: &str, peer: &str, peer_namespace: &File) -> Result<()> {
        let there = LinkMessageBuilder::<LinkUnspec>::new().name(peer.to_owned());
        let there = there.setns_by_fd(peer_namespace.as_raw_fd()).build();
        let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth).name(name.to_owned());
        let pair = pair.set_info_data(InfoData::Veth(InfoVeth::Peer(there))).build();
        self.handle().link().add(pair).execute().await.map_err(|e| failed(format!("create veth {name} and {peer}"), e))
    }

    /// The index that the other end of a pair has in its own namespace; none if there is no such link.
    pub async fn peer(&self, name: &str) -> Result<Option<u32>> {
        let Some(index) = self.index(name).await? else { return Ok(None) };
        let link = self.message(index).await?;
        Ok(link.attributes.into_iter().find_map(|a| if let LinkAttribute::Link(peer) = a { Some(peer) } else { None }))
    }

    /// Removes a link; no error if it is not there.
    pub async fn remove(&self, name: &str) -> Result<bool> {
        let Some(index) = self.index(name).await? else { return Ok(false) };
        match self.handle().link().del(index).execute().await {
            // The end of its peer's namespace has taken it along.
            Err(rtnetlink::Error::NetlinkError(e)) if e.raw_code() == -libc::ENODEV => Ok(false),
            removed => removed.map(|()| true).map_err(|e| failed(format!("remove link {name}"), e)),
        }
    }

    /// Adds or replaces a route to `destination` over a link; without a gateway the destination is on the link.
    pub async fn route(&self, destination: Ipv4Net, link: u32, gateway: Option<Ipv4Addr>) -> Result<()> {
        let mut route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(destination.addr(), destination.prefix_len())
            .output_interface(link);
        route = match gateway {
            Some(gateway) => route.gateway(gateway),
            None => route.scope(RouteScope::Link),
        };
        let added = self.handle().route().add(route.build()).replace().execute().await;
        added.map_err(|e| failed(format!("add route to {destination}"), e))
    }

    /// Packets to the destination that no narrower route takes go nowhere.
    pub async fn unreachable(&self, destination: Ipv4Net) -> Result<()> {
        let added = self.handle().route().add(unreachable_route(destination)).replace().execute().await;
        added.map_err(|e| failed(format!("add unreachable route to {destination}"), e))
    }

    /// Removes the unreachable route; says whether there was one.
    pub async fn remove_unreachable(&self, destination: Ipv4Net) -> Result<bool> {
        match self.handle().route().del(unreachable_route(destination)).execute().await {
            Ok(()) => Ok(true),
            Err(rtnetlink::Error::NetlinkError(e)) if e.raw_code() == -libc::ESRCH => Ok(false),
            Err(e) => Err(failed(format!("remove route to {destination}"), e)),
        }
    }

    async fn require(&self, name: &str) -> Result<u32> {
        self.index(name).await?.ok_or_else(|| Error::System(format!("link {name} is gone")))
    }
}

/// Does netlink work inside another network namespace, on a thread of its own: threads of the
/// runtime never change theirs.
pub async fn inside<T, F, Fut>(namespace: &Path, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(Links) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T>>,
{
    let file = File::open(namespace).map_err(|e| failed(format!("open {}", namespace.display()), e))?;
    let (answer, answered) = tokio::sync::oneshot::channel();
    let run = move || -> Result<T> {
        setns(file.as_fd(), CloneFlags::CLONE_NEWNET).map_err(|e| failed("enter the network namespace", e))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        runtime.map_err(|e| failed("start a runtime", e))?.block_on(async { work(Links::connect()?).await })
    };
    let thread = std::thread::Builder::new().name("netns".to_owned()).spawn(move || drop(answer.send(run())));
    thread.map_err(|e| failed("start a thread", e))?;
    answered.await.map_err(|_| Error::System("the network namespace thread died".to_owned()))?
}

fn unreachable_route(destination: Ipv4Net) -> rtnetlink::packet_route::route::RouteMessage {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(destination.addr(), destination.prefix_len())
        .kind(RouteType::Unreachable)
        // Behind every other route to the same range.
        .priority(4_278_198_272)
        .build()
}

pub(crate) fn failed(operation: impl std::fmt::Display, error: impl std::fmt::Display) -> Error {
    Error::System(format!("{operation}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_whose_task_has_ended_is_told_and_made_anew() {
        let links = Links::connect().expect("connects");
        assert!(links.index("lo").await.expect("answers").is_some());
        links.check().expect("nothing has ended");
        links.lock().task.abort();
        while !links.lock().task.is_finished() {
            tokio::task::yield_now().await;
        }
        // Whatever this says, it is not to be believed.
        let _ = links.index("lo").await;
        assert!(links.check().is_err());
        assert!(links.index("lo").await.expect("answers").is_some());
        links.check().expect("there is a new one");
    }
}
