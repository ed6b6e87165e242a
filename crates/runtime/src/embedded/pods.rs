//! Sandboxes.

use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::connection::Connection;
use super::records::{self, PodRecord};
use super::{Inner, blocking, system, watch};
use crate::shim::wire::{PidNamespace, Request, Sandbox};
use crate::shim::{READY, SANDBOX, VERSION};
use crate::users::IdRange;
use crate::{Error, Pod, PodConfig, Resources, Result, Usage, cgroup, clock, config, disk};

/// What containerd sets in every pod's network: ports and pings for everyone.
const NETWORK_DEFAULTS: [(&str, &str); 2] =
    [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];

/// In a user namespace: all the groups that there are.
const MAPPED_GROUPS: (&str, &str) = ("net.ipv4.ping_group_range", "0 65535");

impl Inner {
    pub(super) async fn start_pod(self: &Arc<Self>, config: &PodConfig) -> Result<Pod> {
        if !config::is_file_name(&config.uid) {
            return Err(Error::Config(format!("pod uid {:?} cannot be a file name", config.uid)));
        }
        let existing = self.pods().get(&config.uid).cloned();
        if let Some(pod) = existing {
            if pod.ready && pod.config.attempt == config.attempt {
                return Ok(pod.show(&self.config));
            }
            self.stop_pod(&config.uid).await?;
        }
        let (inner, wanted) = (self.clone(), config.clone());
        let record = match blocking(move || inner.prepare_pod(wanted)).await {
            Ok(record) => record,
            Err(error) => return self.give_up(config, error).await,
        };
        if let Some(old) = self.pods().get_mut(&config.uid) {
            // Who still follows the old sandbox must not clean up in the new one.
            old.created_at = record.created_at;
        }
        if let Err(error) = self.spawn_shim(&config.uid).await {
            return self.give_up(config, error).await;
        }
        let shown = {
            let mut pods = self.pods();
            let containers = pods.remove(&config.uid).map(|old| old.containers).unwrap_or_default();
            let record = PodRecord { ready: true, containers, ..record };
            let shown = record.show(&self.config);
            pods.insert(config.uid.clone(), record);
            shown
        };
        // It may have ended as soon as it was there: nobody would ever notice.
        if let Err(error) = watch::pod(self, &config.uid) {
            return self.give_up(config, error).await;
        }
        self.tell(&config.uid, "");
        Ok(shown)
    }

    /// After a failed start: an earlier sandbox of the pod is still known, anything else of it is not.
    async fn give_up(self: &Arc<Self>, config: &PodConfig, why: Error) -> Result<Pod> {
        let (inner, config) = (self.clone(), config.clone());
        blocking(move || {
            inner.clean_pod(&config.uid)?;
            let known = inner.pods().contains_key(&config.uid);
            if known { Ok(()) } else { inner.forget(&config) }
        })
        .await?;
        Err(why)
    }

    /// Removes the record and the cgroup of a pod, and frees its ids.
    fn forget(&self, config: &PodConfig) -> Result<()> {
        let fail = |e| system(format_args!("remove pod {}", config.uid))(e);
        let group = self.config.pod_cgroup(&config.cgroup_parent, &config.uid);
        self.hierarchies.remove(&group).map_err(fail)?;
        crate::remove_tree(&self.config.pod(&config.uid)).map_err(fail)?;
        self.ranges.free(&config.uid);
        Ok(())
    }

    fn prepare_pod(&self, config: PodConfig) -> Result<PodRecord> {
        let fail = |e| system(format_args!("prepare pod {}", config.uid))(e);
        let users = self.users(&config)?;
        let (ready, unseen, containers) = (false, false, Vec::new());
        let (version, created_at) = (records::VERSION, clock::now());
        let record = PodRecord { version, created_at, users, ready, unseen, containers, config: config.clone() };
        // Before anything is made: what is made for a pod without a record would be nobody's. Who has which ids must be
        // known after a loss of power, too: files of the range may be left.
        let kept = self.config.pod(&config.uid);
        std::fs::create_dir_all(&kept).map_err(fail)?;
        disk::write_json(&kept.join("pod.json"), &record, users.is_some()).map_err(fail)?;
        let group = self.config.pod_cgroup(&config.cgroup_parent, &config.uid);
        let shims = std::path::Path::new(&self.config.cgroup_root).join("shims");
        self.hierarchies.create(&shims).map_err(fail)?;
        self.hierarchies.create(&group).map_err(fail)?;
        cgroup::apply(&self.hierarchies, &group, &config.resources, false).map_err(fail)?;
        let dir = self.config.shim(&config.uid);
        std::fs::create_dir_all(&dir).map_err(fail)?;
        let sandbox = Sandbox {
            hostname: config.hostname.clone(),
            host_network: config.host_network,
            host_ipc: config.host_ipc,
            pid: match (config.host_pid, config.share_pid) {
                (true, _) => PidNamespace::Host,
                (false, true) => PidNamespace::Pod,
                (false, false) => PidNamespace::Own,
            },
            sysctls: sysctls(&config),
            users,
            netns: self.config.netns(&config.uid),
            cgroup: self.hierarchies.procs_files(&shims),
            containers: self.config.containers(),
            hierarchies: self.hierarchies.clone(),
            version: VERSION,
        };
        disk::write_json(&dir.join(SANDBOX), &sandbox, false).map_err(fail)?;
        Ok(record)
    }

