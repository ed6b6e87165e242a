//! `/configz`: the settings that this agent goes by, in the words of upstream's `KubeletConfiguration`.

use serde_json::{Map, Value, json};

use crate::agent::Agent;
use crate::pressure::thresholds::{Amount, Threshold};

/// Those that are in force.
pub fn answer(agent: &Agent) -> Value {
    let config = &agent.config;
    let pressure = &config.pressure;
    let (hard, soft): (Vec<&Threshold>, Vec<&Threshold>) = pressure.thresholds.iter().partition(|t| t.is_hard());
    let below = |list: &[&Threshold]| map(list, |t| Some(amount(t.below)));
    let grace = map(&soft, |t| Some(format!("{}s", t.grace.as_secs_f64())));
    let reclaim = map(&pressure.thresholds.iter().collect::<Vec<_>>(), |t| t.reclaim.map(amount));
    let dns: Vec<String> = config.cluster_dns.iter().map(ToString::to_string).collect();
    json!({"kubeletconfig": {
        "kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "port": config.port, "address": "0.0.0.0", "readOnlyPort": 0,
        "authentication": {"x509": {}, "webhook": {"enabled": true}, "anonymous": {"enabled": false}},
        "authorization": {"mode": "Webhook"},
        "clusterDNS": dns, "clusterDomain": config.cluster_domain, "resolvConf": config.resolv_conf,
        "podCIDR": config.pod_cidr, "maxPods": config.max_pods, "podPidsLimit": config.pod_pids.unwrap_or(-1), "cgroupDriver": "cgroupfs",
        "imageGCHighThresholdPercent": config.image_gc.high, "imageGCLowThresholdPercent": config.image_gc.low,
        "evictionHard": below(&hard), "evictionSoft": below(&soft), "evictionSoftGracePeriod": grace,
        "evictionMinimumReclaim": reclaim, "evictionMaxPodGracePeriod": pressure.max_pod_grace,
        "evictionPressureTransitionPeriod": format!("{}s", pressure.transition.as_secs_f64()),
        "podLogsDir": config.log_dir, "containerLogMaxFiles": config.log_rotation.max_files,
        "containerLogMaxSize": config.log_rotation.max_size.map_or("-1".to_owned(), |size| size.to_string()),
        "failSwapOn": false, "enableSystemLogHandler": true, "enableSystemLogQuery": false, "staticPodPath": config.static_pods.as_ref().map(|source| &source.path),
    }})
}

fn map(list: &[&Threshold], of: impl Fn(&Threshold) -> Option<String>) -> Map<String, Value> {
    let pair = |t: &&Threshold| Some((t.signal.name()?.to_owned(), of(t)?.into()));
    list.iter().filter_map(pair).collect()
}

fn amount(amount: Amount) -> String {
    match amount {
        Amount::Fixed(quantity) => quantity.to_string(),
        Amount::Share(share) => format!("{}%", share * 100.0),
    }
}
