//! Requests and limits as the kernel takes them (upstream: `cm/helpers_linux.go`, `qos/policy.go`).

use ::pod::resources::total;
use ::pod::{Side, Spec};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use meta::Quantity;
use runtime::Resources;

use crate::spec;

const PERIOD: i64 = 100_000;
const MIN_QUOTA: i64 = 1_000;
const MIN_SHARES: i64 = 2;
const MAX_SHARES: i64 = 262_144;
const SHARES_PER_CPU: i64 = 1024;

/// `cpu.shares` for thousandths of a CPU.
pub fn shares(milli: i64) -> u64 {
    let shares = if milli == 0 { MIN_SHARES } else { (milli * SHARES_PER_CPU / 1000).clamp(MIN_SHARES, MAX_SHARES) };
    shares.unsigned_abs()
}

/// Microseconds of CPU time per period; 0 for no limit.
pub fn quota(milli: i64) -> i64 {
    if milli == 0 { 0 } else { (milli * PERIOD / 1000).max(MIN_QUOTA) }
}

/// Limits of one container.
pub fn container(pod: &Pod, container: &Container, node_memory: i64) -> Resources {
    let milli = |limits| spec::amount(container, limits, "cpu").map(|q| q.milli_value());
    let request = milli(false).or_else(|| milli(true)).unwrap_or(0);
    Resources {
        cpu_shares: shares(request),
        cpu_quota: quota(milli(true).unwrap_or(0)),
        cpu_period: PERIOD.unsigned_abs(),
        memory_limit: spec::amount(container, true, "memory").map_or(0, |q| q.value()),
        oom_score_adj: oom_score(pod, container, node_memory),
        pids_limit: 0,
    }
}

/// Limits of the whole pod: where every container has one, or the pod as a whole (upstream: `ResourceConfigForPod`).
pub fn pod(pod: &Pod, most_processes: Option<i64>) -> Resources {
    let spec = spec::of(pod);
    let (requests, limits) = (total(spec, Side::Requests), total(spec, Side::Limits));
    let whole = spec.whole(Side::Limits).unwrap_or_default();
    let limited = |name: &str| {
        let named = |(_, container): (_, &Container)| !PodSpec::of(container, Side::Limits).get(name).is_none_or(Quantity::is_zero);
        whole.contains_key(name) || spec.all().into_iter().all(named)
    };
    let limit = |name: &str| limits.get(name).copied().filter(|_| limited(name)).unwrap_or(Quantity::ZERO);
    // A limit alone is a request, too.
    let request = requests.get("cpu").or(limits.get("cpu")).map_or(0, Quantity::milli_value);
    Resources {
        cpu_shares: shares(request),
        cpu_quota: quota(limit("cpu").milli_value()),
        cpu_period: PERIOD.unsigned_abs(),
        memory_limit: limit("memory").value(),
        pids_limit: most_processes.unwrap_or(0),
        ..Resources::default()
    }
}

/// Cgroup below which pods of this class live; `Guaranteed` pods have none of their own.
pub fn cgroup_parent(pod: &Pod) -> &'static str {
    match ::pod::qos::class(spec::of(pod)) {
        "BestEffort" => "besteffort",
        "Burstable" => "burstable",
        _ => "",
    }
}

/// Whom the kernel kills first when memory runs out.
fn oom_score(pod: &Pod, container: &Container, node_memory: i64) -> i64 {
    // Upstream: `IsNodeCriticalPod`.
    if spec::is_critical(pod) && spec::of(pod).priority_class_name.as_deref() == Some("system-node-critical") {
        return -997;
    }
    match ::pod::qos::class(spec::of(pod)) {
        "Guaranteed" => return -997,
        "BestEffort" => return 1000,
        _ => {}
    }
    let request = spec::amount(container, false, "memory").map_or(0, |q| q.value());
    if node_memory <= 0 {
        return 999;
    }
    let score = 1000 - (1000_i128 * i128::from(request) / i128::from(node_memory)) as i64;
    match score {
        s if s < 3 => 3,
        1000 => 999,
        s => s,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn kernel_values() {
        let p = spec::tests::pod(json!({"containers": [{"name": "c", "resources":
            {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "500m"}}}]}));
        let r = container(&p, &spec::of(&p).containers[0], 4 << 30);
        assert_eq!((r.cpu_shares, r.cpu_quota, r.memory_limit, r.oom_score_adj), (102, 50_000, 0, 750));
        let whole = spec::tests::pod(json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1m"}}}],
            "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1", "memory": "1Mi"}}}));
        let r = self::pod(&whole, Some(7));
        assert_eq!(r.pids_limit, 7);
        assert_eq!((r.cpu_shares, r.cpu_quota, r.memory_limit), (512, 100_000, 1 << 20));
        let loaded = spec::tests::pod(json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1m"}}}],
            "overhead": {"cpu": "250m", "memory": "1Mi"},
            "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1", "memory": "1Mi"}}}));
        let r = self::pod(&loaded, None);
        assert_eq!((r.cpu_shares, r.cpu_quota, r.memory_limit), (768, 125_000, 2 << 20));
        assert_eq!((shares(0), quota(1), cgroup_parent(&p)), (2, 1000, "burstable"));
    }
}
