//! What the class of a pod's runtime adds to the pod: its overhead, and where it can run
//! (upstream: `plugin/pkg/admission/runtimeclass`, `pkg/util/tolerations`).

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use meta::{Key, Object, Quantity, Status};
use serde_json::Value;

use super::{Context, is_pod};
use crate::refusal::forbidden;
use crate::{Lookup, Operation, Plugin, Request};

const OTHER_OVERHEAD: &str = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
const OWN_OVERHEAD: &str = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";

struct RuntimeClass;

/// Makes the plug-in.
pub(super) fn make(_context: &Context) -> Arc<dyn Plugin> {
    Arc::new(RuntimeClass)
}

#[async_trait]
impl Plugin for RuntimeClass {
    fn name(&self) -> &'static str {
        "RuntimeClass"
    }

    async fn mutate(&self, request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Status> {
        let Some(class) = class(request, lookup).await? else { return Ok(()) };
        let changed = request.object.as_deref_mut().map_or(Ok(()), |pod| apply(pod, &class));
        changed.map_err(|why| forbidden(request, why))
    }

    async fn validate(&self, request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Status> {
        let class = class(request, lookup).await?;
        let Some(pod) = request.object.as_deref().filter(|_| concerns(request)) else { return Ok(()) };
        let given = pod.at("spec.overhead").filter(|list| !list.is_null());
        match class.as_deref().and_then(overhead) {
            Some(own) if !same(own, given) => Err(forbidden(request, OTHER_OVERHEAD)),
            None if given.is_some() => Err(forbidden(request, OWN_OVERHEAD)),
            _ => Ok(()),
        }
    }
}

/// A pod is made.
fn concerns(request: &Request<'_>) -> bool {
    is_pod(request, "") && request.operation == Operation::Create
}

/// The class that a new pod names, if it names one.
async fn class(request: &Request<'_>, lookup: &dyn Lookup) -> Result<Option<Arc<Object>>, Status> {
    let pod = request.object.as_deref().filter(|_| concerns(request));
    let Some(name) = pod.and_then(|pod| pod.at("spec.runtimeClassName")).and_then(Value::as_str) else { return Ok(None) };
    match lookup.get("node.k8s.io", "runtimeclasses", &Key::new("", name)).await? {
        Some(class) => Ok(Some(class)),
        None => Err(forbidden(request, format!("pod rejected: RuntimeClass {name:?} not found"))),
    }
}

/// What a pod of the class costs beside its containers: resources by name, or nothing where the class leaves it open.
fn overhead(class: &Object) -> Option<Option<&Value>> {
    let overhead = class.at("overhead").filter(|overhead| !overhead.is_null())?;
    Some(overhead.get("podFixed"))
}

/// Whether two lists name the same amounts. None is as good as an empty one.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    amounts(a) == amounts(b)
}

fn amounts(list: Option<&Value>) -> BTreeMap<&str, Quantity> {
    let entries = list.and_then(Value::as_object).into_iter().flatten();
    let parsed = entries.map(|(name, value)| (name.as_str(), value.as_str().and_then(|text| Quantity::parse(text).ok())));
    parsed.filter_map(|(name, amount)| Some((name, amount?))).collect()
}

/// Gives the pod what its class says. The error is why the two do not agree.
fn apply(pod: &mut Object, class: &Object) -> Result<(), String> {
    if let Some(own) = overhead(class) {
        let given = pod.at("spec.overhead");
        if !amounts(given).is_empty() && !same(own, given) {
            return Err(OTHER_OVERHEAD.to_owned());
        }
        match own {
            Some(own) => pod.set("spec.overhead", own.clone()),
            None => drop(pod.remove("spec.overhead")),
        }
    }
    let Some(scheduling) = class.at("scheduling").filter(|scheduling| !scheduling.is_null()) else { return Ok(()) };
    select(pod, scheduling.get("nodeSelector"))?;
    let theirs = scheduling.get("tolerations").and_then(Value::as_array).into_iter().flatten();
    let all = pod.list_at("spec.tolerations").iter().chain(theirs).cloned().collect();
    pod.set("spec.tolerations", widest(all));
    Ok(())
}

/// Adds the labels that a node must have.
fn select(pod: &mut Object, selector: Option<&Value>) -> Result<(), String> {
    let wanted = meta::object::string_map(selector);
    let mut all = pod.at("spec.nodeSelector").and_then(Value::as_object).cloned().unwrap_or_default();
    for (key, value) in wanted {
        let before = all.get(key).and_then(Value::as_str);
        if let Some(own) = before.filter(|own| *own != value) {
            return Err(format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {own}"
            ));
        }
        all.insert(key.to_owned(), value.into());
    }
    if !all.is_empty() {
        pod.set("spec.nodeSelector", all);
    }
    Ok(())
}

/// The tolerations without those that another one covers. Of two that are the same, the first stays.
fn widest(all: Vec<Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for (at, one) in all.iter().enumerate() {
        let later = all[at + 1..].iter().filter(|other| *other != one);
        if !kept.iter().chain(later).any(|other| covers(other, one)) {
            kept.push(one.clone());
        }
    }
    kept
}

/// Whether what `narrow` tolerates, `wide` does too.
fn covers(wide: &Value, narrow: &Value) -> bool {
    let text = |toleration: &Value, name: &str| toleration.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let (of_wide, of_narrow) = (|name| text(wide, name), |name| text(narrow, name));
    let seconds = |toleration: &Value| toleration.get("tolerationSeconds").and_then(Value::as_i64);
    let operator = of_wide("operator");
    if wide == narrow {
        return true;
    }
    // No key and `Exists`: every taint.
    if of_narrow("key") != of_wide("key") && (!of_wide("key").is_empty() || operator != "Exists") {
        return false;
    }
    if of_narrow("effect") != of_wide("effect") && !of_wide("effect").is_empty() {
        return false;
    }
    let bounded = of_wide("effect") == "NoExecute" && seconds(wide).is_some();
    if bounded && seconds(narrow).is_none_or(|s| Some(s) > seconds(wide)) {
        return false;
    }
    match operator.as_str() {
        "Exists" => true,
        "Equal" | "" => of_narrow("operator") == "Equal" && of_narrow("value") == of_wide("value"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_tolerations_the_widest_stay() {
        let key = |key: &str| json!({"key": key, "operator": "Exists"});
        let equal = |value: &str| json!({"key": "a", "operator": "Equal", "value": value, "effect": "NoSchedule"});
        let seconds = |s: i64| json!({"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": s});
        let all = |list: &[Value]| widest(list.to_vec());
        assert_eq!(all(&[key("a"), key("b"), key("a")]), [key("a"), key("b")]);
        assert_eq!(all(&[equal("x"), key("a")]), [key("a")]);
        assert_eq!(all(&[key("a"), equal("x")]), [key("a")]);
        assert_eq!(all(&[equal("x"), equal("y")]).len(), 2);
        assert_eq!(all(&[seconds(1), seconds(2)]), [seconds(2)]);
        assert_eq!(all(&[seconds(1), json!({"operator": "Exists"})]), [json!({"operator": "Exists"})]);
        let implied = json!({"key": "a", "value": "x", "effect": "NoSchedule"});
        // No operator means `Equal`, and covers the word, but upstream does not see the reverse.
        assert_eq!(all(&[implied.clone(), equal("x")]), std::slice::from_ref(&implied));
        assert_eq!(all(&[equal("x"), implied.clone()]), [implied]);
    }
}
