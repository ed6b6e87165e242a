//! The environment of a container.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVarSource, FileKeySelector, Pod, Secret};

use super::env_file;
use super::expand::expand;
use super::fields::{self, Facts};
use crate::spec;
use crate::volume::Volumes;

/// Objects by name; `None` for one that does not exist.
#[derive(Clone, Default)]
pub struct Sources {
    /// ConfigMaps that the pod names.
    pub config_maps: BTreeMap<String, Option<Arc<ConfigMap>>>,
    /// Secrets that the pod names.
    pub secrets: BTreeMap<String, Option<Arc<Secret>>>,
}

impl Sources {
    /// A ConfigMap's plain entries; `None` when it is absent and optional.
    pub fn config_map(&self, name: &str, optional: bool) -> Result<Option<&ConfigMap>, String> {
        match self.config_maps.get(name).and_then(Option::as_deref) {
            None if !optional => Err(format!("configmap {name:?} not found")),
            found => Ok(found),
        }
    }

    /// A Secret; `None` when it is absent and optional.
    pub fn secret(&self, name: &str, optional: bool) -> Result<Option<&Secret>, String> {
        match self.secrets.get(name).and_then(Option::as_deref) {
            None if !optional => Err(format!("secret {name:?} not found")),
            found => Ok(found),
        }
    }
}

