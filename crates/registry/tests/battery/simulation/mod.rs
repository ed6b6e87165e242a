//! Thousands of lives of a registry on a disk that fails, each from its seed: what clients were told is there after
//! every start, what was refused is not, and what nobody was told is there whole or not at all.

mod books;
mod clients;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::{Future, FutureExt};
use futures::stream::StreamExt;
use kinds::Descriptor;
use meta::Object;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use registry::api::{ListOptions, WatchEvent, WatchOptions, WatchStream};
use registry::{Config, Registry};
use store::disk::simulation::{Crash, Engine, Faults, SimulatedDisk};
use store::{Memory, Store};

use books::Books;
use clients::{Client, RESOURCES, Shared, fresh, short};

use crate::kit::{call, scope, value};

/// Seeds tried by an ordinary run, other ones each time. `IRONCLAD_SIMULATIONS` asks for more, `IRONCLAD_SEED` for one.
const RUNS: u64 = 2000;
const LIVES: usize = 4;
const CLIENTS: usize = 3;
/// More times than a registry on a disk that works needs to answer all.
const PATIENCE: usize = 20_000;

type Work = Pin<Box<dyn Future<Output = ()>>>;

struct Run {
    random: StdRng,
    disk: SimulatedDisk,
    books: Shared,
    log: u64,
    ahead: u64,
}

static KINDS: LazyLock<Vec<Descriptor>> = LazyLock::new(|| {
    let wanted = |d: &Descriptor| RESOURCES.iter().any(|(resource, ..)| short(resource) == &*d.resource);
    kinds::all().into_iter().filter(wanted).collect()
});

/// Few addresses and ports: one that is lost or given twice shows.
fn config() -> Config {
    Config { service_cidr: "10.96.0.0/28".parse().expect("a range"), node_ports: 30000..=30005, ..Config::default() }
}

/// Services that can have a node port, and an address, in all.
const ALL: (usize, usize) = (6, 14);

