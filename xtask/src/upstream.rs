//! Upstream's own programs, as test dependencies: built from their Go modules (`tests/upstream/programs`, pinned by
//! its `go.sum`) into the cache folder outside of the clone, when somebody asks for them.
//!
//! They are built without C, because some of them run in images. The cache is keyed by everything that goes into
//! them: the two modules, the Go version, and the flags.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The version that the programs say they are.
pub const VERSION: &str = "v1.36.3";

/// What upstream's 1.36 must be built with: with 1.27 its programs serve and expect corrupt OpenAPI, and no error
/// says so.
const GO: &str = "go1.26";

/// One program: its name, the module under `tests/upstream` that pins it, and the package.
struct Program {
    name: &'static str,
    module: &'static str,
    package: &'static str,
    /// A test binary (`go test -c`) instead of a command.
    test: bool,
}

const fn command(name: &'static str, module: &'static str, package: &'static str) -> Program {
    Program { name, module, package, test: false }
}

/// The programs, those first that others wait for.
const ALL: &[Program] = &[
    command("kube-apiserver", "programs", "k8s.io/kubernetes/cmd/kube-apiserver"),
    command("etcd", "own", "./etcd"),
    Program { name: "e2e.test", module: "programs", package: "k8s.io/kubernetes/test/e2e", test: true },
    command("ginkgo", "programs", "github.com/onsi/ginkgo/v2/ginkgo"),
    command("kubectl", "programs", "k8s.io/kubernetes/cmd/kubectl"),
    command("agnhost", "programs", "k8s.io/kubernetes/test/images/agnhost"),
    command("pause", "own", "./pause"),
    command("nnp", "programs", "k8s.io/kubernetes/test/images/nonewprivs"),
    command("sample-apiserver", "programs", "k8s.io/sample-apiserver"),
    command("kube-controller-manager", "programs", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    command("kube-scheduler", "programs", "k8s.io/kubernetes/cmd/kube-scheduler"),
    command("kubelet", "programs", "k8s.io/kubernetes/cmd/kubelet"),
];

/// `cargo xtask upstream [NAME]...`: builds the named programs, or all, and prints where they are.
pub fn run(root: &Path, names: &[String]) -> Result<()> {
    let all = || ALL.iter().map(|program| program.name.to_owned()).collect();
    for name in if names.is_empty() { all() } else { names.to_vec() } {
        println!("{}", program(root, &name)?.display());
    }
    Ok(())
}

/// The path of an upstream program; builds it first when the cache has none of this version. Says what it builds.
pub fn program(root: &Path, name: &str) -> Result<PathBuf> {
    let known = || ALL.iter().map(|program| program.name).collect::<Vec<_>>().join(", ");
    let program = ALL.iter().find(|program| program.name == name);
    let program = program.with_context(|| format!("there is no upstream program {name:?}, there are {}", known()))?;
    let dir = directory(root)?;
    let path = dir.join(name);
    if path.is_file() {
        return Ok(path);
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    // Two that want the same program at the same time: the second finds what the first has built.
    let lock = File::create(dir.join(format!("{name}.lock")))?;
    lock.lock()?;
    if !path.is_file() {
        build(root, program, &path)?;
    }
    Ok(path)
}

/// Where everything is kept that tests build or download and that outlives a clone: `IRONCLAD_CACHE`, or the user's
/// cache folder.
pub fn cache() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir = variable("IRONCLAD_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|dir| dir.join("ironclad")))
        .or_else(|| variable("HOME").map(|dir| dir.join(".cache/ironclad")))
        .context("neither IRONCLAD_CACHE nor HOME says where to keep what is built")?;
    Ok(std::path::absolute(dir)?)
}

/// The directory of the programs of this version.
fn directory(root: &Path) -> Result<PathBuf> {
    let go = output(Command::new("go").arg("version").current_dir(modules(root).join("programs")))?;
    if !go.contains(GO) {
        bail!("upstream's 1.36 must be built with {GO}, this is {}", go.trim());
    }
    let mut hasher = DefaultHasher::new();
    (go, flags()).hash(&mut hasher);
    for file in ["programs/go.mod", "programs/go.sum", "own/go.mod", "own/go.sum", "own/etcd/main.go", "own/pause/main.go"] {
        let path = modules(root).join(file);
        std::fs::read(&path).with_context(|| format!("read {}", path.display()))?.hash(&mut hasher);
    }
    Ok(cache()?.join("upstream").join(format!("{VERSION}-{:016x}", hasher.finish())))
}

fn modules(root: &Path) -> PathBuf {
    root.join("tests/upstream")
}

/// The version is stamped at link time, as upstream's release build does: specs ask for it.
fn flags() -> String {
    let mut parts = VERSION.trim_start_matches('v').split('.');
    let stamps = [
        ("gitVersion", VERSION),
        ("gitMajor", parts.next().unwrap_or_default()),
        ("gitMinor", parts.next().unwrap_or_default()),
        ("gitTreeState", "clean"),
    ];
    let packages = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];
    let stamps = packages.iter().flat_map(|package| stamps.map(|(key, value)| format!("-X {package}.{key}={value}")));
    ["-s -w".to_owned()].into_iter().chain(stamps).collect::<Vec<_>>().join(" ")
}

/// Builds under another name and renames: a program that is there is whole.
fn build(root: &Path, program: &Program, path: &Path) -> Result<()> {
    println!("building upstream's {} {VERSION} into {}", program.name, path.display());
    let start = Instant::now();
    let part = path.with_extension("part");
    let mut go = Command::new("go");
    // Vetting upstream's code takes as long as compiling it.
    go.args(if program.test { ["test", "-c", "-vet=off"].as_slice() } else { &["build"] });
    go.args(["-trimpath", "-buildvcs=false", "-ldflags", &flags(), "-o"]).arg(&part).arg(program.package);
    go.env("CGO_ENABLED", "0").current_dir(modules(root).join(program.module));
    let status = go.status().context("start `go`: is Go 1.26 installed?")?;
    if !status.success() {
        bail!("upstream's {} was not built ({status})", program.name);
    }
    std::fs::rename(&part, path).with_context(|| format!("rename {}", part.display()))?;
    println!("built {} in {} s", program.name, start.elapsed().as_secs());
    Ok(())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{:?} failed: {}", command.get_program(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_pinned() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap();
        for (at, program) in ALL.iter().enumerate() {
            assert!(ALL[at + 1..].iter().all(|other| other.name != program.name), "{} is there twice", program.name);
            let manifest = std::fs::read_to_string(modules(&root).join(program.module).join("go.mod")).unwrap();
            let pinned = program.package.starts_with("./") || manifest.contains(&format!("\t{}\n", program.package));
            assert!(pinned, "{} is no tool of its module", program.package);
        }
    }

    #[test]
    fn the_version_is_stamped() {
        let flags = flags();
        assert!(flags.contains("-X k8s.io/component-base/version.gitVersion=v1.36.3"));
        assert!(flags.contains("-X k8s.io/component-base/version.gitMinor=36"));
    }
}
