//! Starting all controllers.

use std::sync::Arc;

use client::events::Form;
use client::{Hub, Recorder};
use tasks::Tasks;

use crate::all::{ALL, root_ca};
use crate::frame::drive::Driver;
use crate::frame::live::Live;
use crate::frame::metrics::Counters;
use crate::frame::world::Streams;
use crate::workers::apiserver_endpoints::Server;
use crate::workers::{Context, WORKERS};

/// The identity under which all controllers read: one set of watches for all.
pub const READER: &str = "system:kube-controller-manager";

/// What the controllers must be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's CA certificate, PEM.
    pub root_ca: String,
    /// Where the API server is, for the Service `kubernetes`. `None`: it is another process, and looks after what is its
    /// own itself.
    pub server: Option<Server>,
}

/// The running controllers.
pub struct Handle {
    counters: Vec<(&'static str, Arc<Counters>)>,
}

/// The user name of a controller's ServiceAccount.
pub fn identity(name: &str) -> String {
    format!("system:serviceaccount:kube-system:{name}")
}

/// Starts all controllers and workers among these tasks. `client` gives a client that acts as the user
/// of a name: [`READER`], the [`identity`] of a controller, or the name that a worker asks for. It needs a
/// running tokio runtime.
pub fn run(client: impl Fn(&str) -> kube::Client, config: &Config, tasks: &Tasks) -> Handle {
    // The certificate is the same for the life of the process.
    let _ = root_ca::CERTIFICATE.set(config.root_ca.clone());
    let hub = Hub::new(client(READER), tasks.clone());
    let mut counters = Vec::new();
    for controller in ALL {
        let profile = controller.profile();
        let own = client(&identity(profile.account));
        let (name, count) = (profile.name, Arc::<Counters>::default());
        counters.push((name, count.clone()));
        let hub = hub.clone();
        tasks.keep(format!("the controller {name}"), move |_| {
            Driver {
                name,
                controller: *controller,
                streams: Streams::open(&profile.watches, &hub),
                api: Live(own.clone()),
                recorder: Recorder::new(own.clone(), name, "", Form::Core),
                counters: count.clone(),
            }
            .run()
        });
    }
    for worker in WORKERS.iter().filter(|worker| config.server.is_some() || !worker.is_the_servers()) {
        let user = worker.user.map_or_else(|| identity(worker.name), str::to_owned);
        let context = Context { client: client(&user), hub: hub.clone(), server: config.server.clone() };
        tasks.keep(format!("the worker {}", worker.name), move |_| (worker.run)(context.clone()));
    }
    Handle { counters }
}

impl Handle {
    /// Their counters in Prometheus' text form.
    pub fn metrics(&self) -> String {
        self.counters.iter().map(|(name, counters)| counters.text(name)).collect()
    }
}
