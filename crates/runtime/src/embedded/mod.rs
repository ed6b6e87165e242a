//! The runtime that needs nothing but the kernel: it prepares, its shims do, it remembers.

mod compare;
mod confine;
mod connection;
mod containers;
mod exec;
mod image_mount;
mod pods;
mod prepare;
mod ranges;
mod records;
mod resolve;
mod sealed;
mod teardown;
mod terminal;
mod volumes;
mod watch;

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::broadcast;

use crate::cgroup::{self, Hierarchies};
use crate::image::Store;
use crate::{
    Config, Container, ContainerConfig, Credentials, Error, Event, ExecConfig, Features, Image, Output, Pod, PodConfig,
    Pulled, Resources, Result, Runtime, Size, Space, Streams, Usage,
};
use ranges::Ranges;
use records::PodRecord;
use sealed::Sealed;

pub use records::layers_in_use;
pub use teardown::teardown;

/// How many events a slow reader may be behind.
const EVENTS: usize = 1024;

/// The embedded runtime. Clones share one state.
#[derive(Clone)]
pub struct Embedded {
    inner: Arc<Inner>,
}

/// What the parts share.
struct Inner {
    config: Config,
    hierarchies: Hierarchies,
    images: Store,
    /// What shims are started from.
    program: Sealed,
    pods: Mutex<BTreeMap<String, PodRecord>>,
    /// What this kernel can do; it stays the same as long as the machine runs.
    features: Features,
    /// Ids of pods with user namespaces.
    ranges: Ranges,
    filters: Mutex<HashSet<u64>>,
    /// Whether the default AppArmor profile has been loaded by this process.
    profile: Mutex<bool>,
    events: broadcast::Sender<Event>,
}

impl Embedded {
    /// Opens the runtime's directories, and takes over the pods that run already. Must be called within tokio.
    pub fn new(config: Config) -> Result<Self> {
        let fail = |e: std::io::Error| Error::System(format!("open {}: {e}", config.root.display()));
        let images = Store::of(&config)?;
        for dir in [config.pods(), config.containers(), config.seccomp()] {
            std::fs::create_dir_all(dir).map_err(fail)?;
        }
        // Environments hold secrets, sockets give power: root alone.
        for dir in [&config.root, &config.run] {
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).map_err(fail)?;
        }
        let hierarchies = Hierarchies::detect().map_err(fail)?;
        let program = Sealed::open(&config.shim_exe).map_err(system(format_args!("seal {}", config.shim_exe.display())))?;
        let pods = records::load(&config).map_err(fail)?;
        let ranges = Ranges::in_use(pods.iter().filter_map(|(uid, pod)| Some((uid.clone(), pod.users?))));
        let pods = Mutex::new(pods);
        let (events, _) = broadcast::channel(EVENTS);
        let (filters, profile) = (Mutex::default(), Mutex::default());
        let features = Features {
            recursive_read_only_mounts: crate::mount::can_change_trees(),
            user_namespaces: ranges::kernel_has_user_namespaces(),
            app_armor: crate::apparmor::enabled(),
        };
        let inner = Inner { config, hierarchies, images, program, pods, features, ranges, filters, profile, events };
        let inner = Arc::new(inner);
        watch::adopt(&inner);
        Ok(Self { inner })
    }

    /// The image store, for imports.
    pub fn store(&self) -> &Store {
        &self.inner.images
    }

    /// The images in a docker-archive or OCI layout (tar, compressed tar, or directory), now in the store.
    pub async fn import(&self, path: &Path) -> Result<Vec<Image>> {
        let (inner, path) = (self.inner.clone(), path.to_path_buf());
        blocking(move || inner.images.import(&path)).await
    }
}

impl Inner {
    /// The pods; a panic elsewhere does not make them unusable: each change is one assignment.
    fn pods(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, PodRecord>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, pod_uid: &str, container_id: &str) {
        // No reader is no error.
        let _ = self.events.send(Event { pod_uid: pod_uid.to_owned(), container_id: container_id.to_owned() });
    }
}

/// Runs file system work off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(Error::System(format!("runtime task failed: {e}"))),
    }
}

