//! Which of the built-in kinds are served (upstream: `--runtime-config`, `apiserver/pkg/server/resourceconfig`).

use anyhow::{Result, bail, ensure};
use kinds::Descriptor;

use super::features::boolean;

/// The keys that stand for many versions, in the order in which they act.
const MANY: &[(&str, fn(&str) -> bool)] = &[
    ("api/all", |_| true),
    ("api/ga", |version| stage(version) == Some("")),
    ("api/beta", |version| stage(version) == Some("beta")),
    ("api/alpha", |version| stage(version) == Some("alpha")),
];

/// The group without a name.
const CORE: &str = "/v1";

/// What is left of the kinds after `KEY[=true|false]` pairs. Whatever this program has is served by default.
pub fn select(mut kinds: Vec<Descriptor>, pairs: &[String]) -> Result<Vec<Descriptor>> {
    let pairs: Vec<(&str, &str)> = pairs
        .iter()
        .map(|pair| pair.split_once('=').map_or((pair.trim(), ""), |(key, value)| (key.trim(), value.trim())))
        .map(|(key, value)| (if is_core(key) { CORE } else { key }, value))
        .collect();
    ensure!(pairs != [("api/all", "false")], "invalid runtime-config with only api/all=false");
    check(&kinds, &pairs)?;
    let mut is_on = vec![true; kinds.len()];
    for (key, matches) in MANY {
        let Some((_, value)) = pairs.iter().find(|(known, _)| known == key) else { continue };
        let value = boolean(value).filter(|_| matches!(*value, "true" | "false"));
        let Some(value) = value else { bail!("invalid value {key}={}", pairs.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v)) };
        let matching = kinds.iter().zip(&mut is_on).filter(|(kind, _)| matches(&kind.gvk.version));
        matching.for_each(|(_, is_on)| *is_on = value);
    }
    // What is said of one resource outdoes what is said of its version.
    for parts in [2, 3] {
        for (key, value) in pairs.iter().filter(|(key, _)| MANY.iter().all(|(many, _)| many != key)) {
            let value = enabled(key, value)?;
            let said: Vec<&str> = key.split('/').collect();
            if said.len() != parts {
                continue;
            }
            let matching = kinds.iter().zip(&mut is_on).filter(|(kind, _)| is_meant(kind, &said));
            matching.for_each(|(_, is_on)| *is_on = value);
        }
    }
    let mut is_on = is_on.into_iter();
    kinds.retain(|_| is_on.next().unwrap_or(true));
    Ok(kinds)
}

/// Whether a key speaks of the group without a name. Upstream lets even that of one resource speak of all
/// (`controlplane/apiserver/options`).
fn is_core(key: &str) -> bool {
    let key = key.strip_prefix("api/").unwrap_or(key);
    key == "v1" || key.starts_with("v1/")
}

/// Whether every key names something.
fn check(kinds: &[Descriptor], pairs: &[(&str, &str)]) -> Result<()> {
    for (key, _) in pairs.iter().filter(|(key, _)| MANY.iter().all(|(many, _)| many != key)) {
        let said: Vec<&str> = key.split('/').collect();
        let ([group, version] | [group, version, _]) = said.as_slice() else { bail!("runtime-config invalid key {key}") };
        let of_group = |kind: &&Descriptor| &*kind.gvk.group == *group;
        ensure!(kinds.iter().any(|kind| of_group(&kind)), "unknown api groups {}", said[..2].join("/"));
        let known = kinds.iter().filter(of_group).any(|kind| &*kind.gvk.version == *version);
        ensure!(known, "group version {group}/{version} that has not been registered");
        if let [_, _, resource] = said.as_slice() {
            ensure!(
                resource.to_lowercase() == **resource,
                "invalid key {key}: group/version/resource and resource is always lowercase plural, not {resource:?}"
            );
        }
    }
    Ok(())
}

fn is_meant(kind: &Descriptor, said: &[&str]) -> bool {
    let named = said.first() == Some(&&*kind.gvk.group) && said.get(1) == Some(&&*kind.gvk.version);
    named && said.get(2).is_none_or(|resource| *resource == &*kind.resource)
}

fn enabled(key: &str, value: &str) -> Result<bool> {
    match (value, boolean(value)) {
        ("", _) => Ok(true),
        (_, Some(value)) => Ok(value),
        _ => bail!("invalid value of {key}: {value}, err: strconv.ParseBool: parsing {value:?}: invalid syntax"),
    }
}

/// `""`, `beta` or `alpha`; nothing for what is no version.
fn stage(version: &str) -> Option<&'static str> {
    let rest = version.strip_prefix('v')?.trim_start_matches(|c: char| c.is_ascii_digit());
    let word = ["beta", "alpha"].into_iter().find(|word| rest.starts_with(word));
    match (rest, word) {
        ("", _) => Some(""),
        (rest, Some(word)) if rest[word.len()..].bytes().all(|b| b.is_ascii_digit()) => Some(word),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(pairs: &[&str]) -> Result<Vec<String>, String> {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        let kinds = select(kinds::all(), &pairs).map_err(|e| e.to_string())?;
        Ok(kinds.iter().map(|kind| format!("{}/{}/{}", kind.gvk.group, kind.gvk.version, kind.resource)).collect())
    }

    #[test]
    fn the_narrower_key_wins() {
        let all = served(&[]).expect("reads").len();
        assert_eq!(served(&["api/all=true"]).expect("reads").len(), all);
        let only = served(&["api/all=false", "apps/v1=true", "apps/v1/deployments=false"]).expect("reads");
        assert!(only.contains(&"apps/v1/replicasets".to_owned()));
        assert!(only.iter().all(|kind| kind.starts_with("apps/v1/") && !kind.ends_with("deployments")));
        for key in ["/v1", "v1", "api/v1", "api/v1/pods"] {
            let no_core = served(&[&format!("{key}=false")]).expect("reads");
            assert!(no_core.iter().all(|kind| !kind.starts_with("/v1/")) && !no_core.is_empty(), "{key}");
        }
        assert!(served(&["api/ga=false"]).expect("reads").iter().all(|kind| !kind.contains("/v1/")));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for (pair, why) in [
            ("api/all=false", "invalid runtime-config with only api/all=false"),
            ("v2=true", "runtime-config invalid key v2"),
            ("nothing.k8s.io/v1", "unknown api groups nothing.k8s.io/v1"),
            ("apps/v9=true", "group version apps/v9 that has not been registered"),
            ("apps/v1=yes", "invalid value of apps/v1: yes, err: strconv.ParseBool: parsing \"yes\": invalid syntax"),
            ("api/ga=1", "invalid value api/ga=1"),
        ] {
            assert_eq!(served(&[pair]), Err(why.to_owned()));
        }
        assert!(served(&["apps/v1/Deployments=false"]).expect_err("refused").contains("always lowercase plural"));
    }

    #[test]
    fn versions_have_stages() {
        let table = [("v1", Some("")), ("v2beta1", Some("beta")), ("v1alpha2", Some("alpha")), ("v1x", None), ("1", None)];
        assert!(table.iter().all(|(version, expected)| stage(version) == *expected));
    }
}
