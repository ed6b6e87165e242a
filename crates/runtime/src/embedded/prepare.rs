//! Everything that a container needs before its pod's process can start it: directories, cgroup, spec.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use super::confine::{check_shim, needs};
use super::records::{self, ContainerRecord, PodRecord};
use super::{Inner, resolve, system};
use crate::config::is_file_name;
use crate::image::Local;
use crate::shim::SHM;
use crate::shim::wire::Spec;
use crate::{ContainerConfig, ContainerState, Error, PodConfig, Result, cgroup, clock, disk};

impl Inner {
    /// Makes a container's files; it does not run yet.
    pub(super) fn prepare_container(&self, pod: &PodRecord, config: ContainerConfig) -> Result<ContainerRecord> {
        if !is_file_name(&config.name) {
            return Err(Error::Config(format!("container name {:?} cannot be a file name", config.name)));
        }
        let wanted = if config.image_id.is_empty() { &config.image } else { &config.image_id };
        let image = self.images.open_image(wanted)?;
        let id = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let dir = self.config.container(&id);
        let made = self.fill(pod, &config, &image, &id);
        if made.is_err() {
            // The first error is the one to tell.
            let _ = self.hierarchies.remove(&self.group(&pod.config, &id));
            let _ = crate::remove_tree(&dir);
        }
        let log = pod.config.log_dir.join(&config.name).join(format!("{}.log", config.attempt));
        made.map(|stop_signal| ContainerRecord {
            version: records::VERSION,
            group: self.group(&pod.config, &id),
            id,
            pod_uid: pod.config.uid.clone(),
            created_at: clock::now(),
            log,
            stop_signal,
            layers: image.layers,
            starting: true,
            state: ContainerState::Created,
            user: None,
            config,
        })
        .and_then(|record| {
            let path = dir.join("container.json");
            disk::write_json(&path, &record, false).map_err(system(path.display()))?;
            Ok(record)
        })
    }

    /// Cgroup of a container.
    fn group(&self, pod: &PodConfig, id: &str) -> PathBuf {
        self.config.pod_cgroup(&pod.cgroup_parent, &pod.uid).join(id)
    }

    fn fill(&self, pod: &PodRecord, config: &ContainerConfig, image: &Local, id: &str) -> Result<i32> {
        let dir = self.config.container(id);
        let fail = |e| system(format_args!("prepare container {id}"))(e);
        let resolved = resolve::resolve(&pod.config, config, &image.config)?;
        for (part, mode) in [("upper", 0o755), ("work", 0o700), ("rootfs", 0o755)] {
            DirBuilder::new().recursive(true).mode(mode).create(dir.join(part)).map_err(fail)?;
        }
        if let Some(range) = pod.users {
            // The root directory is the upper one's.
            std::os::unix::fs::chown(dir.join("upper"), Some(range.first), Some(range.first)).map_err(fail)?;
        }
        let group = self.group(&pod.config, id);
        self.hierarchies.create(&group).map_err(fail)?;
        cgroup::apply(&self.hierarchies, &group, &config.resources, false).map_err(fail)?;
        cgroup::kill_together(&self.hierarchies, &group).map_err(fail)?;
        if !config.security.privileged {
            cgroup::restrict(&self.hierarchies, &group, &config.devices).map_err(fail)?;
        }
        let process = self.shim_version(&pod.config.uid)?;
        let mut spec = Spec {
            id: id.to_owned(),
            layers_dir: self.images.layers_dir(),
            layers: image.layers.iter().rev().cloned().collect(),
            args: resolved.args,
            env: resolved.env,
            cwd: resolved.cwd,
            user: resolved.user,
            group: config.security.group,
            supplemental_groups: config.security.supplemental_groups.clone(),
            strict_groups: config.security.strict_groups,
            capabilities: resolved.capabilities,
            privileged: config.security.privileged,
            read_only_root: config.security.read_only_root,
            no_new_privileges: config.security.no_new_privileges,
            unmasked_proc: config.security.unmasked_proc,
            app_armor: self.profile_of(&config.security, process)?,
            seccomp: self.filter_of(id, &config.security, resolved.capabilities)?,
            mounts: self.mounts_of(&config.mounts, image, &dir)?,
            devices: config.devices.clone(),
            shm: self.config.shim(&pod.config.uid).join(SHM),
            tty: config.tty,
            oom_score_adj: config.resources.oom_score_adj,
            cgroup: self.hierarchies.procs_files(&group),
            hierarchies: self.hierarchies.clone(),
            dir: dir.clone(),
            users: pod.users,
            version: 0,
        };
        spec.version = needs(&spec, config.pid_of.as_deref());
        check_shim(&spec, process)?;
        disk::write_json(&dir.join("spec.json"), &spec, false).map_err(fail)?;
        Ok(resolved.stop_signal)
    }
}