/// Words an i/o error.
fn system(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Error {
    move |e| Error::System(format!("{what}: {e}"))
}

#[async_trait]
impl Runtime for Embedded {
    fn features(&self) -> Features {
        self.inner.features
    }

    async fn start_pod(&self, config: &PodConfig) -> Result<Pod> {
        self.inner.start_pod(config).await
    }

    async fn stop_pod(&self, uid: &str) -> Result<()> {
        self.inner.stop_pod(uid).await
    }

    async fn remove_pod(&self, uid: &str) -> Result<()> {
        self.inner.remove_pod(uid).await
    }

    async fn pods(&self) -> Result<Vec<Pod>> {
        Ok(self.inner.pods().values().map(|pod| pod.show(&self.inner.config)).collect())
    }

    async fn pod(&self, uid: &str) -> Result<Option<Pod>> {
        self.inner.seen(uid).await?;
        Ok(self.inner.pods().get(uid).map(|pod| pod.show(&self.inner.config)))
    }

    async fn start_container(&self, pod_uid: &str, config: &ContainerConfig) -> Result<String> {
        self.inner.start_container(pod_uid, config).await
    }

    async fn stop_container(&self, id: &str, grace_seconds: i64) -> Result<()> {
        self.inner.stop_container(id, grace_seconds).await
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        self.inner.remove_container(id).await
    }

    async fn update_container(&self, id: &str, resources: &Resources) -> Result<()> {
        let (inner, id, resources) = (self.inner.clone(), id.to_owned(), resources.clone());
        blocking(move || inner.update_container(&id, &resources)).await
    }

    async fn update_pod(&self, uid: &str, resources: &Resources) -> Result<()> {
        let (inner, uid, resources) = (self.inner.clone(), uid.to_owned(), resources.clone());
        blocking(move || inner.update_pod(&uid, &resources)).await
    }

    async fn update_group(&self, name: &str, resources: &Resources) -> Result<()> {
        let (inner, name, resources) = (self.inner.clone(), name.to_owned(), resources.clone());
        blocking(move || inner.update_group(&name, &resources)).await
    }

    async fn exec(&self, id: &str, config: &ExecConfig) -> Result<Streams> {
        self.inner.exec(id, config).await
    }

    async fn exec_sync(&self, id: &str, command: &[String], timeout: Duration) -> Result<Output> {
        self.inner.exec_sync(id, command, timeout).await
    }

    async fn attach(&self, id: &str) -> Result<Streams> {
        self.inner.attach(id).await
    }

    async fn reopen_log(&self, id: &str) -> Result<()> {
        self.inner.reopen_log(id).await
    }

    fn events(&self) -> BoxStream<'static, Event> {
        let receiver = self.inner.events.subscribe();
        futures::stream::unfold(receiver, |mut receiver| async move {
            match receiver.recv().await {
                Ok(event) => Some((event, receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    Some((Event { pod_uid: String::new(), container_id: String::new() }, receiver))
                }
                Err(broadcast::error::RecvError::Closed) => None,
            }
        })
        .boxed()
    }

    async fn usage(&self, id: &str) -> Result<Usage> {
        let (inner, id) = (self.inner.clone(), id.to_owned());
        blocking(move || {
            let group = inner.container(&id)?.group;
            Ok(cgroup::usage(&inner.hierarchies, &group))
        })
        .await
    }

    async fn pod_usage(&self, uid: &str) -> Result<Usage> {
        let (inner, uid) = (self.inner.clone(), uid.to_owned());
        blocking(move || inner.pod_usage(&uid)).await
    }

    async fn usage_of_all(&self) -> Result<Usage> {
        let inner = self.inner.clone();
        blocking(move || Ok(cgroup::usage(&inner.hierarchies, Path::new(&inner.config.cgroup_root)))).await
    }

    async fn storage(&self, id: &str, enough: u64) -> Result<Size> {
        let dir = self.inner.config.container(id);
        blocking(move || volumes::usage(&dir, enough).map_err(system(dir.display()))).await
    }

    async fn mount_image(&self, pod_uid: &str, image_id: &str, target: &std::path::Path) -> Result<()> {
        let (inner, target) = (self.inner.clone(), target.to_owned());
        let (uid, image_id) = (pod_uid.to_owned(), image_id.to_owned());
        blocking(move || inner.mount_image(&uid, &image_id, &target)).await
    }

    async fn image(&self, name: &str) -> Result<Option<Image>> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        blocking(move || inner.images.find(&name)).await
    }

    async fn images(&self) -> Result<Vec<Image>> {
        let inner = self.inner.clone();
        blocking(move || inner.images.list()).await
    }

    async fn pull(&self, name: &str, credentials: Option<&Credentials>) -> Result<Pulled> {
        self.inner.images.pull(name, credentials).await
    }

    async fn image_disk(&self) -> Result<Space> {
        self.inner.images.disk()
    }

    async fn remove_image(&self, name: &str) -> Result<()> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        let mut used = self.inner.used_layers();
        blocking(move || {
            // A container is on the disk before it is known.
            used.extend(records::layers_in_use(&inner.config)?);
            inner.images.remove(&name, &used)
        })
        .await
    }
}

/// A container in the trait's words, for the parts.
fn show(record: &records::ContainerRecord) -> Container {
    Container {
        id: record.id.clone(),
        pod_uid: record.pod_uid.clone(),
        name: record.config.name.clone(),
        attempt: record.config.attempt,
        image: record.config.image.clone(),
        image_id: record.config.image_id.clone(),
        state: record.state.clone(),
        log_path: record.log.clone(),
        resources: record.config.resources.clone(),
        labels: record.config.labels.clone(),
        user: record.user.clone(),
    }
}
