//! A runtime and a pod network that do nothing but take down what they are asked.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use network::{HostPort, PodNetwork};
use runtime::{
    Container, ContainerConfig, ContainerState, Credentials, Error, Event, ExecConfig, Features, Image, Output, Pod,
    PodConfig, Pulled, Resources, Result, Runtime, Streams, Usage,
};

/// What was asked, in order.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn note(&self, text: String) {
        self.0.lock().expect("lock").push(text);
    }

    pub fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().expect("lock")).join("\n")
    }
}

/// The runtime and the network.
#[derive(Clone, Default)]
pub struct Machine {
    pub notes: Notes,
    /// The pod that was started last.
    pod: Arc<Mutex<Option<Pod>>>,
    /// Since when the tries of a probe are counted.
    pub tries: Arc<Mutex<Option<Tries>>>,
}

/// The tries of a probe: so many pass, then all fail.
pub struct Tries {
    pub since: tokio::time::Instant,
    pub pass: usize,
}

fn nothing<T>() -> Result<T> {
    Err(Error::NotFound("nothing is kept".to_owned()))
}

fn running(config: &ContainerConfig) -> Container {
    Container {
        id: format!("id-{}", config.name),
        pod_uid: String::new(),
        name: config.name.clone(),
        attempt: config.attempt,
        image: config.image.clone(),
        image_id: config.image_id.clone(),
        state: ContainerState::Running { started_at: 0 },
        log_path: std::path::PathBuf::new(),
        resources: config.resources.clone(),
        user: None,
        labels: config.labels.clone(),
    }
}

#[async_trait]
impl Runtime for Machine {
    async fn start_pod(&self, config: &PodConfig) -> Result<Pod> {
        self.notes.note(format!("{config:?}"));
        let pod = Pod { config: config.clone(), ready: true, created_at: 0, netns: Some("/ns".into()), containers: Vec::new() };
        *self.pod.lock().expect("lock") = Some(pod.clone());
        Ok(pod)
    }

    async fn stop_pod(&self, _uid: &str) -> Result<()> {
        Ok(())
    }

    async fn remove_pod(&self, _uid: &str) -> Result<()> {
        Ok(())
    }

    async fn pods(&self) -> Result<Vec<Pod>> {
        Ok(Vec::new())
    }

    async fn pod(&self, _uid: &str) -> Result<Option<Pod>> {
        Ok(self.pod.lock().expect("lock").clone())
    }

    async fn start_container(&self, _pod: &str, config: &ContainerConfig) -> Result<String> {
        self.notes.note(format!("{config:?}"));
        let started = running(config);
        if let Some(pod) = &mut *self.pod.lock().expect("lock") {
            pod.containers.push(started);
        }
        Ok(format!("id-{}", config.name))
    }

    async fn stop_container(&self, id: &str, grace_seconds: i64) -> Result<()> {
        self.notes.note(format!("stop {id} within {grace_seconds}"));
        Ok(())
    }

    async fn remove_container(&self, _id: &str) -> Result<()> {
        Ok(())
    }

    async fn update_container(&self, _id: &str, _resources: &Resources) -> Result<()> {
        Ok(())
    }

    async fn exec(&self, _id: &str, _config: &ExecConfig) -> Result<Streams> {
        nothing()
    }

    async fn exec_sync(&self, id: &str, command: &[String], timeout: Duration) -> Result<Output> {
        self.notes.note(format!("exec in {id} within {timeout:?}: {command:?}"));
        let mut tries = self.tries.lock().expect("lock");
        let Some(tries) = &mut *tries else { return Ok(Output::default()) };
        self.notes.note(format!("after {} s", tries.since.elapsed().as_secs()));
        let passes = tries.pass > 0;
        tries.pass -= usize::from(passes);
        Ok(Output { code: i32::from(!passes), ..Output::default() })
    }

    async fn attach(&self, _id: &str) -> Result<Streams> {
        nothing()
    }

    async fn reopen_log(&self, _id: &str) -> Result<()> {
        Ok(())
    }

    fn events(&self) -> BoxStream<'static, Event> {
        futures::stream::pending().boxed()
    }

    async fn usage(&self, _id: &str) -> Result<Usage> {
        Ok(Usage::default())
    }

    fn features(&self) -> Features {
        // Everything but AppArmor, which a machine may lack: then it is refused.
        Features { recursive_read_only_mounts: true, user_namespaces: true, app_armor: false }
    }

    async fn mount_image(&self, _pod_uid: &str, image_id: &str, _target: &Path) -> Result<()> {
        self.notes.note(format!("mount image {image_id}"));
        Ok(())
    }

    async fn image(&self, name: &str) -> Result<Option<Image>> {
        Ok(Some(Image { id: format!("sha256:{name}"), uid: Some(0), tags: vec![name.to_owned()], ..Image::default() }))
    }

    async fn images(&self) -> Result<Vec<Image>> {
        Ok(Vec::new())
    }

    async fn pull(&self, name: &str, credentials: Option<&Credentials>) -> Result<Pulled> {
        self.notes.note(format!("pull {name} with {credentials:?}"));
        match credentials {
            Some(_) => nothing(),
            None => {
                let image = Image { id: format!("sha256:{name}"), uid: Some(0), ..Image::default() };
                Ok(Pulled { image, waited: Duration::ZERO })
            }
        }
    }

    async fn remove_image(&self, _name: &str) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl PodNetwork for Machine {
    async fn attach(&self, _uid: &str, _netns: &Path, ports: &[HostPort]) -> network::api::Result<Vec<IpAddr>> {
        self.notes.note(format!("attach with {ports:?}"));
        Ok(self.addresses(""))
    }

    async fn detach(&self, _uid: &str) -> network::api::Result<()> {
        Ok(())
    }

    /// The loopback address: what probes and hooks ask is answered here.
    fn addresses(&self, _uid: &str) -> Vec<IpAddr> {
        vec![IpAddr::from([127, 0, 0, 1])]
    }
}
