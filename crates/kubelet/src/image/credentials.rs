//! Registry credentials from image pull secrets.

use base64::Engine;
use k8s_openapi::api::core::v1::{Pod, Secret};
use runtime::Credentials;
use serde_json::Value;

use crate::container::env::Sources;
use crate::spec;

/// What to try, in order: matching credentials, then none.
pub fn for_image(pod: &Pod, sources: &Sources, image: &str) -> Vec<Option<Credentials>> {
    let names = spec::of(pod).image_pull_secrets.iter().flatten().map(|r| r.name.as_str());
    let secrets = names.filter_map(|name| sources.secrets.get(name).and_then(Option::as_deref));
    let mut list: Vec<Option<Credentials>> = secrets.flat_map(|s| of_secret(s, image)).map(Some).collect();
    list.push(None);
    list
}

fn of_secret(secret: &Secret, image: &str) -> Vec<Credentials> {
    let data = secret.data.as_ref();
    let entry = |key: &str| data.and_then(|d| d.get(key)).and_then(|b| serde_json::from_slice::<Value>(&b.0).ok());
    let auths = match entry(".dockerconfigjson") {
        Some(config) => config.get("auths").cloned(),
        None => entry(".dockercfg"),
    };
    let Some(Value::Object(auths)) = auths else { return Vec::new() };
    let matching = auths.iter().filter(|(registry, _)| matches(registry, image));
    matching.filter_map(|(_, auth)| credentials(auth)).collect()
}

fn credentials(auth: &Value) -> Option<Credentials> {
    let text = |key: &str| auth.get(key).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
    if let (Some(username), Some(password)) = (text("username"), text("password")) {
        return Some(Credentials { username, password });
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(text("auth")?).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(Credentials { username: username.to_owned(), password: password.to_owned() })
}

/// Host of an image name.
fn host(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

fn matches(registry: &str, image: &str) -> bool {
    let registry = registry.trim_start_matches("https://").trim_start_matches("http://");
    let (of_registry, path) = registry.split_once('/').unwrap_or((registry, ""));
    let of_registry = if of_registry == "index.docker.io" { "docker.io" } else { of_registry };
    let path = path.trim_end_matches('/').trim_start_matches("v1").trim_start_matches("v2");
    let wanted = host(image);
    let same = match of_registry.strip_prefix("*.") {
        Some(suffix) => wanted.split_once('.').is_some_and(|(_, rest)| rest == suffix),
        None => of_registry == wanted,
    };
    same && (path.is_empty() || image.strip_prefix(wanted).is_some_and(|p| p.trim_start_matches('/').starts_with(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_match_images() {
        assert!(matches("https://index.docker.io/v1/", "nginx"));
        assert!(matches("127.0.0.1:5000", "127.0.0.1:5000/a/b:1"));
        assert!(matches("*.example.com", "r.example.com/a"));
        assert!(!matches("example.com", "r.example.com/a"));
        assert!(matches("r.io/team", "r.io/team/a"));
        assert!(!matches("r.io/team", "r.io/other/a"));
    }

    #[test]
    fn auth_is_decoded() {
        let auth = serde_json::json!({"auth": "dTpwOnE="});
        let c = credentials(&auth).expect("credentials");
        assert_eq!((c.username.as_str(), c.password.as_str()), ("u", "p:q"));
    }
}
