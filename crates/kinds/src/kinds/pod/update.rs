//! What may change in a pod (upstream: `ValidatePodUpdate` and its kin).

use std::collections::HashSet;

use meta::field::{Error, Errors, Path};
use meta::{Object, text};
use serde_json::{Value, json};

use super::status::by_name;
use crate::podspec::validate::{own_annotations, stored_pod};
use crate::tree::{Fields, child_mut, each_mut, same, same_pointers};
use crate::validate::taint::tolerations;
use crate::view::View;

const MIRROR: &str = "kubernetes.io/config.mirror";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

const CHANGEABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                          `spec.tolerations` (only additions to existing tolerations),\
                          `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// An update of the pod itself.
pub(super) fn main(new: &Object, old: &Object) -> Errors {
    let mut errors = stored_pod(new);
    annotations(new, old, &mut errors);
    let (is, was) = (View::of(new, "spec"), View::of(old, "spec"));
    for list in ["containers", "initContainers"] {
        let (now, before) = (is.at(list), was.at(list));
        if now.list().len() != before.list().len() {
            errors.push(now.forbidden("pod updates may not add or remove containers"));
            return errors;
        }
        for image in now.items().map(|container| container.at("image")) {
            if image.str().is_empty() {
                errors.push(image.required(""));
            }
            if image.str().trim() != image.str() {
                errors.push(image.invalid("must not have leading or trailing whitespace"));
            }
        }
    }
    if !deadline(&is.at("activeDeadlineSeconds"), &was.at("activeDeadlineSeconds"), &mut errors) {
        return errors;
    }
    added_tolerations(&is.at("tolerations"), &was.at("tolerations"), &mut errors);
    let gates: HashSet<&str> = was.each("schedulingGates").map(|g| g.text("name")).collect();
    for gate in is.each("schedulingGates").filter(|g| !gates.contains(g.text("name"))) {
        let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.text("name"));
        errors.push(gate.at("name").forbidden(detail));
    }
    if !gates.is_empty() {
        narrowed(&is, &was, &mut errors);
    }
    let allowed = munged(&is, &was, !gates.is_empty());
    let before = was.value().cloned().unwrap_or_default();
    if !same_pointers(Some(&allowed), Some(&before)) {
        let changes = crate::diff::of(&before, &allowed);
        errors.push(is.forbidden(format!("pod updates may not change fields other than {CHANGEABLE}\n{changes}")));
    }
    errors
}

/// The new specification with everything put back that may change.
fn munged(is: &View<'_>, was: &View<'_>, gated: bool) -> Value {
    let mut spec = is.value().cloned().unwrap_or_default();
    let Some(fields) = spec.as_object_mut() else { return spec };
    for list in ["containers", "initContainers"] {
        for (container, before) in each_mut(fields, list).zip(was.each(list)) {
            container.insert("image".to_owned(), before.text("image").into());
        }
    }
    let mut back = vec!["activeDeadlineSeconds", "schedulingGates", "tolerations"];
    if was.number("terminationGracePeriodSeconds") < 0 && is.number("terminationGracePeriodSeconds") == 1 {
        back.push("terminationGracePeriodSeconds");
    }
    back.extend(gated.then_some("nodeSelector"));
    for field in back {
        match was.at(field).value() {
            Some(value) => drop(fields.insert(field.to_owned(), value.clone())),
            None => drop(fields.remove(field)),
        }
    }
    if gated {
        put_affinity_back(fields, was);
    }
    spec
}

fn put_affinity_back(fields: &mut Fields, was: &View<'_>) {
    let before = was.at("affinity").at("nodeAffinity");
    match (child_mut(fields, "affinity"), before.value()) {
        (None, Some(value)) => drop(fields.insert("affinity".to_owned(), json!({"nodeAffinity": value}))),
        (Some(own), Some(value)) => drop(own.insert("nodeAffinity".to_owned(), value.clone())),
        (Some(own), None) => {
            own.remove("nodeAffinity");
            let nothing = own.is_empty() && !was.has("affinity");
            if nothing {
                fields.remove("affinity");
            }
        }
        (None, None) => {}
    }
}

/// A pod that waits at a gate may still narrow down where it can run, and nothing else about it.
fn narrowed(is: &View<'_>, was: &View<'_>, errors: &mut Errors) {
    let selector = is.at("nodeSelector");
    if !was.at("nodeSelector").map().iter().all(|(k, v)| selector.map().get(k) == Some(v)) {
        errors.push(selector.invalid("only additions to spec.nodeSelector are allowed (no mutations or deletions)"));
    }
    let (now, before) = (terms(is), terms(was));
    if before.is_empty() {
        return;
    }
    if now.list().len() != before.list().len() {
        let shown: Vec<String> = now.items().map(|term| internal(&term)).collect();
        let shown = if now.exists() { format!("[{}]", shown.join(",")) } else { "null".to_owned() };
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        errors.push(Error::invalid(&now.path, Value::Null, detail).showing(shown));
        return;
    }
    for (term, old) in now.items().zip(before.items()) {
        if !only_adds(&term, &old) {
            let error = Error::invalid(&term.path, Value::Null, "only additions are allowed (no mutations or deletions)");
            errors.push(error.showing(internal(&term)));
        }
    }
}

fn terms<'a>(spec: &View<'a>) -> View<'a> {
    let affinity = spec.at("affinity").at("nodeAffinity");
    affinity.at("requiredDuringSchedulingIgnoredDuringExecution").at("nodeSelectorTerms")
}

const REQUIREMENTS: [(&str, &str); 2] = [("matchExpressions", "MatchExpressions"), ("matchFields", "MatchFields")];

fn only_adds(term: &View<'_>, old: &View<'_>) -> bool {
    // A term without requirements selects nothing: one with some would select more.
    let grows = REQUIREMENTS.iter().all(|(list, _)| old.at(list).is_empty()) && REQUIREMENTS.iter().any(|(list, _)| !term.at(list).is_empty());
    !grows && REQUIREMENTS.iter().all(|(list, _)| term.at(list).list().starts_with(old.at(list).list()))
}

/// A term in upstream's internal form.
fn internal(term: &View<'_>) -> String {
    let requirement = |r: View<'_>| {
        format!(
            r#"{{"Key":{},"Operator":{},"Values":{}}}"#,
            json!(r.text("key")),
            json!(r.text("operator")),
            json!(r.at("values").value())
        )
    };
    let lists = REQUIREMENTS.map(|(list, shown)| match term.at(list).is_empty() {
        true => format!(r#""{shown}":null"#),
        false => format!(r#""{shown}":[{}]"#, term.each(list).map(requirement).collect::<Vec<_>>().join(",")),
    });
    format!("{{{}}}", lists.join(","))
}

/// The deadline may only come nearer; `false` if nothing else needs to be looked at.
fn deadline(is: &View<'_>, was: &View<'_>, errors: &mut Errors) -> bool {
    match (is.int(), was.int()) {
        (Some(now), _) if !(0..=i64::from(i32::MAX)).contains(&now) => {
            errors.push(is.invalid(text::between(0, i64::from(i32::MAX))));
            false
        }
        (Some(now), Some(before)) if before < now => {
            errors.push(is.invalid("must be less than or equal to previous value"));
            false
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            errors.push(Error::invalid(&is.path, Value::Null, detail));
            true
        }
        _ => true,
    }
}

fn added_tolerations(is: &View<'_>, was: &View<'_>, errors: &mut Errors) {
    // Everything but the time.
    let what = |t: View<'_>| ["key", "operator", "value", "effect"].map(|field| t.text(field).to_owned());
    let new: HashSet<[String; 4]> = is.items().map(what).collect();
    if was.items().all(|old| new.contains(&what(old))) {
        tolerations(is, errors);
    } else {
        errors.push(is.forbidden("existing toleration can not be modified except its tolerationSeconds"));
    }
}

/// Annotations that are fixed.
pub(super) fn annotations(new: &Object, old: &Object, errors: &mut Errors) {
    let (is, was) = (View::of(new, "metadata").at("annotations"), View::of(old, "metadata").at("annotations"));
    let fixed = |key: &str| key == MIRROR || key.starts_with(APP_ARMOR);
    let of = |key: &str| if key == MIRROR { "mirror pod annotation" } else { "AppArmor annotations" };
    for (key, value) in was.pairs().filter(|(key, _)| fixed(key)) {
        if is.map().get(key).and_then(Value::as_str) != Some(value) {
            errors.push(Error::forbidden(&is.path.key(key), format!("may not remove or update {}", of(key))));
        }
    }
    for (key, _) in is.pairs().filter(|(key, _)| fixed(key) && !was.has(key)) {
        errors.push(Error::forbidden(&is.path.key(key), format!("may not add {}", of(key))));
    }
    own_annotations(&is, &View::of(new, "spec"), errors);
}

/// Why a subresource of this pod cannot be updated at all: then nothing else is said.
pub(super) fn unfit(subresource: &str, old: &Object) -> Option<Error> {
    let forbid = |why| Some(Error::forbidden(&Path::new("[]"), why));
    let resize = subresource == "resize";
    match old.annotation(MIRROR) {
        Some(_) if resize => forbid("static pods cannot be resized"),
        Some(_) => forbid("static pods do not support ephemeral containers"),
        None if resize && old.str_at("spec.os.name") == "windows" => forbid("windows pods cannot be resized"),
        None => None,
    }
}

/// An update of the list of ephemeral containers: additions alone.
pub(super) fn ephemeral_containers(new: &Object, old: &Object) -> Errors {
    let mut errors = stored_pod(new);
    let list = View::of(new, "spec").at("ephemeralContainers");
    let now = by_name(list.items());
    for before in View::of(old, "spec").each("ephemeralContainers") {
        let name = before.text("name");
        match now.get(name) {
            None => errors.push(list.forbidden(format!("existing ephemeral containers {name:?} may not be removed\n"))),
            Some(now) if !same("", now.value(), before.value()) => {
                let empty = Value::Null;
                let changes = crate::diff::of(before.value().unwrap_or(&empty), now.value().unwrap_or(&empty));
                errors.push(list.forbidden(format!("existing ephemeral containers {name:?} may not be changed\n{changes}")));
            }
            Some(_) => {}
        }
    }
    errors
}

/// An update of CPU and memory.
pub(super) fn resize(new: &Object, old: &Object) -> Errors {
    let mut errors = stored_pod(new);
    let (is, was) = (View::of(new, "spec"), View::of(old, "spec"));
    let class = |spec: &View<'_>| pod::qos::class(spec.value().unwrap_or(&Value::Null));
    if class(&is) != class(&was) {
        let detail = "Pod QOS Class may not change as a result of resizing";
        errors.push(Error::invalid(&is.path, new.str_at("status.qosClass"), detail));
    }
    let names = |spec: &View<'_>, list: &str| spec.each(list).map(|c| c.text("name").to_owned()).collect::<Vec<_>>();
    for list in ["containers", "initContainers"] {
        let (now, before) = (names(&is, list), names(&was, list));
        if now.len() != before.len() {
            errors.push(is.at(list).forbidden(format!("{list} may not be added or removed on resize")));
            return errors;
        }
        if let Some(i) = now.iter().zip(&before).position(|(a, b)| a != b) {
            let path = is.at(list).path.index(i).child("name");
            errors.push(Error::forbidden(&path, format!("{list} may not be renamed or reordered on resize")));
            return errors;
        }
        for (container, before) in is.each(list).zip(was.each(list)) {
            of_container(&container, &before, &mut errors);
        }
    }
    errors
}

fn of_container(container: &View<'_>, before: &View<'_>, errors: &mut Errors) {
    let (is, was) = (container.at("resources"), before.at("resources"));
    for list in ["requests", "limits"] {
        if was.at(list).map().keys().any(|name| !is.at(list).has(name)) {
            errors.push(is.at(list).forbidden(format!("resource {list} cannot be removed")));
        }
    }
    let fixed = |list: &View<'_>| {
        let mut fixed = list.map().clone();
        fixed.retain(|name, _| !matches!(name.as_str(), "cpu" | "memory"));
        fixed
    };
    if ["requests", "limits"].iter().any(|l| fixed(&is.at(l)) != fixed(&was.at(l))) {
        errors.push(Error::forbidden(&Path::new("spec"), "only cpu and memory resources are mutable"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(change: impl Fn(&mut Object)) -> Vec<String> {
        let mut old = Object::from_value(json!({"metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "a", "image": "x:1"}], "tolerations": [{"key": "a", "operator": "Exists"}]}}))
        .unwrap_or_default();
        crate::podspec::defaults::pod(child_mut(old.fields_mut(), "spec").expect("an object"));
        let mut new = old.clone();
        change(&mut new);
        main(&new, &old).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn little_may_change() {
        let none: [&str; 0] = [];
        assert_eq!(update(|_| {}), none);
        assert_eq!(update(|new| new.at_mut("spec.containers").expect("there")[0]["image"] = "x:2".into()), none);
        let more = json!([{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]);
        assert_eq!(update(|new| new.set("spec.tolerations", more.clone())), none);
        assert_eq!(
            update(|new| new.set("spec.tolerations", json!([]))),
            ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]
        );
        let texts = update(|new| new.set("spec.nodeName", "n"));
        let want = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
                    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
                    tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n@@";
        assert!(texts.len() == 1 && texts[0].starts_with(want), "{texts:?}");
        assert!(texts[0].contains("\n+ \"nodeName\": \"n\",\n"), "{}", texts[0]);
    }
}
