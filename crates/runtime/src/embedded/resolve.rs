//! What runs: the pod's wishes over the image's defaults. Pure.

use std::str::FromStr;

use caps::Capability;
use nix::sys::signal::Signal;

use crate::image::ImageConfig;
use crate::{ContainerConfig, Error, PodConfig, Result, Security};

/// containerd's default path.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// containerd's default capabilities.
const DEFAULT: [Capability; 14] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FSETID,
    Capability::CAP_FOWNER,
    Capability::CAP_MKNOD,
    Capability::CAP_NET_RAW,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_SETFCAP,
    Capability::CAP_SETPCAP,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_KILL,
    Capability::CAP_AUDIT_WRITE,
];

/// The outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub cwd: String,
    pub user: String,
    pub capabilities: u64,
    pub stop_signal: i32,
}

/// Merges; errors are [`Error::Config`].
pub(super) fn resolve(pod: &PodConfig, config: &ContainerConfig, image: &ImageConfig) -> Result<Resolved> {
    let args = arguments(config, image);
    if args.is_empty() {
        return Err(Error::Config("no command specified".into()));
    }
    let user = config.security.user.clone().unwrap_or_else(|| image.user.clone());
    if config.security.non_root {
        check_non_root(&user, pod, config)?;
    }
    let cwd = [&config.working_dir, &image.working_dir].into_iter().find(|dir| !dir.is_empty());
    let cwd = cwd.map_or("/", String::as_str).to_owned();
    if !cwd.starts_with('/') {
        return Err(Error::Config(format!("working directory {cwd:?} is not absolute")));
    }
    Ok(Resolved {
        args,
        env: environment(pod, config, image),
        cwd,
        user,
        capabilities: capabilities(&config.security)?,
        stop_signal: stop_signal(config, image)?,
    })
}

/// A command replaces the image's entrypoint and arguments; arguments alone replace its arguments.
fn arguments(config: &ContainerConfig, image: &ImageConfig) -> Vec<String> {
    let (mut args, rest) = match (config.command.is_empty(), config.args.is_empty()) {
        (false, _) => (config.command.clone(), &config.args),
        (true, false) => (image.entrypoint.clone(), &config.args),
        (true, true) => (image.entrypoint.clone(), &image.cmd),
    };
    args.extend_from_slice(rest);
    args
}

/// The kubelet's checks (`security_context.go`).
fn check_non_root(user: &str, pod: &PodConfig, config: &ContainerConfig) -> Result<()> {
    let name = user.split(':').next().unwrap_or_default();
    let place = format!("(pod: \"{}_{}({})\", container: {})", pod.name, pod.namespace, pod.uid, config.name);
    match (config.security.user.is_some(), name.parse::<u32>()) {
        (true, Ok(0)) => Err(Error::Config(format!("container's runAsUser breaks non-root policy {place}"))),
        (_, Ok(1..)) => Ok(()),
        (_, Ok(0)) => Err(Error::Config(format!("container has runAsNonRoot and image will run as root {place}"))),
        (_, Err(_)) if name.is_empty() => {
            Err(Error::Config(format!("container has runAsNonRoot and image will run as root {place}")))
        }
        (_, Err(_)) => Err(Error::Config(format!(
            "container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root {place}"
        ))),
    }
}

fn environment(pod: &PodConfig, config: &ContainerConfig, image: &ImageConfig) -> Vec<String> {
    let mut env: Vec<String> = vec![PATH.to_owned()];
    if config.tty {
        env.push("TERM=xterm".to_owned());
    }
    if !pod.hostname.is_empty() {
        env.push(format!("HOSTNAME={}", pod.hostname));
    }
    let own = config.env.iter().map(|(name, value)| format!("{name}={value}"));
    for entry in image.env.iter().cloned().chain(own) {
        let name = entry.split_once('=').map_or(entry.len(), |(name, _)| name.len() + 1);
        let prefix = entry[..name].to_owned();
        match env.iter_mut().find(|old| old.starts_with(&prefix)) {
            Some(old) => *old = entry,
            None => env.push(entry),
        }
    }
    env
}

