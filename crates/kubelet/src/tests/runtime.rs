//! A runtime in memory: containers run until they are told to end.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use runtime::*;
use tokio::sync::{broadcast, watch};

/// The fake.
pub(crate) struct Fake {
    pods: Mutex<BTreeMap<String, Pod>>,
    events: broadcast::Sender<Event>,
    pub(crate) configs: Mutex<Vec<ContainerConfig>>,
    /// Whether it says that it has user namespaces.
    pub(crate) user_namespaces: AtomicBool,
    /// Images that were pulled: those whose name begins with `private`, with the password `good`.
    pub(crate) pulled: Mutex<Vec<String>>,
    /// All images.
    pub(crate) images: Mutex<Vec<Image>>,
    /// Their disk: all of it, and what is left.
    pub(crate) disk: Mutex<(u64, u64)>,
    /// Whether logs can be opened anew.
    pub(crate) reopens: Mutex<bool>,
    /// How many calls wait for what never comes: an image whose name begins with `hole`, the program `hang`.
    pub(crate) stuck: watch::Sender<usize>,
}

fn now() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).expect("in range")
}

impl Fake {
    pub(crate) fn new() -> Self {
        let (pods, configs, user_namespaces, pulled) = Default::default();
        let (images, disk, reopens) = (Mutex::default(), Mutex::new((1000, 1000)), Mutex::new(true));
        let (events, stuck) = (broadcast::Sender::new(64), watch::Sender::new(0));
        Fake { pods, events, configs, user_namespaces, pulled, images, disk, reopens, stuck }
    }

    /// Never comes back.
    async fn hang<T>(&self) -> T {
        struct Stuck<'a>(&'a watch::Sender<usize>);
        impl Drop for Stuck<'_> {
            fn drop(&mut self) {
                self.0.send_modify(|count| *count -= 1);
            }
        }
        self.stuck.send_modify(|count| *count += 1);
        let _stuck = Stuck(&self.stuck);
        std::future::pending().await
    }

    fn say(&self, uid: &str) {
        let _ = self.events.send(Event { pod_uid: uid.to_owned(), container_id: String::new() });
    }

    /// Ends the newest container of that name.
    pub(crate) fn exit(&self, uid: &str, name: &str, code: i32) {
        let mut pods = self.pods.lock().expect("lock");
        let containers = pods.get_mut(uid).expect("pod").containers.iter_mut();
        let container = containers.filter(|c| c.name == name).next_back().expect("container");
        end(container, code);
        drop(pods);
        self.say(uid);
    }
}

fn end(container: &mut Container, code: i32) {
    if let ContainerState::Running { started_at } = container.state {
        let reason = if code == 0 { "Completed" } else { "Error" }.to_owned();
        let message = String::new();
        container.state = ContainerState::Exited { started_at, finished_at: now(), code, signal: 0, reason, message };
    }
}

#[async_trait]
impl Runtime for Fake {
    fn features(&self) -> Features {
        let user_namespaces = self.user_namespaces.load(Ordering::Relaxed);
        Features { recursive_read_only_mounts: true, user_namespaces, ..Features::default() }
    }

    async fn start_pod(&self, config: &PodConfig) -> Result<Pod> {
        let mut pods = self.pods.lock().expect("lock");
        let netns = Some("/proc/self/ns/net".into());
        let fresh = || Pod { config: config.clone(), ready: true, created_at: now(), netns, containers: Vec::new() };
        let pod = pods.entry(config.uid.clone()).or_insert_with(fresh);
        (pod.ready, pod.config) = (true, config.clone());
        Ok(pod.clone())
    }

    async fn stop_pod(&self, uid: &str) -> Result<()> {
        if let Some(pod) = self.pods.lock().expect("lock").get_mut(uid) {
            pod.ready = false;
            pod.containers.iter_mut().for_each(|c| end(c, 137));
        }
        Ok(())
    }

    async fn remove_pod(&self, uid: &str) -> Result<()> {
        self.pods.lock().expect("lock").remove(uid);
        Ok(())
    }

    async fn pods(&self) -> Result<Vec<Pod>> {
        Ok(self.pods.lock().expect("lock").values().cloned().collect())
    }

    async fn pod(&self, uid: &str) -> Result<Option<Pod>> {
        Ok(self.pods.lock().expect("lock").get(uid).cloned())
    }

    async fn start_container(&self, pod_uid: &str, config: &ContainerConfig) -> Result<String> {
        self.configs.lock().expect("lock").push(config.clone());
        let id = format!("{pod_uid}-{}-{}", config.name, config.attempt);
        let container = Container {
            id: id.clone(),
            pod_uid: pod_uid.to_owned(),
            name: config.name.clone(),
            attempt: config.attempt,
            image: config.image.clone(),
            image_id: config.image_id.clone(),
            state: ContainerState::Running { started_at: now() },
            log_path: "/nonexistent".into(),
            resources: config.resources.clone(),
            labels: config.labels.clone(),
            user: Some(User { uid: 7, gid: 8, groups: vec![8, 9] }),
        };
        let mut pods = self.pods.lock().expect("lock");
        pods.get_mut(pod_uid).ok_or_else(|| Error::NotFound(pod_uid.to_owned()))?.containers.push(container);
        drop(pods);
        self.say(pod_uid);
        Ok(id)
    }

