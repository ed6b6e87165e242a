//! What is to be done so that the configuration is there which every cluster has (upstream:
//! `pkg/registry/flowcontrol/ensurer`). Pure.

use kinds::kinds::flowcontrol::bootstrap::{self, AUTO_UPDATE};
use meta::Object;
use serde_json::{Map, Value};

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Create this.
    Create(Object),
    /// Update to this; it carries the existing resourceVersion.
    Update(Object),
    /// Delete this: it is the server's, and no more among what the server has.
    Delete(Object),
}

/// All steps, for the objects of both kinds that are there.
pub fn steps(levels: &[Object], schemas: &[Object]) -> Vec<Step> {
    let mut steps = Vec::new();
    for (suggested, mandatory, there) in [
        (bootstrap::suggested_levels(), bootstrap::mandatory_levels(), levels),
        (bootstrap::suggested_schemas(), bootstrap::mandatory_schemas(), schemas),
    ] {
        let find = |name: &str| there.iter().find(|object| object.name() == name);
        for (wanted, always) in suggested.iter().map(|o| (o, false)).chain(mandatory.iter().map(|o| (o, true))) {
            match find(wanted.name()) {
                None => steps.push(Step::Create(wanted.clone())),
                Some(object) => steps.extend(revised(object, wanted, always).map(Step::Update)),
            }
        }
        let wanted = |object: &&Object| {
            let mut all = suggested.iter().chain(&mandatory);
            all.all(|wanted| wanted.name() != object.name()) && said(object) == Some(true)
        };
        steps.extend(there.iter().filter(wanted).cloned().map(Step::Delete));
    }
    steps
}

/// What the annotation says, as Go reads a truth value.
fn said(object: &Object) -> Option<bool> {
    match object.annotation(AUTO_UPDATE)? {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// What an object has to become, if it is not so. `always`: its specification is not the administrator's.
fn revised(object: &Object, wanted: &Object, always: bool) -> Option<Object> {
    let untouched = object.i64_at("metadata.generation") == Some(1);
    let ours = always || said(object).unwrap_or(untouched);
    let differs = ours && !like(object, wanted);
    if !differs && said(object) == Some(ours) {
        return None;
    }
    let mut revised = object.clone();
    if differs {
        let kept = revised.at("spec.exempt").cloned();
        revised.set("spec", wanted.at("spec").cloned().unwrap_or_default());
        if let Some(exempt) = kept.filter(|_| of_exempt(wanted)) {
            revised.set("spec.exempt", exempt);
        }
    }
    revised.set_default("metadata.annotations", Map::new());
    if let Some(Value::Object(annotations)) = revised.at_mut("metadata.annotations") {
        annotations.insert(AUTO_UPDATE.to_owned(), ours.to_string().into());
    }
    Some(revised)
}

/// The exempt level's seats are the administrator's.
fn of_exempt(wanted: &Object) -> bool {
    wanted.at("spec.exempt").is_some()
}

fn like(object: &Object, wanted: &Object) -> bool {
    let spec = |o: &Object| {
        let mut spec = o.at("spec").cloned().unwrap_or_default();
        if let Some(fields) = spec.as_object_mut().filter(|_| of_exempt(wanted)) {
            fields.remove("exempt");
        }
        spec
    };
    kinds::tree::same("spec", Some(&spec(object)), Some(&spec(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all() -> (Vec<Object>, Vec<Object>) {
        let (mut levels, mut schemas) = (Vec::new(), Vec::new());
        for step in steps(&[], &[]) {
            let Step::Create(mut object) = step else { panic!("{step:?}") };
            object.set("metadata.generation", 1);
            if object.kind() == "FlowSchema" { schemas.push(object) } else { levels.push(object) }
        }
        (levels, schemas)
    }

    #[test]
    fn what_is_right_is_left_alone_and_what_is_missing_is_made() {
        let (levels, schemas) = all();
        assert_eq!((levels.len(), schemas.len(), steps(&levels, &schemas)), (8, 11, vec![]));
        let left: Vec<Object> = schemas.iter().filter(|s| s.name() != "probes").cloned().collect();
        let made = steps(&levels, &left);
        assert!(matches!(&made[..], [Step::Create(object)] if object.name() == "probes"), "{made:?}");
    }

    #[test]
    fn an_administrator_may_keep_suggested_ones_as_they_want_them() {
        let (mut levels, schemas) = all();
        let mut change = |name: &str, path: &str, value: Value| {
            let level = levels.iter_mut().find(|l| l.name() == name).expect("there");
            level.set(path, value);
            level.set("metadata.generation", 2);
        };
        change("system", "spec.limited.nominalConcurrencyShares", json!(7));
        change("workload-low", "spec.limited.nominalConcurrencyShares", json!(7));
        change("workload-low", "metadata.annotations", json!({AUTO_UPDATE: "false"}));
        change("workload-high", "spec.limited.nominalConcurrencyShares", json!(7));
        change("workload-high", "metadata.annotations", json!({}));
        change("exempt", "spec.exempt.nominalConcurrencyShares", json!(7));
        let steps = steps(&levels, &schemas);
        let [Step::Update(system), Step::Update(high)] = &steps[..] else { panic!("{steps:?}") };
        assert_eq!((system.name(), system.i64_at("spec.limited.nominalConcurrencyShares")), ("system", Some(30)));
        assert_eq!((high.name(), high.i64_at("spec.limited.nominalConcurrencyShares")), ("workload-high", Some(7)));
        assert_eq!(high.annotation(AUTO_UPDATE), Some("false"), "it was changed before anybody said so");
    }

    #[test]
    fn what_the_server_has_no_more_goes() {
        let (mut levels, schemas) = all();
        let mut old = levels[0].clone();
        old.set("metadata.name", "old");
        levels.push(old.clone());
        assert_eq!(steps(&levels, &schemas), [Step::Delete(old)]);
    }
}
