//! `CredentialProviderConfig` (upstream: `credentialprovider/plugin/config.go`): one file, or a directory of them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

/// Largest file, in bytes.
const FILE: u64 = 1 << 20;
/// Versions of the conversation with a plug-in.
const VERSIONS: [&str; 3] = [
    "credentialprovider.kubelet.k8s.io/v1",
    "credentialprovider.kubelet.k8s.io/v1beta1",
    "credentialprovider.kubelet.k8s.io/v1alpha1",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    api_version: String,
    kind: String,
    #[serde(default)]
    providers: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[serde(default)]
    name: String,
    #[serde(default)]
    match_images: Vec<String>,
    default_cache_duration: Option<String>,
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Vec<Variable>,
    token_attributes: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    name: String,
    value: String,
}

/// One plug-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plugin {
    /// Its name.
    pub name: String,
    /// Its program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables beside the agent's own.
    pub env: Vec<(String, String)>,
    /// The version that it speaks.
    pub version: String,
    /// What it is asked for.
    pub images: Vec<String>,
    /// How long its answers hold that do not say so themselves.
    pub holds: Duration,
}

/// Reads what `path` says of the plug-ins in `programs`. The words are upstream's.
pub(super) fn read(path: &Path, programs: &Path) -> Result<Vec<Plugin>, String> {
    if !programs.is_dir() {
        return Err(format!("plugin binary directory {} did not exist", programs.display()));
    }
    let mut plugins: Vec<Plugin> = Vec::new();
    for file in files(path)? {
        let fail = |why: &dyn std::fmt::Display| format!("error decoding config {:?}: {why}", file.display().to_string());
        let mut text = String::new();
        fs::File::open(&file).and_then(|f| f.take(FILE + 1).read_to_string(&mut text)).map_err(|e| fail(&e))?;
        if text.len() as u64 > FILE {
            return Err(fail(&"it is too long"));
        }
        let found: File = serde_saphyr::from_str(&text).map_err(|e| fail(&e))?;
        if found.kind != "CredentialProviderConfig" {
            return Err(fail(&format_args!("failed to decode {:?} (wrong Kind)", found.kind)));
        }
        let version = found.api_version.strip_prefix("kubelet.config.k8s.io/");
        if !version.is_some_and(|version| ["v1", "v1beta1", "v1alpha1"].contains(&version)) {
            return Err(fail(&format_args!("unexpected apiVersion {:?}", found.api_version)));
        }
        for written in found.providers {
            if plugins.iter().any(|plugin| plugin.name == written.name) {
                return Err(format!("duplicate provider name {:?} found in configuration file(s)", written.name));
            }
            plugins.push(checked(written, programs)?);
        }
    }
    if plugins.is_empty() {
        return Err("failed to validate credential provider config: providers: Required value: at least 1 item in plugins is required".to_owned());
    }
    Ok(plugins)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let shown = path.display().to_string();
    let meta = fs::metadata(path).map_err(|e| format!("unable to access path {shown:?}: {e}"))?;
    if !meta.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|e| format!("unable to read directory {shown:?}: {e}"))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| path.extension().is_some_and(|e| ["json", "yaml", "yml"].contains(&&*e.to_string_lossy()));
    let mut found: Vec<PathBuf> = paths.filter(is_one).filter(|path| path.is_file()).collect();
    found.sort();
    if found.is_empty() { Err(format!("no configuration files found in directory {shown:?}")) } else { Ok(found) }
}

