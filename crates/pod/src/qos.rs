//! The quality of service class of a pod (upstream: `pkg/apis/core/helper/qos`).

use crate::resources::{Amounts, Side, add};
use crate::spec::Spec;

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub fn class<S: Spec + ?Sized>(spec: &S) -> &'static str {
    let count = |mut list: Amounts| {
        list.retain(|name, amount| matches!(name.as_str(), "cpu" | "memory") && amount.sign() > 0);
        list
    };
    let both = |limits: &Amounts| limits.len() == 2;
    let (mut requests, mut limits, mut guaranteed) = (Amounts::new(), Amounts::new(), true);
    // The pod as a whole decides alone, also where it names nothing (upstream asks `spec.resources != nil`).
    match (spec.whole(Side::Requests), spec.whole(Side::Limits)) {
        (Some(r), Some(l)) => {
            (requests, limits) = (count(r), count(l));
            guaranteed = both(&limits);
        }
        _ => {
            for (_, container) in spec.all() {
                let limited = count(S::of(container, Side::Limits));
                guaranteed &= both(&limited);
                add(&mut limits, &limited);
                add(&mut requests, &count(S::of(container, Side::Requests)));
            }
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
    use k8s_openapi::api::core::v1::PodSpec;
    use serde_json::{Value, json};

    /// The class, which must be the same for the typed spec.
    fn class(spec: Value) -> &'static str {
        let typed: PodSpec = serde_json::from_value(spec.clone()).expect("a spec");
        assert_eq!(super::class(&typed), super::class(&spec));
        super::class(&spec)
    }

    #[test]
    fn classes() {
        let of = |resources: Value| class(json!({"containers": [{"name": "c", "resources": resources}]}));
        let all = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(of(json!({})), "BestEffort");
        assert_eq!(of(json!({"requests": {"cpu": "0"}})), "BestEffort");
        assert_eq!(of(json!({"requests": {"cpu": "1"}})), "Burstable");
        assert_eq!(of(json!({"limits": all, "requests": {"cpu": "1000m", "memory": "1Gi"}})), "Guaranteed");
        assert_eq!(of(json!({"limits": all, "requests": {"cpu": "1", "memory": "1"}})), "Burstable");
        let whole = |resources: Value| {
            class(json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1m"}}}], "resources": resources}))
        };
        assert_eq!(whole(json!({"limits": all, "requests": all})), "Guaranteed");
        assert_eq!(whole(json!({})), "BestEffort");
        assert_eq!(whole(json!({"limits": {}})), "BestEffort");
        assert_eq!(whole(json!({"requests": {"cpu": "1"}})), "Burstable");
        let init = json!({"containers": [{"name": "c", "resources": {"limits": all, "requests": all}}],
            "initContainers": [{"name": "i"}]});
        assert_eq!(class(init), "Burstable");
    }
}