async fn open(store: Arc<dyn Store>) -> Result<Arc<Registry>, store::Error> {
    Registry::open(store, KINDS.clone(), Vec::new(), config()).await
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let ahead = [0, 100, 4000][random.random_range(0..3)];
        let log = random.random_range(2000..20_000);
        Run { disk: SimulatedDisk::new(seed), books: Rc::new(RefCell::new(Books::default())), log, ahead, random }
    }

    fn faults(&mut self) -> Faults {
        let random = &mut self.random;
        let mut some = |p: f64, most: f64| if random.random_bool(p) { random.random_range(0.0..most) } else { 0.0 };
        let (write, sync, name) = (some(0.4, 0.2), some(0.3, 0.1), some(0.3, 0.4));
        let room = random.random_bool(0.2).then(|| random.random_range(5000..60_000));
        let ends_after = random.random_bool(0.3).then(|| random.random_range(0..300));
        Faults { write, sync, name, room, ends_after }
    }

    async fn run(mut self) -> Result<(), String> {
        let mut clean = false;
        for _ in 0..LIVES {
            let faults = if self.random.random_bool(0.3) { Faults::default() } else { self.faults() };
            self.disk.set_faults(faults);
            clean = self.live(clean).await?.unwrap_or(false);
            let crash = if self.random.random_bool(0.5) { Crash::Kill } else { Crash::PowerCut };
            self.disk.crash(crash);
        }
        let engine = Arc::new(self.engine().map_err(|e| format!("does not open at last: {e}"))?);
        let registry = open(engine.clone()).await.map_err(|e| format!("does not open at last: {e}"))?;
        self.look(&*engine, &registry, clean).await?;
        self.fill(&engine, registry).await
    }

    fn engine(&self) -> Result<Engine, store::Error> {
        Engine::open(&self.disk, self.log, self.ahead)
    }

    /// One start, some requests, one end. `None`: it could not even begin; otherwise whether it ended in good order.
    async fn live(&mut self, clean: bool) -> Result<Option<bool>, String> {
        let engine = match self.engine() {
            Ok(engine) => Arc::new(engine),
            Err(store::Error::Corrupt(why)) => return Err(format!("called damaged: {why}")),
            Err(_) => return Ok(None),
        };
        let registry = open(engine.clone()).await.map_err(|e| format!("does not open: {e}"))?;
        self.look(&*engine, &registry, clean).await?;
        let mut watcher = Watcher::start(&registry).await?;
        let mut work: Vec<Option<Work>> = (0..CLIENTS).map(|_| Some(self.client(&registry))).collect();
        let (ends, mut step) = (self.random.random_bool(0.4).then(|| self.random.random_range(0..400)), 0);
        while work.iter().any(Option::is_some) {
            step += 1;
            if Some(step) == ends || !self.step(&engine, &mut work).await {
                return self.books.borrow().verdict().map(|()| Some(false));
            }
            if step > PATIENCE {
                return Err("requests are never answered".to_owned());
            }
        }
        // Who has given up may have been served all the same.
        while engine.waiting() > 0 {
            if !engine.turn(usize::MAX) {
                return self.books.borrow().verdict().map(|()| Some(false));
            }
            tokio::task::yield_now().await;
        }
        let found = self.found(&*engine, &registry).await?;
        self.books.borrow_mut().check(&found, registry.revision(), true);
        watcher.equals(&found, &self.books).await?;
        self.books.borrow().verdict()?;
        drop((work, watcher, registry));
        let ends_well = self.random.random_bool(0.5);
        if ends_well {
            self.disk.set_faults(Faults::default());
            engine.close();
        }
        Ok(Some(ends_well))
    }

    fn client(&mut self, registry: &Arc<Registry>) -> Work {
        let random = StdRng::seed_from_u64(self.random.random());
        let client = Client { registry: registry.clone(), books: self.books.clone(), random };
        Box::pin(client.run(self.random.random_range(1..25)))
    }

    /// Something happens; `false`: the process would end.
    async fn step(&mut self, engine: &Engine, work: &mut [Option<Work>]) -> bool {
        let random = &mut self.random;
        match random.random_range(0..20) {
            0..12 => {
                let chosen = &mut work[random.random_range(0..CLIENTS)];
                if let Some(client) = chosen
                    && tokio::task::unconstrained(client).now_or_never().is_some()
                {
                    *chosen = None;
                }
            }
            12..16 => return engine.turn(random.random_range(1..5)),
            16 => engine.work(),
            17 if random.random_bool(0.2) => return engine.flush(),
            // A client gives up, and its connection with it.
            18 if random.random_bool(0.05) => work[random.random_range(0..CLIENTS)] = None,
            // What the registry does by itself.
            _ => tokio::task::yield_now().await,
        }
        true
    }

    /// After a start: all is as it was told.
    async fn look(&mut self, store: &dyn Store, registry: &Arc<Registry>, clean: bool) -> Result<(), String> {
        let found = self.found(store, registry).await?;
        let mut books = self.books.borrow_mut();
        books.check(&found, registry.revision(), clean);
        books.begin(&found);
        books.verdict()
    }

    /// All objects, out of the cache and out of the store, which must be the same.
    async fn found(&self, store: &dyn Store, registry: &Arc<Registry>) -> Result<BTreeMap<String, Object>, String> {
        let mut found = BTreeMap::new();
        let (mut addresses, mut ports) = (BTreeSet::new(), BTreeSet::new());
        for (resource, ..) in RESOURCES {
            let attributes = call(resource, "default", "").attributes;
            let newest = ListOptions { resource_version: registry.revision().to_string(), ..ListOptions::default() };
            let list = registry.list(&attributes, &scope("", "", ""), &newest).await;
            for cached in list.map_err(|e| format!("{resource} cannot be listed: {e}"))?.items {
                let prefix = KINDS.iter().find(|kind| *kind.resource == *attributes.resource).map_or("", |kind| &*kind.storage);
                let key = format!("{prefix}{}", cached.key);
                let stored = store.get(&key).await.map_err(|e| format!("{key} cannot be read: {e}"))?;
                let stored = stored.ok_or_else(|| format!("{key} is not stored"))?;
                if stored.value != *cached.stored() || stored.modified != cached.revision {
                    return Err(format!("{} is another in the cache than in the store", cached.key));
                }
                let object = value(&cached);
                for address in object.list_at("spec.clusterIPs") {
                    if !addresses.insert(address.to_string()) {
                        return Err(format!("address {address} is given twice"));
                    }
                }
                for port in object.list_at("spec.ports").iter().filter_map(|port| port.get("nodePort")) {
                    if !ports.insert(port.to_string()) {
                        return Err(format!("node port {port} is given twice"));
                    }
                }
                found.insert(format!("{}/{}", short(resource), cached.key.name), object);
            }
        }
        Ok(found)
    }

    /// Gives all ports and addresses away: there are as many as in a registry that nothing has happened to.
    async fn fill(&self, engine: &Engine, registry: Arc<Registry>) -> Result<(), String> {
        let counts = filled(&registry, || assert!(engine.turn(usize::MAX), "a disk without faults")).await?;
        if counts != ALL {
            return Err(format!("{counts:?} node ports and addresses can be given, of {ALL:?}"));
        }
        self.found(engine, &registry).await.map(drop)
    }
}

