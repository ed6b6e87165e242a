//! Which of a pod's pull secrets are for an image (upstream: `credentialprovider` and its `secrets`).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use k8s_openapi::api::core::v1::{Pod, Secret};
use runtime::{Credentials, Reference};
use serde_json::{Value, json};

use super::glob;
use super::records::PullSecret;
use crate::container::env::Sources;
use crate::spec;

/// The registry that images without one are from, as Docker's files name it.
const DEFAULT: &str = "index.docker.io";

/// Credentials, and whose they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What to show the registry.
    pub credentials: Credentials,
    /// The Secret that they are from; `None` for those that all pods of the node may use.
    pub source: Option<PullSecret>,
}

/// What to try, in order: what is for the longest path first. Nothing means: without credentials.
pub fn for_image(pod: &Pod, sources: &Sources, image: &str) -> Vec<Known> {
    let Ok(reference) = Reference::parse(image) else { return Vec::new() };
    let names = spec::of(pod).image_pull_secrets.iter().flatten().map(|r| r.name.as_str());
    let secrets = names.filter_map(|name| sources.secrets.get(name).and_then(Option::as_deref));
    pick(secrets.flat_map(of_secret), &reference)
}

/// Of credentials with the places that they are for, those for an image, what is for the longest path first.
pub(super) fn pick(keys: impl Iterator<Item = (String, Known)>, reference: &Reference) -> Vec<Known> {
    let mut keys: Vec<(String, Known)> = keys.map(|(place, known)| (place_of(&place), known)).collect();
    keys.sort_by(|(a, _), (b, _)| b.cmp(a));
    let repository = reference.repository();
    let found: Vec<Known> =
        keys.iter().filter(|(place, _)| matches(place, &repository)).map(|(_, known)| known.clone()).collect();
    if !found.is_empty() || reference.domain != "docker.io" {
        return found;
    }
    keys.into_iter().filter(|(place, _)| place == DEFAULT).map(|(_, known)| known).collect()
}

fn of_secret(secret: &Secret) -> Vec<(String, Known)> {
    let data = secret.data.as_ref();
    let entry = |key: &str| data.and_then(|d| d.get(key)).and_then(|b| serde_json::from_slice::<Value>(&b.0).ok());
    let auths = match secret.type_.as_deref() {
        Some("kubernetes.io/dockerconfigjson") => entry(".dockerconfigjson").and_then(|config| config.get("auths").cloned()),
        Some("kubernetes.io/dockercfg") => entry(".dockercfg"),
        _ => None,
    };
    let Some(Value::Object(auths)) = auths else { return Vec::new() };
    let metadata = &secret.metadata;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let key = |(place, auth): (&String, &Value)| {
        let credentials = credentials(auth)?;
        let source = PullSecret {
            uid: text(&metadata.uid),
            namespace: text(&metadata.namespace),
            name: text(&metadata.name),
            credential_hash: hash(&credentials),
        };
        Some((place.clone(), Known { credentials, source: Some(source) }))
    };
    auths.iter().filter_map(key).collect()
}

/// What tells these credentials from others without telling them.
fn hash(credentials: &Credentials) -> String {
    let text = json!({"username": credentials.username, "password": credentials.password}).to_string();
    hex(text.as_bytes())
}

/// SHA-256 as text.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    digest(&SHA256, bytes).as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Host and path of a key of Docker's file. `/v1/` and `/v2/` stand for the host.
fn place_of(key: &str) -> String {
    let key = key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = key.find('/').map_or((key, ""), |at| key.split_at(at));
    let path = match path.get(..4) {
        Some("/v1/" | "/v2/") => &path[3..],
        _ => path,
    };
    if path == "/" { host.to_owned() } else { format!("{host}{path}") }
}

