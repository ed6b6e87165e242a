//! Pods behind a word on the command line, and their containers.

use serde_json::Value;

use crate::failure::Failure;
use crate::selection::{self, Query, Target};
use crate::session::{JSON, Session};

/// Names the container that a command means if it names none itself.
const DEFAULT: &str = "kubectl.kubernetes.io/default-container";

/// One container of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container<'v> {
    /// Its name.
    pub name: &'v str,
    /// `init`, `ephem`, or empty.
    sort: &'static str,
}

/// All containers of a pod in the order of their start.
pub fn containers(pod: &Value) -> Vec<Container<'_>> {
    let sorts = [("initContainers", "init"), ("containers", ""), ("ephemeralContainers", "ephem")];
    let of = |(field, sort): (&str, &'static str)| {
        let own = pod["spec"][field].as_array().into_iter().flatten();
        own.filter_map(move |c| Some(Container { name: c["name"].as_str()?, sort })).collect::<Vec<_>>()
    };
    sorts.into_iter().flat_map(of).collect()
}

/// The container with a name, or the pod's default one, with a word about it if there are several.
pub fn container<'v>(pod: &'v Value, name: Option<&str>, quiet: bool) -> Result<Container<'v>, Failure> {
    let all = containers(pod);
    let list = || {
        let order = ["", "ephem", "init"].into_iter().flat_map(|sort| all.iter().filter(move |c| c.sort == sort));
        let shown = order.map(|c| if c.sort.is_empty() { c.name.to_owned() } else { format!("{} ({})", c.name, c.sort) });
        shown.collect::<Vec<_>>().join(", ")
    };
    let annotated = pod["metadata"]["annotations"][DEFAULT].as_str().filter(|n| !n.is_empty());
    if let Some(name) = name.or(annotated) {
        let pod_name = pod["metadata"]["name"].as_str().unwrap_or("");
        return all.iter().find(|c| c.name == name).copied().ok_or_else(|| {
            Failure::message(format!("container {name} is not valid for pod {pod_name} out of: {}", list()))
        });
    }
    let first = all.iter().find(|c| c.sort.is_empty()).copied();
    let first = first.ok_or_else(|| Failure::message("the pod does not have any containers"))?;
    if all.len() > 1 && !quiet {
        eprintln!("Defaulted container {:?} out of: {}", first.name, list());
    }
    Ok(first)
}

/// The object that `name` or `type/name` means; a bare name is a pod's.
pub async fn named(session: &Session, word: &str) -> Result<Value, Failure> {
    let word = if word.contains('/') { word.to_owned() } else { format!("pods/{word}") };
    let targets = selection::targets(session, &[word], false).await?;
    let Some(target) = targets.first() else { return Err(Failure::message("expected a resource")) };
    let mut object = selection::named(session, target, JSON).await?;
    object["kind"] = Value::from(target.resource.kind.clone());
    object["apiVersion"] = Value::from(target.resource.group_version());
    Ok(object)
}

/// The pods of a workload, those that serve first.
pub async fn all_of(session: &Session, object: &Value, doing: &str) -> Result<Vec<Value>, Failure> {
    if object["kind"] == "Pod" {
        return Ok(vec![object.clone()]);
    }
    let kind = object["kind"].as_str().unwrap_or("");
    let version = object["apiVersion"].as_str().unwrap_or("").rsplit('/').next().unwrap_or("");
    let selector = crate::describe::selector_of(object).ok_or_else(|| {
        Failure::message(format!("cannot {doing} *{version}.{kind}: selector for *{version}.{kind} not implemented"))
    })?;
    let pods = session.discovery().await?.find("pods")?.clone();
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("").to_owned();
    let list = Target { resource: pods, name: None, source: None, namespace };
    let mut found = selection::list(session, &list, &Query::labels(&selector)).await?;
    found.sort_by_key(|pod| !is_ready(pod));
    Ok(found)
}

/// The pod itself, or a pod of a workload: one that is ready before others. `told`: that there are others is said.
pub async fn first_of(session: &Session, object: Value, doing: &str, told: bool) -> Result<Value, Failure> {
    if object["kind"] == "Pod" {
        return Ok(object);
    }
    let mut found = all_of(session, &object, doing).await?;
    if found.is_empty() {
        return Err(Failure::message("timed out waiting for the condition"));
    }
    if told && found.len() > 1 {
        eprintln!("Found {} pods, using pod/{}", found.len(), found[0]["metadata"]["name"].as_str().unwrap_or(""));
    }
    Ok(found.swap_remove(0))
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}