#[tokio::test]
async fn a_fresh_registry_gives_all_ports_and_addresses() {
    let registry = open(Arc::new(Memory::new())).await.expect("opens");
    assert_eq!(filled(&registry, || {}).await, Ok(ALL));
}

/// Creates services until no node port, then no address is left; how many services have one.
async fn filled(registry: &Arc<Registry>, turn: impl Fn()) -> Result<(usize, usize), String> {
    for sort in ["NodePort", "ClusterIP"] {
        loop {
            let mut new = fresh("Service", "filler");
            new.set("metadata.generateName", "filler-");
            new.set("spec.type", sort);
            let call = call("services", "default", "");
            let mut create = Box::pin(registry.create(&call, new));
            let created = loop {
                match tokio::task::unconstrained(&mut create).now_or_never() {
                    Some(created) => break created,
                    None => turn(),
                }
                tokio::task::yield_now().await;
            };
            if created.is_err() {
                break;
            }
        }
    }
    let list =
        registry.list(&call("services", "default", "").attributes, &scope("", "", ""), &ListOptions::default()).await;
    let services: Vec<Object> = list.map_err(|e| e.to_string())?.items.iter().map(|o| value(o)).collect();
    let with_port =
        services.iter().filter(|s| s.list_at("spec.ports").iter().any(|port| port.get("nodePort").is_some()));
    Ok((with_port.count(), services.iter().filter(|s| !s.list_at("spec.clusterIPs").is_empty()).count()))
}

/// Sees all ConfigMaps as they change.
struct Watcher {
    stream: WatchStream,
    objects: BTreeMap<String, u64>,
}

impl Watcher {
    async fn start(registry: &Arc<Registry>) -> Result<Self, String> {
        let options = WatchOptions { resource_version: "0".to_owned(), ..WatchOptions::default() };
        let attributes = call("configmaps", "", "").attributes;
        let stream = registry.watch(&attributes, scope("", "", ""), options).await.map_err(|e| e.to_string())?;
        Ok(Watcher { stream, objects: BTreeMap::new() })
    }

    /// Its events make the objects that are there.
    async fn equals(&mut self, found: &BTreeMap<String, Object>, books: &Shared) -> Result<(), String> {
        let mut books = books.borrow_mut();
        while let Some(Some(event)) = tokio::task::unconstrained(self.stream.next()).now_or_never() {
            match event {
                WatchEvent::Added(o) | WatchEvent::Modified(o) => {
                    let key = format!("configmaps/{}", o.key.name);
                    books.see(&key, &value(&o));
                    self.objects.insert(key, o.revision);
                }
                WatchEvent::Deleted(o) => {
                    let key = format!("configmaps/{}", o.key.name);
                    books.observe(&key, o.revision, &format!("{key} gone"));
                    self.objects.remove(&key);
                }
                other => return Err(format!("the watch says {other:?}")),
            }
        }
        let there = found.iter().filter(|(key, _)| key.starts_with("configmaps/"));
        let there: BTreeMap<_, _> = there.map(|(key, object)| (key.clone(), books::revision_of(object))).collect();
        if self.objects != there {
            return Err(format!("the watch shows {:?}, and there are {there:?}", self.objects));
        }
        Ok(())
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_that_a_disk_does_makes_a_registry_break_its_word() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let first = number("IRONCLAD_SEED").unwrap_or(now * 1_000_000);
    let runs = number("IRONCLAD_SIMULATIONS").unwrap_or(RUNS);
    for seed in first..first + runs {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime").block_on(Run::new(seed).run())
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => {}
            Ok(Err(why)) => panic!("IRONCLAD_SEED={seed}: {why}"),
            Err(_) => panic!("IRONCLAD_SEED={seed}: panicked"),
        }
    }
    println!("{runs} runs from seed {first}");
}
