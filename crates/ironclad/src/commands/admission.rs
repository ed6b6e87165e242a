//! The file that configures admission plug-ins (upstream: `--admission-control-config-file`, `AdmissionConfiguration`).

use std::path::{Path, PathBuf};

use admission::plugins::pod_security::config::Config;
use anyhow::{Context, Result, bail, ensure};
use clap::{Arg, ArgMatches, value_parser};
use serde_json::Value;

const FLAG: &str = "admission-control-config-file";
/// The plug-in that has a configuration.
const POD_SECURITY: &str = "PodSecurity";
/// Configurations are short; what is larger is none.
const MOST: u64 = 1 << 20;

/// The flag.
pub fn flag() -> Arg {
    let help = "An AdmissionConfiguration: what PodSecurity does where no label says anything, and whom it lets be";
    Arg::new(FLAG).long(FLAG).value_name("PATH").help(help).value_parser(value_parser!(PathBuf))
}

/// What it says of pods' security; upstream's defaults without it.
pub fn pod_security(matches: &ArgMatches) -> Result<Config> {
    let Some(path) = matches.get_one::<PathBuf>(FLAG) else { return Ok(Config::default()) };
    read(path).with_context(|| format!("--{FLAG} {}", path.display()))
}

fn read(path: &Path) -> Result<Config> {
    let tree = document(path)?;
    let (kind, version) = (text(&tree, "kind"), text(&tree, "apiVersion"));
    let known = matches!(version, "apiserver.config.k8s.io/v1" | "apiserver.k8s.io/v1alpha1");
    ensure!(kind == "AdmissionConfiguration" && known, "no kind {kind:?} is registered for version {version:?}");
    only(&tree, "", &["apiVersion", "kind", "plugins"])?;
    let mut config = None;
    for (at, plugin) in tree["plugins"].as_array().into_iter().flatten().enumerate() {
        only(plugin, &format!("plugins[{at}]."), &["name", "path", "configuration"])?;
        let name = text(plugin, "name");
        ensure!(name == POD_SECURITY, "the admission plug-in {name:?} has no configuration; {POD_SECURITY} has");
        ensure!(config.is_none(), "{POD_SECURITY} is configured twice");
        let inner = match (&plugin["configuration"], text(plugin, "path")) {
            (Value::Null, "") => continue,
            // A path is meant from where the file is.
            (Value::Null, inner) => document(&path.parent().unwrap_or(Path::new("")).join(inner))?,
            (inner, _) => inner.clone(),
        };
        config = Some(Config::read(inner).map_err(anyhow::Error::msg)?);
    }
    Ok(config.unwrap_or_default())
}

/// A YAML or JSON file.
fn document(path: &Path) -> Result<Value> {
    let size = std::fs::metadata(path).with_context(|| format!("read {}", path.display()))?.len();
    ensure!(size <= MOST, "{} is larger than 1 MiB", path.display());
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let (tree, odd) = schema::yaml_to_json(&text).map_err(anyhow::Error::msg)?;
    if let Some(odd) = odd.first() {
        bail!("{}: {odd}", path.display());
    }
    Ok(tree)
}

fn text<'a>(tree: &'a Value, name: &str) -> &'a str {
    tree[name].as_str().unwrap_or_default()
}

fn only(tree: &Value, place: &str, fields: &[&str]) -> Result<()> {
    let keys = tree.as_object().into_iter().flat_map(|map| map.keys());
    match keys.into_iter().find(|key| !fields.contains(&key.as_str())) {
        Some(odd) => bail!("strict decoding error: unknown field \"{place}{odd}\""),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Result<Config, String> {
        let directory = tempfile::tempdir().expect("a directory");
        files.iter().for_each(|(name, text)| std::fs::write(directory.path().join(name), text).expect("is written"));
        let path = directory.path().join(files[0].0);
        let words = ["up".into(), format!("--{FLAG}").into(), path.into_os_string()];
        let matches = clap::Command::new("up").arg(flag()).get_matches_from(words);
        pod_security(&matches).map_err(|error| format!("{error:#}"))
    }

    const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n";

    #[test]
    fn a_configuration_is_read_where_it_stands() {
        let inner = "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n\
                     defaults: {enforce: baseline, enforce-version: v1.30}\nexemptions: {namespaces: [kube-system]}\n";
        let outer = format!("{HEAD}  path: pods.yaml\n");
        let config = of(&[("a.yaml", &outer), ("pods.yaml", inner)]).expect("is read");
        assert_eq!(config.defaults.enforce.to_string(), "baseline:v1.30");
        assert!(config.exempts_namespace("kube-system") && !config.exempts_namespace("default"));
        let inline = format!("{HEAD}  configuration: {{{}}}\n", inner.trim().replace('\n', ", "));
        assert_eq!(of(&[("a.yaml", &inline)]).expect("is read").defaults, config.defaults);
    }

    #[test]
    fn what_nobody_would_do_is_refused() {
        for (text, why) in [
            ("kind: X\napiVersion: v1".to_owned(), r#"no kind "X" is registered for version "v1""#),
            (format!("{HEAD}  pth: x"), r#"unknown field "plugins[0].pth""#),
            (HEAD.replace("PodSecurity", "EventRateLimit"), r#"the admission plug-in "EventRateLimit" has no configuration"#),
            (format!("{HEAD}  path: gone"), "No such file"),
            (
                format!("{HEAD}  configuration: {{apiVersion: pod-security.admission.config.k8s.io/v1, kind: PodSecurityConfiguration, defaults: {{warn: some}}, exemptions: {{namespaces: [A, a, a]}}}}"),
                "must be one of privileged, baseline, restricted",
            ),
        ] {
            let error = of(&[("a.yaml", &text)]).expect_err("is refused");
            assert!(error.contains(why), "{error}");
        }
    }
}
