//! Quality-of-service class of a pod (upstream: `component-helpers/.../qos`).

use k8s_openapi::api::core::v1::Pod;
use meta::Quantity;

use crate::spec;

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub fn class(pod: &Pod) -> &'static str {
    let all = spec::of(pod).containers.iter().chain(spec::init_containers(pod));
    let positive = |q: Option<Quantity>| q.filter(|q| q.sign() > 0);
    let mut any = false;
    let mut guaranteed = true;
    let mut count = |amount: &dyn Fn(bool, &str) -> Option<Quantity>| {
        for resource in ["cpu", "memory"] {
            let (limit, request) = (positive(amount(true, resource)), positive(amount(false, resource)));
            any |= limit.is_some() || request.is_some();
            guaranteed &= limit.is_some() && request.is_none_or(|r| Some(r) == limit);
        }
    };
    // What the pod asks for as a whole decides alone.
    if spec::of(pod).resources.is_some() {
        count(&|limits, resource| spec::amount_of_pod(pod, limits, resource));
    } else {
        all.for_each(|container| count(&|limits, resource| spec::amount(container, limits, resource)));
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn classes() {
        let class = |resources: serde_json::Value| {
            super::class(&crate::spec::tests::pod(json!({"containers": [{"name": "c", "resources": resources}]})))
        };
        assert_eq!(class(json!({})), "BestEffort");
        assert_eq!(class(json!({"requests": {"cpu": "1"}})), "Burstable");
        let full = json!({"limits": {"cpu": "1", "memory": "1Mi"}, "requests": {"cpu": "1000m", "memory": "1Mi"}});
        assert_eq!(class(full.clone()), "Guaranteed");
        let whole = json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1m"}}}], "resources": full});
        assert_eq!(super::class(&crate::spec::tests::pod(whole)), "Guaranteed");
    }
}
