//! `forward FROM TO...`: other name servers are asked.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use rand::seq::SliceRandom;
use tokio::time::Instant;

use super::Building;
use crate::corefile::{Directive, Fault, zones};
use crate::limits::{FORWARDING, SERVERS};
use crate::message::{Question, Said};
use crate::resolver;
use crate::step::{Asker, Failure, Outcome, Rest, Step};
use crate::world::World;
use read::{Options, Policy};
use server::{Manner, Server};

mod read;
mod server;
mod tls;

/// How often name servers are asked anew where the Corefile has no bound.
const ATTEMPTS: usize = 100;

/// Whom a directive names.
enum To {
    Server(Arc<Server>),
    /// Those of the machine, whenever something is asked.
    Machine,
}

/// The machine's name servers.
struct Machine {
    resolv_conf: PathBuf,
    port: u16,
    /// A question must not go in a circle.
    ourselves: Vec<SocketAddr>,
    world: World,
    known: Mutex<HashMap<SocketAddr, Arc<Server>>>,
}

struct Forward {
    options: Options,
    to: Vec<To>,
    machine: Arc<Machine>,
    turn: AtomicUsize,
    /// How many questions are under way.
    concurrent: AtomicUsize,
}

/// All of a server block, in order: a question goes to the first that it is for.
struct Forwards(Vec<Forward>);

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let environment = building.environment;
    let machine = Arc::new(Machine {
        resolv_conf: environment.resolv_conf.clone(),
        port: environment.upstream_port,
        ourselves: building.ourselves.to_vec(),
        world: environment.world.clone(),
        known: Mutex::default(),
    });
    let mut all = Vec::new();
    for directive in directives {
        let (options, to) = read::forward(building.files, directive)?;
        let (turn, concurrent) = (AtomicUsize::new(0), AtomicUsize::new(0));
        all.push(Forward { options, to, machine: machine.clone(), turn, concurrent });
    }
    building.push(Forwards(all));
    Ok(())
}

impl Step for Forwards {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let mut mine: Vec<&Forward> = Vec::new();
            for forward in &self.0 {
                if forward.is_for(&question.name) {
                    mine.push(forward);
                }
            }
            for (at, forward) in mine.iter().enumerate() {
                asker.waits()?;
                let said = forward.ask(asker, &question).await?;
                if at + 1 == mine.len() || !forward.options.goes_on(&said) {
                    return Ok(said);
                }
            }
            rest.answer(asker, question).await
        })
    }
}

/// One question under way.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Forward {
    fn is_for(&self, name: &str) -> bool {
        let except = || self.options.except.iter().any(|zone| zones::within(name, zone));
        zones::within(name, &self.options.from) && (name == self.options.from || !except())
    }

    /// Those to ask, in the order of the policy.
    fn servers(&self) -> Vec<Arc<Server>> {
        let mut servers: Vec<Arc<Server>> = Vec::new();
        for to in &self.to {
            match to {
                To::Server(server) => servers.push(server.clone()),
                To::Machine => servers.extend(self.machine.servers()),
            }
        }
        match self.options.policy {
            Policy::Sequential => {}
            Policy::Random => servers.shuffle(&mut rand::rng()),
            Policy::RoundRobin if servers.is_empty() => {}
            Policy::RoundRobin => {
                let first = self.turn.fetch_add(1, Ordering::Relaxed) % servers.len();
                let first = servers.remove(first);
                servers.insert(0, first);
            }
        }
        servers
    }

    /// Asks one after the other, as often as may be, until one answers or time is up.
    async fn ask(&self, asker: &Asker, question: &Question) -> Outcome {
        let options = &self.options;
        let failure = |code, reason| Err(Failure { lasting: true, ..Failure::new(code, reason) });
        let under_way = UnderWay(&self.concurrent);
        if self.concurrent.fetch_add(1, Ordering::Relaxed) >= options.concurrent {
            let why = format!("concurrent queries exceeded maximum {}", options.concurrent);
            return Err(Failure::new(ResponseCode::Refused, why));
        }
        let servers = self.servers();
        let well: Vec<_> = servers.iter().filter(|server| !server.down(options.max_fails)).collect();
        // When nobody is well, it may be the check that fails.
        let list = if well.is_empty() && !options.failfast { servers.iter().collect() } else { well };
        let (until, mut reason) = (Instant::now() + FORWARDING, "no healthy proxies".to_owned());
        // As often as there is time for is not as often as can be.
        let (most, mut failed_over) = (options.attempts.unwrap_or(2 * list.len()), 0);
        let mut attempts = if most == 0 { ATTEMPTS } else { most };
        for server in list.iter().cycle() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || attempts == 0 {
                break;
            }
            let tcp = options.force_tcp || (asker.asked.tcp && !options.prefer_udp);
            let mut manner = Manner { tcp, patience: options.patience.min(left), keeping: options.keeping };
            let mut said = server.ask(&asker.asked, question, manner).await;
            if !tcp && options.prefer_udp && said.as_ref().is_ok_and(|said| said.truncated) {
                manner.tcp = true;
                said = server.ask(&asker.asked, question, manner).await;
            }
            match said {
                Ok(said) if options.failover.contains(&said.code) && failed_over + 1 < list.len() => failed_over += 1,
                Ok(said) => {
                    drop(under_way);
                    return Ok(said);
                }
                Err(why) => {
                    if options.max_fails > 0 {
                        server.check(&options.health, options.force_tcp);
                    }
                    (reason, attempts) = (why, attempts.saturating_sub(1));
                }
            }
        }
        failure(ResponseCode::ServFail, reason)
    }
}

impl Options {
    /// Whether the next directive for the name is asked, too.
    fn goes_on(&self, said: &Said) -> bool {
        let nodata = said.code == ResponseCode::NoError && said.answers.is_empty();
        self.next.contains(&said.code) || (self.next_on_nodata && nodata)
    }
}

impl Machine {
    fn servers(&self) -> Vec<Arc<Server>> {
        let text = resolver::read(&self.resolv_conf);
        let addresses = resolver::servers(&text).filter(|address| !self.is_ourselves(*address)).take(SERVERS);
        let addresses: Vec<SocketAddr> = addresses.map(|address| SocketAddr::new(address, self.port)).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|address, _| addresses.contains(address));
        addresses.iter().map(|a| known.entry(*a).or_insert_with(|| Server::new(*a, None)).clone()).collect()
    }

    /// An address of ours, or that of a service that stands for one.
    fn is_ourselves(&self, address: IpAddr) -> bool {
        let state = self.world.lock();
        let service = state.by_address(address);
        self.ourselves.iter().filter(|ours| ours.port() == self.port).any(|ours| {
            ours.ip() == address || service.is_some_and(|key| state.by_endpoint(ours.ip()).contains(key))
        })
    }
}

#[cfg(test)]
mod tests;