    /// Ids for a pod that wants a user namespace; a later sandbox has those of the first.
    fn users(&self, config: &PodConfig) -> Result<Option<IdRange>> {
        if !config.user_namespace {
            return Ok(None);
        }
        if config.host_network || config.host_pid || config.host_ipc {
            return Err(Error::Config("a user namespace cannot be had with a namespace of the host".into()));
        }
        self.ranges.take(&config.uid).map(Some)
    }

    async fn spawn_shim(&self, uid: &str) -> Result<()> {
        let fail = |e: &dyn std::fmt::Display| Error::System(format!("start the process of pod {uid}: {e}"));
        let mut child = Command::new(self.program.path())
            .arg0(&self.config.shim_exe)
            .arg("shim")
            .arg("--dir")
            .arg(self.config.shim(uid))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| fail(&e))?;
        let stdout = child.stdout.take().ok_or_else(|| fail(&"no standard output"))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await.map_err(|e| fail(&e))?;
        // Ours as long as we live: it must be waited for, so that it leaves no zombie.
        tokio::spawn(async move { child.wait().await });
        match line.trim() {
            READY => Ok(()),
            "" => Err(fail(&"it ended at once")),
            reason => Err(fail(&reason)),
        }
    }

    pub(super) async fn stop_pod(self: &Arc<Self>, uid: &str) -> Result<()> {
        if !self.pods().contains_key(uid) {
            return Ok(());
        }
        match Connection::open(&self.config.shim(uid)) {
            Ok(shim) => {
                // It answers twice: that it will, and that it has. It may also just end.
                if shim.call(&Request::Stop, &[]).await.is_ok() {
                    let _ = shim.receive().await;
                }
            }
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let (inner, uid) = (self.clone(), uid.to_owned());
        blocking(move || inner.clean_pod(&uid)).await
    }

    /// Removes what is left of a sandbox, whether its shim was able to or not.
    fn clean_pod(&self, uid: &str) -> Result<()> {
        self.lost(uid);
        super::teardown::unmount_pod(&self.config, uid);
        crate::remove_tree(&self.config.shim(uid)).map_err(system(format_args!("clean up pod {uid}")))
    }

    pub(super) async fn remove_pod(self: &Arc<Self>, uid: &str) -> Result<()> {
        self.stop_pod(uid).await?;
        let Some(pod) = self.pods().get(uid).cloned() else { return Ok(()) };
        let (inner, name) = (self.clone(), uid.to_owned());
        blocking(move || {
            for container in &pod.containers {
                let removed = crate::remove_tree(&inner.config.container(&container.id));
                removed.map_err(system(format_args!("remove pod {name}")))?;
            }
            inner.forget(&pod.config)
        })
        .await?;
        self.pods().remove(uid);
        self.tell(uid, "");
        Ok(())
    }

    pub(super) fn update_pod(&self, uid: &str, resources: &Resources) -> Result<()> {
        let group = match self.pods().get_mut(uid) {
            Some(pod) => {
                pod.config.resources = resources.clone();
                self.config.pod_cgroup(&pod.config.cgroup_parent, uid)
            }
            None => return Err(Error::NotFound(format!("pod {uid}"))),
        };
        cgroup::apply(&self.hierarchies, &group, resources, true).map_err(system(format_args!("resize pod {uid}")))
    }
}

impl Inner {
    pub(super) fn pod_usage(&self, uid: &str) -> Result<Usage> {
        let pods = self.pods();
        let pod = pods.get(uid).ok_or_else(|| Error::NotFound(format!("pod {uid}")))?;
        let group = self.config.pod_cgroup(&pod.config.cgroup_parent, uid);
        drop(pods);
        Ok(cgroup::usage(&self.hierarchies, &group))
    }

    pub(super) fn update_group(&self, name: &str, resources: &Resources) -> Result<()> {
        if !name.is_empty() && !config::is_file_name(name) {
            return Err(Error::Config(format!("group {name:?} cannot be a file name")));
        }
        let group = std::path::Path::new(&self.config.cgroup_root).join(name);
        let made = self.hierarchies.create(&group);
        made.and_then(|()| cgroup::apply(&self.hierarchies, &group, resources, true))
            .map_err(system(format_args!("change the limits of the group {}", group.display())))
    }
}

fn sysctls(config: &PodConfig) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    if config.user_namespace {
        all.extend([NETWORK_DEFAULTS[0], MAPPED_GROUPS].map(|(name, value)| (name.to_owned(), value.to_owned())));
    } else if !config.host_network {
        all.extend(NETWORK_DEFAULTS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    all.extend(config.sysctls.iter().map(|(name, value)| (name.clone(), value.clone())));
    all
}