    async fn stop_container(&self, id: &str, _grace_seconds: i64) -> Result<()> {
        let mut pods = self.pods.lock().expect("lock");
        pods.values_mut().flat_map(|p| &mut p.containers).filter(|c| c.id == id).for_each(|c| end(c, 143));
        Ok(())
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        self.pods.lock().expect("lock").values_mut().for_each(|p| p.containers.retain(|c| c.id != id));
        Ok(())
    }

    async fn update_container(&self, id: &str, resources: &Resources) -> Result<()> {
        let mut pods = self.pods.lock().expect("lock");
        let found = pods.values_mut().flat_map(|p| &mut p.containers).find(|c| c.id == id);
        found.ok_or_else(|| Error::NotFound(id.to_owned()))?.resources = resources.clone();
        Ok(())
    }

    async fn update_pod(&self, uid: &str, resources: &Resources) -> Result<()> {
        let mut pods = self.pods.lock().expect("lock");
        pods.get_mut(uid).ok_or_else(|| Error::NotFound(uid.to_owned()))?.config.resources = resources.clone();
        Ok(())
    }

    async fn update_group(&self, _: &str, _: &Resources) -> Result<()> {
        Ok(())
    }

    async fn exec(&self, id: &str, config: &ExecConfig) -> Result<Streams> {
        let streams = Streams { leaves_with_input: false, ..self.attach(id).await? };
        if config.command.first().is_some_and(|program| program == "count") {
            let count = config.command.iter().map(String::len).sum::<usize>().to_string();
            let (sender, exit) = tokio::sync::oneshot::channel();
            let _ = sender.send(Ok(0));
            let stdout: Option<Box<dyn tokio::io::AsyncRead + Send + Unpin>> = Some(Box::new(std::io::Cursor::new(count.into_bytes())));
            return Ok(Streams { stdout, exit, ..streams });
        }
        if config.command == ["deaf"] {
            // It runs on, whatever becomes of its input.
            let (sender, exit) = tokio::sync::oneshot::channel();
            let (out, stdout) = tokio::io::duplex(1024);
            tokio::spawn(async move {
                let _kept = (out, sender);
                std::future::pending::<()>().await;
            });
            return Ok(Streams { stdout: Some(Box::new(stdout)), exit, ..streams });
        }
        Ok(streams)
    }

    async fn exec_sync(&self, _id: &str, command: &[String], _timeout: Duration) -> Result<Output> {
        if command == ["hang"] {
            return self.hang().await;
        }
        Ok(Output::default())
    }

    /// Echoes standard input to standard output, and ends with it, with code 3; who is attached leaves when its own ends.
    async fn attach(&self, _id: &str) -> Result<Streams> {
        let (stdin, mut inner) = tokio::io::duplex(1024);
        let (mut out, stdout) = tokio::io::duplex(1024);
        let (resize, _) = tokio::sync::mpsc::channel(1);
        let (sender, exit) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let _ = tokio::io::copy(&mut inner, &mut out).await;
            drop(out);
            let _ = sender.send(Ok(3));
        });
        let (stdin, stdout) = (Some(Box::new(stdin) as _), Some(Box::new(stdout) as _));
        Ok(Streams { stdin, stdout, stderr: None, resize, leaves_with_input: true, exit })
    }

    async fn reopen_log(&self, id: &str) -> Result<()> {
        if *self.reopens.lock().expect("lock") { Ok(()) } else { Err(Error::NotFound(id.to_owned())) }
    }

    fn events(&self) -> BoxStream<'static, Event> {
        let receiver = self.events.subscribe();
        futures::stream::unfold(receiver, |mut r| async move { Some((r.recv().await.ok()?, r)) }).boxed()
    }

    async fn usage(&self, _id: &str) -> Result<Usage> {
        Ok(Usage::default())
    }

    async fn pod_usage(&self, _uid: &str) -> Result<Usage> {
        Ok(Usage { memory_bytes: 1 << 20, processes: 1, ..Usage::default() })
    }

    async fn storage(&self, _id: &str, _enough: u64) -> Result<Size> {
        Ok(Size { bytes: 4096, files: 1 })
    }

    async fn image(&self, name: &str) -> Result<Option<Image>> {
        let digests = vec!["docker.io/library/i@sha256:d".to_owned()];
        let image = Image { id: "sha256:i".to_owned(), tags: vec![name.to_owned()], digests, ..Image::default() };
        let pulled = self.pulled.lock().expect("lock").iter().any(|pulled| pulled == name);
        let absent = name == "absent" || name.starts_with("hole") || name.starts_with("private");
        Ok((!absent || pulled).then_some(image))
    }

    async fn images(&self) -> Result<Vec<Image>> {
        Ok(self.images.lock().expect("lock").clone())
    }

    async fn image_disk(&self) -> Result<Space> {
        let (capacity, available) = *self.disk.lock().expect("lock");
        Ok(Space { capacity, available, used: capacity - available, ..Space::default() })
    }

    async fn pull(&self, name: &str, credentials: Option<&Credentials>) -> Result<Pulled> {
        if name.starts_with("private") && credentials.is_some_and(|c| c.password == "good") {
            self.pulled.lock().expect("lock").push(name.to_owned());
            let image = self.image(name).await?.expect("it was pulled");
            return Ok(Pulled { image, waited: Duration::ZERO });
        }
        if name.starts_with("hole") {
            return self.hang().await;
        }
        Err(Error::Image { reason: "ErrImagePull", message: format!("{name}: no such host") })
    }

    async fn remove_image(&self, name: &str) -> Result<()> {
        self.images.lock().expect("lock").retain(|image| image.id != name);
        Ok(())
    }
}
