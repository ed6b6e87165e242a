//! The quality of service class of a pod (upstream: `pkg/apis/core/helper/qos`).

use serde_json::Value;

use super::lasting_containers;
use super::resources::{Amounts, add, amounts};

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub fn class(spec: &Value) -> &'static str {
    let list = |of: &Value, which: &str| {
        let mut list = amounts(of.get("resources").and_then(|r| r.get(which)));
        list.retain(|name, amount| matches!(name.as_str(), "cpu" | "memory") && amount.sign() > 0);
        list
    };
    let both_limited = |limits: &Amounts| limits.len() == 2;
    let (mut requests, mut limits) = (list(spec, "requests"), list(spec, "limits"));
    let mut guaranteed = both_limited(&limits);
    let own = spec.get("resources").is_some_and(|r| ["limits", "requests"].iter().any(|l| r.get(l).is_some()));
    if !own {
        guaranteed = true;
        for container in lasting_containers(spec) {
            let limited = list(container, "limits");
            guaranteed &= both_limited(&limited);
            add(&mut limits, &limited);
            add(&mut requests, &list(container, "requests"));
        }
    }
    match (requests.is_empty() && limits.is_empty(), guaranteed && requests == limits) {
        (true, _) => "BestEffort",
        (false, true) => "Guaranteed",
        (false, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn classes() {
        let pod = |resources| class(&json!({"containers": [{"resources": resources}]}));
        let all = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(pod(json!({})), "BestEffort");
        assert_eq!(pod(json!({"requests": {"cpu": "1"}})), "Burstable");
        assert_eq!(pod(json!({"limits": all, "requests": all})), "Guaranteed");
        assert_eq!(pod(json!({"limits": all, "requests": {"cpu": "1", "memory": "1"}})), "Burstable");
        assert_eq!(class(&json!({"containers": [{}], "resources": {"limits": all, "requests": all}})), "Guaranteed");
    }
}