fn capabilities(security: &Security) -> Result<u64> {
    let all = || caps::all().iter().fold(0, |bits, capability| bits | capability.bitmask());
    if security.privileged {
        return Ok(all());
    }
    let mut bits = DEFAULT.iter().fold(0, |bits, capability| bits | capability.bitmask());
    // ALL first, whichever side names it: `drop: [ALL], add: [X]` leaves X.
    let is_all = |name: &&String| name.eq_ignore_ascii_case("all");
    if security.add_capabilities.iter().any(|name| is_all(&name)) {
        bits = all();
    }
    if security.drop_capabilities.iter().any(|name| is_all(&name)) {
        bits = 0;
    }
    for name in security.add_capabilities.iter().filter(|name| !is_all(name)) {
        bits |= capability(name)?.bitmask();
    }
    for name in security.drop_capabilities.iter().filter(|name| !is_all(name)) {
        bits &= !capability(name)?.bitmask();
    }
    Ok(bits)
}

fn capability(name: &str) -> Result<Capability> {
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    Capability::from_str(&full).map_err(|_| Error::Config(format!("unknown capability {name:?}")))
}

fn stop_signal(config: &ContainerConfig, image: &ImageConfig) -> Result<i32> {
    let wanted = [&config.stop_signal, &image.stop_signal].into_iter().find(|signal| !signal.is_empty());
    let name = wanted.map_or("SIGTERM", String::as_str);
    if let Ok(number) = name.parse::<i32>() {
        return Ok(number);
    }
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    if let Some(offset) = full.strip_prefix("SIGRTMIN") {
        let offset = if offset.is_empty() { 0 } else { offset.parse().unwrap_or(-1) };
        return if (0..=30).contains(&offset) { Ok(34 + offset) } else { Err(unknown_signal(name)) };
    }
    Signal::from_str(&full).map(|signal| signal as i32).map_err(|_| unknown_signal(name))
}

fn unknown_signal(name: &str) -> Error {
    Error::Config(format!("unknown stop signal {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> ImageConfig {
        ImageConfig {
            entrypoint: vec!["/e".into()],
            cmd: vec!["c".into()],
            env: vec!["A=1".into(), "PATH=/x".into()],
            ..ImageConfig::default()
        }
    }

    fn args(command: &[&str], args: &[&str]) -> Vec<String> {
        let own = |all: &[&str]| all.iter().map(|a| (*a).to_owned()).collect();
        let config = ContainerConfig { command: own(command), args: own(args), ..ContainerConfig::default() };
        arguments(&config, &image())
    }

    #[test]
    fn commands_and_arguments() {
        assert_eq!(args(&[], &[]), ["/e", "c"]);
        assert_eq!(args(&[], &["x"]), ["/e", "x"]);
        assert_eq!(args(&["p"], &[]), ["p"]);
        assert_eq!(args(&["p"], &["x"]), ["p", "x"]);
    }

    #[test]
    fn later_environment_wins() {
        let config = ContainerConfig { env: vec![("A".into(), "2".into())], ..ContainerConfig::default() };
        let pod = PodConfig { hostname: "h".into(), ..PodConfig::default() };
        assert_eq!(environment(&pod, &config, &image()), ["PATH=/x", "HOSTNAME=h", "A=2"]);
    }

    #[test]
    fn capabilities_add_and_drop() {
        let of = |add: &[&str], drop: &[&str]| {
            let own = |all: &[&str]| all.iter().map(|a| (*a).to_owned()).collect();
            let security = Security { add_capabilities: own(add), drop_capabilities: own(drop), ..Security::default() };
            capabilities(&security).unwrap()
        };
        assert_eq!(of(&[], &["ALL"]), 0);
        assert_eq!(of(&["NET_ADMIN"], &["ALL"]), Capability::CAP_NET_ADMIN.bitmask());
        assert_eq!(of(&["ALL"], &["KILL"]) & Capability::CAP_KILL.bitmask(), 0);
    }

    #[test]
    fn signals_and_non_root() {
        let of = |signal: &str| {
            stop_signal(&ContainerConfig { stop_signal: signal.into(), ..ContainerConfig::default() }, &image())
        };
        assert_eq!([of("").unwrap(), of("SIGQUIT").unwrap(), of("RTMIN+3").unwrap(), of("9").unwrap()], [15, 3, 37, 9]);
        let pod = PodConfig { name: "p".into(), namespace: "n".into(), uid: "u".into(), ..PodConfig::default() };
        let config = ContainerConfig { name: "c".into(), ..ContainerConfig::default() };
        assert!(check_non_root("1000:0", &pod, &config).is_ok());
        assert_eq!(
            check_non_root("", &pod, &config).unwrap_err().to_string(),
            "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: c)"
        );
        assert!(check_non_root("web", &pod, &config).unwrap_err().to_string().contains("non-numeric user (web)"));
    }
}
