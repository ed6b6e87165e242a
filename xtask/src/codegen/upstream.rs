//! Where upstream's published files lie: the Go module cache, filled by `go mod download`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Module path to its directory in the module cache.
pub struct Modules(BTreeMap<String, PathBuf>);

impl Modules {
    /// Downloads (or finds) what `tests/upstream/go.mod` pins.
    pub fn fetch(root: &Path) -> Result<Modules> {
        let manifest = root.join("tests/upstream");
        let text = std::fs::read_to_string(manifest.join("go.mod")).context("tests/upstream/go.mod")?;
        let wanted = text.lines().filter_map(requirement);
        let output = Command::new("go")
            .args(["mod", "download", "-json"])
            .args(wanted)
            .current_dir(&manifest)
            .output()
            .context("cannot run `go mod download`: is Go installed?")?;
        let mut modules = BTreeMap::new();
        for record in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<serde_json::Value>() {
            let record = record.context("`go mod download` wrote something else than JSON")?;
            let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            if !text("Error").is_empty() {
                bail!("{}: {}", text("Path"), text("Error"));
            }
            modules.insert(text("Path"), PathBuf::from(text("Dir")));
        }
        if modules.is_empty() {
            bail!("`go mod download` failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(Modules(modules))
    }

    /// The directory of a module.
    pub fn dir(&self, module: &str) -> Result<&Path> {
        self.0.get(module).map(PathBuf::as_path).with_context(|| format!("{module} is not in tests/upstream/go.mod"))
    }
}

/// `k8s.io/api v0.36.3` as `k8s.io/api@v0.36.3`.
fn requirement(line: &str) -> Option<String> {
    let (module, version) = line.trim().split_once(' ')?;
    (module.contains('/') && version.starts_with('v')).then(|| format!("{module}@{version}"))
}