fn credentials(auth: &Value) -> Option<Credentials> {
    let text = |key: &str| auth.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let encoded = text("auth");
    if encoded.is_empty() {
        return Some(Credentials { username: text("username"), password: text("password") });
    }
    let decoded = String::from_utf8(STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(Credentials { username: username.to_owned(), password: password.to_owned() })
}

/// Whether credentials for a place are for a repository: the same port, as many labels, each as the pattern says, and
/// the beginning of the path.
pub(super) fn matches(place: &str, repository: &str) -> bool {
    let parts = |text: &str| {
        let (host, path) = text.find('/').map_or((text, ""), |at| text.split_at(at));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, port),
            _ => (host, ""),
        };
        (name.to_owned(), port.to_owned(), path.to_owned())
    };
    let ((pattern, wanted_port, prefix), (host, port, path)) = (parts(place), parts(repository));
    let (patterns, labels): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), host.split('.').collect());
    wanted_port == port
        && path.starts_with(&prefix)
        && patterns.len() == labels.len()
        && patterns.iter().zip(&labels).all(|(pattern, label)| glob::matches(pattern, label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_match_images() {
        for (place, repository) in [
            ("127.0.0.1:5000", "127.0.0.1:5000/a/b"),
            ("*.example.com", "r.example.com/a"),
            ("r*.e?ample.*", "registry.example.com/a"),
            ("r.io/team", "r.io/team/a"),
        ] {
            assert!(matches(place, repository), "{place} {repository}");
        }
        for (place, repository) in [
            ("example.com", "r.example.com/a"),
            ("*.example.com", "a.b.example.com/a"),
            ("*.com", "a.com:5000/a"),
            ("r.io/team", "r.io/other/a"),
            ("*", "a.com/a"),
        ] {
            assert!(!matches(place, repository), "{place} {repository}");
        }
    }

    fn sources(auths: &[(&str, Value)]) -> (Pod, Sources) {
        let mut sources = Sources::default();
        let mut names = Vec::new();
        for (name, auths) in auths {
            let config = json!({"auths": auths}).to_string();
            let encoded = base64::engine::general_purpose::STANDARD.encode(config);
            let secret = json!({"metadata": {"name": name, "namespace": "ns", "uid": format!("u-{name}")},
                "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": encoded}});
            let secret: Secret = serde_json::from_value(secret).expect("a secret");
            sources.secrets.insert((*name).to_owned(), Some(std::sync::Arc::new(secret)));
            names.push(json!({"name": name}));
        }
        let pod = json!({"spec": {"containers": [], "imagePullSecrets": names}});
        (serde_json::from_value(pod).expect("a pod"), sources)
    }

    fn tried(auths: &[(&str, Value)], image: &str) -> Vec<String> {
        let (pod, sources) = sources(auths);
        let known = for_image(&pod, &sources, image);
        known.into_iter().map(|k| format!("{}/{}", k.source.expect("a secret").name, k.credentials.username)).collect()
    }

    #[test]
    fn the_longest_path_is_tried_first_and_others_never() {
        let auths = [
            ("s1", json!({"r.io": {"username": "host"}, "r.io/team": {"username": "team"}, "q.io": {"username": "other"}})),
            ("s2", json!({"https://r.io/v1/": {"auth": "dTpwOnE="}})),
        ];
        assert_eq!(tried(&auths, "r.io/team/a:1"), ["s1/team", "s1/host", "s2/u"]);
        assert_eq!(tried(&auths, "r.io/b"), ["s1/host", "s2/u"]);
        assert!(tried(&auths, "x.io/b").is_empty());
        let hub = [("s", json!({"https://index.docker.io/v1/": {"username": "hub"}}))];
        assert_eq!(tried(&hub, "nginx"), ["s/hub"]);
        assert!(tried(&hub, "r.io/nginx").is_empty());
    }

    #[test]
    fn what_is_encoded_wins() {
        let auth = json!({"auth": "dTpwOnE=", "username": "x", "password": "y"});
        let c = credentials(&auth).expect("credentials");
        assert_eq!((c.username.as_str(), c.password.as_str()), ("u", "p:q"));
        let one = hash(&c);
        assert!(one.len() == 64 && one != hash(&Credentials { username: "u".into(), password: "q".into() }));
    }
}