fn checked(written: Written, programs: &Path) -> Result<Plugin, String> {
    let name = &written.name;
    let wrong = |field: &str, why: &str| format!("failed to validate credential provider config: providers.{field}: {why}");
    let bad_name = |why: &str| wrong("name", &format!("Invalid value: {name:?}: provider name cannot {why}"));
    match name.as_str() {
        "" => return Err(wrong("name", "Required value")),
        "." | ".." => return Err(bad_name(&format!("be '{name}'"))),
        _ if name.contains('/') => return Err(bad_name("contain '/'")),
        _ if name.contains(' ') => return Err(bad_name("contain spaces")),
        _ => {}
    }
    if written.api_version.is_empty() {
        return Err(wrong("apiVersion", "Required value"));
    }
    if !VERSIONS.contains(&written.api_version.as_str()) {
        return Err(wrong("apiVersion", &format!("Unsupported value: {:?}", written.api_version)));
    }
    if written.match_images.is_empty() {
        return Err(wrong("matchImages", "Required value: at least 1 item in matchImages is required"));
    }
    let Some(holds) = written.default_cache_duration else { return Err(wrong("defaultCacheDuration", "Required value")) };
    let holds = duration(&holds)
        .ok_or_else(|| wrong("defaultCacheDuration", &format!("Invalid value: {holds:?}: must be greater than or equal to 0")))?;
    if written.token_attributes.is_some() {
        return Err(wrong("tokenAttributes", "Forbidden: this node agent gives plug-ins no service account tokens"));
    }
    let program = programs.join(name);
    if !program.is_file() {
        return Err(format!("plugin binary executable {} did not exist", program.display()));
    }
    let env = written.env.into_iter().map(|variable| (variable.name, variable.value)).collect();
    let (version, images) = (written.api_version, written.match_images);
    Ok(Plugin { name: written.name, program, args: written.args, env, version, images, holds })
}

/// As Go writes it; none that is negative.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let nanos = meta::duration::parse(text).ok()?;
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: sh\n  \
        apiVersion: credentialprovider.kubelet.k8s.io/v1\n  matchImages: ['*.io', 'r.io/team']\n  defaultCacheDuration: 1h30m\n  \
        args: [a, b]\n  env: [{name: X, value: y}]\n";

    fn load(text: &str) -> Result<Vec<Plugin>, String> {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("a.yaml"), text).expect("written");
        let found = read(&dir.path().join("a.yaml"), Path::new("/bin"));
        assert_eq!(read(dir.path(), Path::new("/bin")).is_ok(), found.is_ok(), "a directory of files is as one");
        found
    }

    #[test]
    fn plugins_are_as_the_file_has_them() {
        let plugin = load(GOOD).expect("read").remove(0);
        assert_eq!((plugin.program.as_path(), plugin.holds), (Path::new("/bin/sh"), Duration::from_secs(5400)));
        assert_eq!((plugin.args.len(), plugin.env, plugin.images.len()), (2, vec![("X".to_owned(), "y".to_owned())], 2));
    }

    #[test]
    fn mistakes_are_told_in_upstreams_words() {
        for (from, to, why) in [
            ("name: sh", "name: none", "plugin binary executable /bin/none did not exist"),
            ("name: sh", "name: ../sh", "providers.name: Invalid value: \"../sh\": provider name cannot contain '/'"),
            ("CredentialProviderConfig", "Pod", "failed to decode \"Pod\" (wrong Kind)"),
            ("kubelet.k8s.io/v1", "kubelet.k8s.io/v7", "providers.apiVersion: Unsupported value: \"credentialprovider.kubelet.k8s.io/v7\""),
            ("['*.io', 'r.io/team']", "[]", "providers.matchImages: Required value: at least 1 item in matchImages is required"),
            ("defaultCacheDuration: 1h30m", "", "providers.defaultCacheDuration: Required value"),
            ("1h30m", "-1s", "providers.defaultCacheDuration: Invalid value: \"-1s\": must be greater than or equal to 0"),
            ("env:", "enw:", "unknown field"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = load(&GOOD.replace(from, to)).expect_err(to);
            assert!(error.contains(why), "{error}");
        }
        let error = read(Path::new("/none"), Path::new("/none-either")).expect_err("nothing is there");
        assert_eq!(error, "plugin binary directory /none-either did not exist");
    }
}
