//! How far a rollout may go beyond, and fall short of, the wanted number (upstream: `ResolveFenceposts`).

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The wanted number of replicas.
pub fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1)
}

/// Whether the strategy is RollingUpdate, the default.
pub fn is_rolling(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.as_ref().and_then(|s| s.strategy.as_ref());
    strategy.and_then(|s| s.type_.as_deref()).is_none_or(|t| t == "RollingUpdate")
}

/// Replicas beyond the wanted number during a rollout.
pub fn surge(deployment: &Deployment) -> i32 {
    if is_rolling(deployment) { resolve(deployment).0 } else { 0 }
}

/// Replicas that may be missing during a rollout.
pub fn unavailable(deployment: &Deployment) -> i32 {
    let wanted = replicas(deployment);
    if !is_rolling(deployment) || wanted == 0 { 0 } else { resolve(deployment).1.min(wanted) }
}

/// (surge, unavailable): surge is rounded up, unavailable down, and not both are zero.
fn resolve(deployment: &Deployment) -> (i32, i32) {
    let strategy = deployment.spec.as_ref().and_then(|s| s.strategy.as_ref());
    let rolling = strategy.and_then(|s| s.rolling_update.clone()).unwrap_or_default();
    let quarter = || IntOrString::String("25%".to_owned());
    let wanted = replicas(deployment);
    let surge = scaled(&rolling.max_surge.unwrap_or_else(quarter), wanted, true);
    let unavailable = scaled(&rolling.max_unavailable.unwrap_or_else(quarter), wanted, false);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// A number, or a percentage of `total`. What cannot be read counts as zero: validation refuses it.
fn scaled(value: &IntOrString, total: i32, up: bool) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let percent: i64 = text.strip_suffix('%').and_then(|p| p.parse().ok()).unwrap_or(0);
            let hundredfold = percent * i64::from(total);
            let rounded = if up { (hundredfold + 99).div_euclid(100) } else { hundredfold.div_euclid(100) };
            rounded.try_into().unwrap_or(i32::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rounds_and_never_stands_still() {
        for (wanted, max_surge, max_unavailable, expected) in [
            (10, json!("25%"), json!("25%"), (3, 2)),
            (1, json!("25%"), json!("25%"), (1, 0)),
            (2, json!("0%"), json!("1%"), (0, 1)),
            (2, json!("1%"), json!("25%"), (1, 0)),
            (3, json!(0), json!(5), (0, 3)),
        ] {
            let spec = json!({"replicas": wanted, "selector": {}, "template": {},
                "strategy": {"rollingUpdate": {"maxSurge": max_surge, "maxUnavailable": max_unavailable}}});
            let deployment: Deployment = serde_json::from_value(json!({"metadata": {}, "spec": spec})).expect("valid");
            assert_eq!((surge(&deployment), unavailable(&deployment)), expected);
        }
    }
}
