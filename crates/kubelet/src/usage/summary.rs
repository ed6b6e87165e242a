//! `/stats/summary` (upstream: `stats/v1alpha1.Summary`).

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use network::{Traffic, traffic};
use runtime::{Size, Space, Usage};
use serde_json::{Map, Value, json};

use super::machine::{self, Machine};
use super::{ContainerUse, PodUse, pods};
use crate::agent::Agent;
use crate::spec;
use crate::storage::limits::{Usage as Sizes, named};

/// What a pod's interface is called; the machine's, too, if it has one of that name.
pub const INTERFACE: &str = "eth0";

/// Everything; without what is on the disk, if only processors and memory are asked for.
pub async fn summary(agent: &Agent, only_cpu_and_memory: bool) -> Result<Value, String> {
    let machine = machine::read().map_err(|e| e.to_string())?;
    let whole = agent.runtime.usage_of_all().await.unwrap_or_default();
    let node_disk = Space::of(&agent.config.data_dir).map_err(|e| e.to_string())?;
    let image_disk = agent.runtime.image_disk().await.ok();
    let view = View { agent, at: meta::time::seconds(machine.at), node_disk, image_disk: image_disk.unwrap_or(node_disk) };
    let mut list = Vec::new();
    for pod in pods(agent).await {
        let sizes = if only_cpu_and_memory { None } else { agent.sizes.of(agent, &pod.pod).await };
        list.push(view.pod(&pod, sizes.as_deref()));
    }
    let mut node = view.node(&machine, &whole);
    if !only_cpu_and_memory {
        let links = traffic::of_machine().unwrap_or_default();
        if let Some(first) = links.get_key_value(INTERFACE).or(links.first_key_value()).map(|(link, _)| link) {
            node.insert("network".to_owned(), view.network(first, &links));
        }
        let images: u64 = agent.runtime.images().await.unwrap_or_default().iter().map(|image| image.size).sum();
        node.insert("fs".to_owned(), view.disk(&view.node_disk, None));
        let image_fs = view.disk(&view.image_disk, Some(Size { bytes: images, files: 0 }));
        node.insert("runtime".to_owned(), json!({"imageFs": image_fs, "containerFs": view.disk(&view.image_disk, None)}));
        let rlimit = json!({"time": view.at, "maxpid": machine.most_processes, "curproc": machine.processes});
        node.insert("rlimit".to_owned(), rlimit);
    }
    Ok(json!({"node": node, "pods": list}))
}

/// What all parts need.
struct View<'a> {
    agent: &'a Agent,
    at: String,
    node_disk: Space,
    image_disk: Space,
}

impl View<'_> {
    fn node(&self, machine: &Machine, pods: &Usage) -> Map<String, Value> {
        let memory = json!({"time": self.at, "availableBytes": machine.memory_available, "usageBytes": machine.memory_used,
            "workingSetBytes": machine.working_set(), "rssBytes": machine.memory_anonymous,
            "pageFaults": machine.page_faults, "majorPageFaults": machine.major_page_faults});
        let mut all = self.memory(pods);
        // All pods together may have the machine's memory.
        all["availableBytes"] = machine.memory.saturating_sub(pods.memory_bytes).into();
        let since = text(machine.since);
        let pods = json!({"name": "pods", "startTime": since, "cpu": self.cpu("pods", pods.cpu_nanos), "memory": all});
        let node = json!({"nodeName": self.agent.config.node_name, "systemContainers": [pods], "startTime": since,
            "cpu": self.cpu("", machine.cpu_nanos), "memory": memory});
        match node {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn pod(&self, one: &PodUse, sizes: Option<&Sizes>) -> Value {
        let pod = &one.pod;
        let uid = spec::uid(pod);
        let containers: Vec<Value> = one.containers.iter().map(|container| self.container(uid, container, sizes)).collect();
        let mut out = json!({
            "podRef": {"name": spec::name(pod), "namespace": spec::namespace(pod), "uid": uid},
            "startTime": text(one.since), "containers": containers,
            "cpu": self.cpu(uid, one.usage.cpu_nanos), "memory": self.memory(&one.usage),
            "process_stats": {"process_count": one.usage.processes},
        });
        if let Some(traffic) = one.traffic.filter(|_| sizes.is_some()) {
            out["network"] = self.network(INTERFACE, &[(INTERFACE.to_owned(), traffic)].into());
        }
        if let Some(sizes) = sizes {
            let volume = |(name, size): &(String, Size)| {
                let mut volume = self.disk(&self.node_disk, Some(*size));
                volume["name"] = name.clone().into();
                volume
            };
            out["volume"] = sizes.volumes.iter().map(volume).collect();
            out["ephemeral-storage"] = self.disk(&self.node_disk, Some(sizes.total()));
        }
        out
    }

    fn container(&self, uid: &str, one: &ContainerUse, sizes: Option<&Sizes>) -> Value {
        let name = &one.container.name;
        let mut out = json!({"name": name, "startTime": text(one.since),
            "cpu": self.cpu(&format!("{uid}/{name}"), one.usage.cpu_nanos), "memory": self.memory(&one.usage)});
        if let Some(sizes) = sizes {
            out["rootfs"] = self.disk(&self.image_disk, Some(named(&sizes.layers, name)));
            out["logs"] = self.disk(&self.node_disk, Some(named(&sizes.logs, name)));
        }
        out
    }

    fn cpu(&self, whose: &str, nanos: u64) -> Value {
        let mut cpu = json!({"time": self.at, "usageCoreNanoSeconds": nanos});
        if let Some(rate) = self.agent.rates.look(whose, nanos, Instant::now()) {
            cpu["usageNanoCores"] = rate.into();
        }
        cpu
    }

    fn memory(&self, usage: &Usage) -> Value {
        json!({"time": self.at, "usageBytes": usage.memory_total, "workingSetBytes": usage.memory_bytes,
            "rssBytes": usage.memory_anonymous, "pageFaults": usage.page_faults,
            "majorPageFaults": usage.major_page_faults})
    }

    /// Links, and one of them before all others (upstream: `cadvisorInfoToNetworkStats`).
    fn network(&self, first: &str, links: &BTreeMap<String, Traffic>) -> Value {
        let one = |name: &str, traffic: &Traffic| {
            json!({"name": name, "rxBytes": traffic.received.bytes, "rxErrors": traffic.received.errors,
                "txBytes": traffic.sent.bytes, "txErrors": traffic.sent.errors})
        };
        let mut out = one(first, &links.get(first).copied().unwrap_or_default());
        out["time"] = self.at.clone().into();
        out["interfaces"] = links.iter().map(|(name, traffic)| one(name, traffic)).collect();
        out
    }

    /// A disk, and what of it somebody has; all that is taken, if nobody is named.
    fn disk(&self, disk: &Space, of: Option<Size>) -> Value {
        let taken = disk.files.saturating_sub(disk.files_free);
        let mut out = json!({"time": self.at, "availableBytes": disk.available, "capacityBytes": disk.capacity,
            "usedBytes": of.map_or(disk.used, |size| size.bytes), "inodesFree": disk.files_free, "inodes": disk.files});
        match of {
            Some(Size { files: 0, .. }) => {}
            Some(size) => out["inodesUsed"] = size.files.into(),
            None => out["inodesUsed"] = taken.into(),
        }
        out
    }
}

fn text(at: Timestamp) -> String {
    meta::time::seconds(at)
}
