//! Fields of a specification whose features are off by default: they are dropped before anything looks at them, unless
//! the object has them already (upstream: `pkg/api/pod.DropDisabledPodFields`).

use meta::Object;
use serde_json::Value;

use super::CONTAINER_LISTS;
use crate::tree::{Fields, child_mut, each_mut};

/// Sources of projected volumes that are off.
const SOURCES: [&str; 2] = ["clusterTrustBundle", "podCertificate"];

/// Drops what is off from the pod specification at the path, unless the one of `old` uses it.
pub fn drop_disabled(new: &mut Object, old: Option<&Object>, path: &str) {
    let before = old.and_then(|old| old.at(path));
    let Some(spec) = new.at_mut(path).and_then(Value::as_object_mut) else { return };
    if !before.is_some_and(|spec| is_set(spec, "schedulingGroup")) {
        spec.remove("schedulingGroup");
    }
    if !before.is_some_and(has_stop_signal) {
        CONTAINER_LISTS.iter().for_each(|list| each_mut(spec, list).for_each(without_stop_signal));
    }
    for source in SOURCES.into_iter().filter(|source| !before.is_some_and(|spec| has_source(spec, source))) {
        for volume in each_mut(spec, "volumes") {
            let Some(projected) = child_mut(volume, "projected") else { continue };
            each_mut(projected, "sources").for_each(|one| drop(one.remove(source)));
        }
    }
}

fn without_stop_signal(container: &mut Fields) {
    let Some(lifecycle) = child_mut(container, "lifecycle") else { return };
    if lifecycle.remove("stopSignal").is_some() && lifecycle.is_empty() {
        container.remove("lifecycle");
    }
}

fn is_set(tree: &Value, name: &str) -> bool {
    tree.get(name).is_some_and(|value| !value.is_null())
}

fn items<'a>(tree: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    tree.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn has_stop_signal(spec: &Value) -> bool {
    let mut containers = CONTAINER_LISTS.iter().flat_map(|list| items(spec, list));
    containers.any(|container| container.get("lifecycle").is_some_and(|lifecycle| is_set(lifecycle, "stopSignal")))
}

fn has_source(spec: &Value, source: &str) -> bool {
    let mut sources = items(spec, "volumes").filter_map(|volume| volume.get("projected")).flat_map(|p| items(p, "sources"));
    sources.any(|one| is_set(one, source))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_off_is_dropped_unless_it_is_there_already() {
        let spec = json!({
            "schedulingGroup": {"podGroupName": "g"},
            "containers": [{"name": "a", "lifecycle": {"stopSignal": "SIGTERM"}}, {"name": "b", "lifecycle": {"preStop": {}, "stopSignal": "X"}}],
            "volumes": [{"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"path": "p"}}, {"podCertificate": {}}, {"secret": {}}]}}],
        });
        let all = Object::from_value(json!({"spec": spec})).unwrap_or_default();
        let mut new = all.clone();
        drop_disabled(&mut new, None, "spec");
        let want = json!({"spec": {
            "containers": [{"name": "a"}, {"name": "b", "lifecycle": {"preStop": {}}}],
            "volumes": [{"name": "v", "projected": {"sources": [{}, {}, {"secret": {}}]}}],
        }});
        assert_eq!(new.into_value(), want);
        let mut same = all.clone();
        drop_disabled(&mut same, Some(&all), "spec");
        assert_eq!(same.into_value(), all.into_value());
    }
}
