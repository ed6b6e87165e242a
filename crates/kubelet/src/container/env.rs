//! The environment of a container.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVarSource, Pod, Secret};

use super::expand::expand;
use super::fields::{self, Facts};
use crate::spec;

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
    pod: &Pod, container: &Container, sources: &Sources, services: &BTreeMap<String, String>, facts: &Facts,
) -> Result<BTreeMap<String, String>, String> {
    let mut env = from_objects(container, sources)?;
    for var in container.env.as_deref().unwrap_or_default() {
        let value = match (&var.value, &var.value_from) {
            (Some(text), _) if !text.is_empty() => {
                Some(expand(text, |name| env.get(name).or_else(|| services.get(name)).cloned()))
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(container: serde_json::Value) -> Result<BTreeMap<String, String>, String> {
        let pod = spec::tests::pod(json!({"containers": [container]}));
        let map: ConfigMap = serde_json::from_value(json!({"data": {"k": "v", "OTHER": "o"}})).expect("map");
        let sources = Sources {
            config_maps: [("cm".to_owned(), Some(Arc::new(map)))].into(),
            secrets: BTreeMap::new(),
        };
        let services = [("SVC".to_owned(), "s".to_owned())].into();
        environment(&pod, &spec::of(&pod).containers[0], &sources, &services, &Facts::default())
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
}
