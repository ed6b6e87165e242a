//! `up`: everything in one process, started in the order in which one part needs another.

mod actors;
mod apiserver;
mod demo;
mod detach;
mod dns;
mod kubeconfig;
pub mod lock;
mod log;
pub mod machine;
mod manifest;
pub mod marker;
mod ports;
pub mod preflight;
mod progress;
mod ranges;
mod rights;
pub mod supervise;
pub mod trim;

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Context, Result};
use ipnet::Ipv4Net;
use nix::fcntl::Flock;
use tasks::Tasks;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::apiserver::bootstrap;
use crate::clusters;
use crate::dirs::{Dirs, Settings};
use crate::{home, out};
pub use detach::detached;
use progress::Progress;

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything is kept.
    pub dirs: Dirs,
    /// Range of pod addresses.
    pub pod_network: Ipv4Net,
    /// Range of service addresses.
    pub service_network: Ipv4Net,
    /// Address of the API server, if it is not to be found.
    pub advertise: Option<IpAddr>,
    /// Port of the API server.
    pub port: u16,
    /// Ports of the node that Services may get.
    pub node_ports: RangeInclusive<u16>,
    /// Port of the node agent.
    pub kubelet_port: u16,
    /// Name of the node, if it is not the host's.
    pub node_name: Option<String>,
    /// The rights of `admin.conf`.
    pub kubeconfig_mode: u32,
    /// The kubeconfig of who starts the cluster, which gets a context for it.
    pub home: Option<PathBuf>,
    /// Also deploy the demo.
    pub demo: bool,
    /// When images go that nobody uses.
    pub image_gc: kubelet::image::gc::Policy,
    /// When pods go for what the node runs short of.
    pub pressure: kubelet::pressure::Policy,
    /// Processes of one pod at most, if that is said.
    pub pod_pids: Option<i64>,
    /// What RuntimeClasses may call the runtime beside its own name.
    pub handlers: Vec<String>,
    /// Where files describe pods, if any do.
    pub static_pods: Option<PathBuf>,
    /// Where the logs of pods lie, if that is said.
    pub pod_logs: Option<PathBuf>,
    /// When they are rotated.
    pub log_rotation: kubelet::log::rotate::Policy,
    /// Programs that know credentials for registries.
    pub credential_providers: kubelet::image::provider::Providers,
    /// What pods may where no label says anything, and for whom nothing holds.
    pub pod_security: admission::plugins::pod_security::config::Config,
}

impl Options {
    /// The cluster DNS server's address: the tenth of the service range, as kubeadm chooses.
    pub fn dns(&self) -> Ipv4Addr {
        (u32::from(self.service_network.network()) + 10).into()
    }

    /// The address of the Service `kubernetes`: the first of the range.
    pub fn kubernetes(&self) -> Ipv4Addr {
        (u32::from(self.service_network.network()) + 1).into()
    }

    /// This node's part of the pod range: its first /24, or all of a smaller one.
    pub fn node_pods(&self) -> Ipv4Net {
        Ipv4Net::new_assert(self.pod_network.network(), self.pod_network.prefix_len().max(24))
    }
}

/// Brings the cluster up and keeps it running until it is interrupted.
pub fn foreground(options: Options) -> Result<()> {
    trim::small_pages();
    trim::give_back_when_idle();
    let (lock, settings) = enter(&options)?;
    preflight::limits();
    preflight::go_last();
    let log = start_log(&options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let result = runtime.block_on(run(options, settings));
    // What still blocks a thread must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    log.flush();
    drop(lock);
    result
}

/// Takes the data directory, and tells others on the machine what this cluster has. Nobody else does so meanwhile.
fn enter(options: &Options) -> Result<(Flock<File>, Settings)> {
    let _machine = clusters::machine()?;
    preflight::check(options)?;
    ranges::tell_node_ports(options);
    let lock = lock::lock(&options.dirs, options.kubeconfig_mode)?;
    let (pid, supervisor) = (std::process::id(), supervise::of_this_process());
    let (pod_network, service_network) = (options.pod_network, options.service_network);
    let (data, names) = (Some(options.dirs.data.clone()), options.dirs.names.clone());
    let (kubelet_port, node_ports) = (options.kubelet_port, Some((*options.node_ports.start(), *options.node_ports.end())));
    let ours = Settings { pid, supervisor, pod_network, service_network, data, names, kubelet_port, node_ports, ..Settings::default() };
    options.dirs.save(&ours)?;
    Ok((lock, ours))
}

/// Puts the cluster into the kubeconfig of who starts it. Where that cannot be, it is told, and no more.
fn merge(options: &Options, tell: impl Fn(String)) -> Option<home::Merged> {
    let path = options.home.as_ref()?;
    let merged = home::put(&options.dirs, path);
    merged.map_err(|error| tell(format!("{} stays as it is: {error:#}", path.display()))).ok()
}

/// Everything that is logged, panics too, goes through a writer that cannot fail.
fn start_log(options: &Options) -> Result<log::Log> {
    // In the background, standard error is the file.
    log_to(supervise::of_this_process().map(|_| options.dirs.log()), "warn")
}

/// The same on standard error, which leads to this file if it leads to one. `level` holds where `RUST_LOG` says nothing.
pub fn log_to(path: Option<PathBuf>, level: &str) -> Result<log::Log> {
    let log = log::Log::start(path).context("start the log")?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log.clone()).log_internal_errors(false);
    lines.with_ansi(out::is_coloured(&std::io::stderr())).init();
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("unknown");
        tracing::error!(thread = thread.name().unwrap_or_default(), place, error = text, "panicked");
    }));
    Ok(log)
}

async fn run(options: Options, mut settings: Settings) -> Result<()> {
    let mut progress = Progress::start();
    let dirs = options.dirs.clone();
    let stop = CancellationToken::new();
    let tasks = Tasks::new(stop.clone());
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let machine = machine::Machine::look(&options)?;
    settings.server = machine.server(&options);
    settings.node.clone_from(&machine.node);
    options.dirs.save(&settings)?;
    let api = apiserver::start(&options, &machine, &tasks, &mut progress).await?;
    bootstrap::apply(&api, dns::objects(&options)).await.context("write the first objects")?;
    progress.done("roles, namespaces and priority classes");
    let actors = actors::start(&options, &machine, &api, &tasks, &mut progress).await?;
    api.started();
    let work = async {
        actors.node_ready().await?;
        progress.done(&format!("node {} is Ready", machine.node));
        // What became of the demo since is its owner's business, and no reason to end.
        if options.demo && !supervise::is_again() {
            demo::deploy(&api, &actors, &machine, &mut progress).await?;
        }
        let merged = merge(&options, |text| out::line(format_args!("          {text}")));
        progress.ready(&options, &machine, merged.as_ref());
        settings.ready = true;
        options.dirs.save(&settings)?;
        detach::tell_ready();
        trim::after_the_start().await;
        std::future::pending::<Result<()>>().await
    };
    let result = tokio::select! {
        result = work => result,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    Progress::stopping(&dirs);
    stop.cancel();
    tasks.ended().await;
    api.stop().await;
    result
}