/// The variables of a container, by name. The error is what its status shows.
pub fn environment(
    pod: &Pod, container: &Container, sources: &Sources, volumes: &Volumes, services: &BTreeMap<String, String>,
    facts: &Facts,
) -> Result<BTreeMap<String, String>, String> {
    let mut env = from_objects(container, sources)?;
    for var in container.env.as_deref().unwrap_or_default() {
        let value = match (&var.value, &var.value_from) {
            (Some(text), _) if !text.is_empty() => {
                Some(expand(text, |name| env.get(name).or_else(|| services.get(name)).cloned()))
            }
            (_, Some(EnvVarSource { file_key_ref: Some(selector), .. })) => from_file(pod, selector, volumes)?,
            (_, Some(source)) => from_source(pod, container, source, sources, facts)?,
            _ => Some(String::new()),
        };
        if let Some(value) = value {
            env.insert(var.name.clone(), value);
        }
    }
    for (name, value) in services {
        env.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Ok(env)
}

fn from_objects(container: &Container, sources: &Sources) -> Result<BTreeMap<String, String>, String> {
    let mut env = BTreeMap::new();
    for from in container.env_from.as_deref().unwrap_or_default() {
        let prefix = from.prefix.as_deref().unwrap_or("");
        if let Some(reference) = &from.config_map_ref {
            let map = sources.config_map(&reference.name, reference.optional == Some(true))?;
            let data = map.and_then(|m| m.data.as_ref()).into_iter().flatten();
            env.extend(data.map(|(k, v)| (format!("{prefix}{k}"), v.clone())));
        } else if let Some(reference) = &from.secret_ref {
            let secret = sources.secret(&reference.name, reference.optional == Some(true))?;
            let data = secret.and_then(|s| s.data.as_ref()).into_iter().flatten();
            env.extend(data.map(|(k, v)| (format!("{prefix}{k}"), String::from_utf8_lossy(&v.0).into_owned())));
        }
    }
    Ok(env)
}

fn from_source(
    pod: &Pod, container: &Container, source: &EnvVarSource, sources: &Sources, facts: &Facts,
) -> Result<Option<String>, String> {
    let namespace = spec::namespace(pod);
    if let Some(selector) = &source.field_ref {
        return fields::field(pod, selector, facts).map(Some);
    }
    if let Some(selector) = &source.resource_field_ref {
        let other = selector.container_name.as_deref().and_then(|name| spec::container(pod, name));
        return fields::resource(other.as_ref().unwrap_or(container), selector, facts).map(Some);
    }
    if let Some(selector) = &source.config_map_key_ref {
        let optional = selector.optional == Some(true);
        let Some(map) = sources.config_map(&selector.name, optional)? else { return Ok(None) };
        let value = map.data.as_ref().and_then(|d| d.get(&selector.key)).cloned();
        let missing = || format!("couldn't find key {} in ConfigMap {namespace}/{}", selector.key, selector.name);
        return if value.is_none() && !optional { Err(missing()) } else { Ok(value) };
    }
    if let Some(selector) = &source.secret_key_ref {
        let optional = selector.optional == Some(true);
        let Some(secret) = sources.secret(&selector.name, optional)? else { return Ok(None) };
        let value = secret.data.as_ref().and_then(|d| d.get(&selector.key));
        let value = value.map(|v| String::from_utf8_lossy(&v.0).into_owned());
        let missing = || format!("couldn't find key {} in Secret {namespace}/{}", selector.key, selector.name);
        return if value.is_none() && !optional { Err(missing()) } else { Ok(value) };
    }
    Ok(Some(String::new()))
}

/// A variable that the pod itself has put into a file of a volume. What is wrong with the file is the owner's to read in
/// the node's log: it may hold anything.
fn from_file(pod: &Pod, selector: &FileKeySelector, volumes: &Volumes) -> Result<Option<String>, String> {
    let FileKeySelector { volume_name, path, key, optional } = selector;
    let volume = volumes.get(volume_name);
    let volume = volume.ok_or_else(|| format!("cannot find the volume {volume_name:?} referenced by FileKeyRef"))?;
    let value = env_file::value(&volume.path, path, key).map_err(|error| {
        tracing::info!(pod = %spec::title(pod), error, "environment file not parsed");
        "couldn't parse env file".to_owned()
    })?;
    let file = volume.path.join(path.trim_start_matches('/'));
    match value {
        None if *optional != Some(true) => Err(format!("environment variable key {key:?} not found in file {file:?}")),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(container: serde_json::Value) -> Result<BTreeMap<String, String>, String> {
        run_with(container, &Volumes::new())
    }

    fn run_with(container: serde_json::Value, volumes: &Volumes) -> Result<BTreeMap<String, String>, String> {
        let pod = spec::tests::pod(json!({"containers": [container]}));
        let map: ConfigMap = serde_json::from_value(json!({"data": {"k": "v", "OTHER": "o"}})).expect("map");
        let sources = Sources {
            config_maps: [("cm".to_owned(), Some(Arc::new(map)))].into(),
            secrets: BTreeMap::new(),
        };
        let services = [("SVC".to_owned(), "s".to_owned())].into();
        environment(&pod, &spec::of(&pod).containers[0], &sources, volumes, &services, &Facts::default())
    }

    #[test]
    fn sources_prefixes_and_references() {
        let env = run(json!({"name": "c", "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}},
            {"secretRef": {"name": "none", "optional": true}}],
            "env": [{"name": "A", "value": "$(P_k)-$(SVC)-$(NO)"}, {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "K", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}}]}))
        .expect("environment");
        assert_eq!((env["A"].as_str(), env["N"].as_str(), env["K"].as_str()), ("v-s-$(NO)", "p", "v"));
        assert_eq!((env["P_OTHER"].as_str(), env["SVC"].as_str()), ("o", "s"));
    }

    #[test]
    fn missing_objects_and_keys_are_named() {
        let reference = |kind: &str, name: &str| json!({"name": "c", "env": [{"name": "A", "valueFrom": {kind: {"name": name, "key": "x"}}}]});
        assert_eq!(run(reference("configMapKeyRef", "cm")), Err("couldn't find key x in ConfigMap ns/cm".to_owned()));
        assert_eq!(run(reference("secretKeyRef", "s")), Err("secret \"s\" not found".to_owned()));
    }

    #[test]
    fn a_file_of_a_volume_gives_variables() {
        let dir = tempfile::tempdir().expect("directory");
        std::fs::write(dir.path().join("env"), "A='one'\n").expect("written");
        std::fs::write(dir.path().join("bad"), "A=one\n").expect("written");
        let volumes: Volumes = [("v".to_owned(), crate::volume::Mounted { path: dir.path().to_owned(), refresh_at: None })].into();
        let get = |volume: &str, path: &str, key: &str, optional: bool| {
            let reference = json!({"volumeName": volume, "path": path, "key": key, "optional": optional});
            let env = run_with(json!({"name": "c", "env": [{"name": "X", "valueFrom": {"fileKeyRef": reference}}]}), &volumes)?;
            Ok(env.get("X").cloned())
        };
        assert_eq!(get("v", "env", "A", false), Ok(Some("one".to_owned())));
        assert_eq!([get("v", "env", "B", true), get("v", "none", "A", true)], [Ok(None), Ok(None)]);
        let file = dir.path().join("env");
        assert_eq!(get("v", "env", "B", false), Err(format!("environment variable key \"B\" not found in file {file:?}")));
        assert_eq!(get("v", "bad", "A", true), Err("couldn't parse env file".to_owned()));
        assert_eq!(get("w", "env", "A", true), Err("cannot find the volume \"w\" referenced by FileKeyRef".to_owned()));
    }
}
