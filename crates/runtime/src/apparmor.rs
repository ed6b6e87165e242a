//! AppArmor: whether the machine has it, which profiles are loaded, the default profile, and putting a process into one.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Name of the default profile.
pub(crate) const DEFAULT: &str = "ironclad.default";
const LOADED: &str = "/sys/kernel/security/apparmor/profiles";
/// Where distributions have the program that loads profiles.
const PARSERS: [&str; 2] = ["/usr/sbin/apparmor_parser", "/sbin/apparmor_parser"];
/// What distributions share among profiles.
const SHARED: &str = "/etc/apparmor.d";

/// Whether the kernel enforces profiles, and tells which it has.
pub(crate) fn enabled() -> bool {
    let on = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    on.is_ok_and(|text| text.starts_with('Y')) && Path::new("/sys/kernel/security/apparmor").exists()
}

/// Whether the machine has what is needed to load a profile.
pub(crate) fn can_load() -> bool {
    parser().is_some()
}

fn parser() -> Option<&'static str> {
    PARSERS.into_iter().find(|path| Path::new(path).exists())
}

/// Whether a profile is loaded.
pub(crate) fn is_loaded(name: &str) -> io::Result<bool> {
    Ok(lists(&std::fs::read_to_string(LOADED)?, name))
}

/// Lines are `NAME (MODE)`.
fn lists(loaded: &str, name: &str) -> bool {
    !name.is_empty() && loaded.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(" (")))
}

/// Loads the default profile, in place of one that has its name.
pub(crate) fn load_default() -> io::Result<()> {
    let Some(parser) = parser() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no apparmor_parser on this machine"));
    };
    let mut child = Command::new(parser)
        .args(["--replace", "--skip-cache"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // Its end is the end of the profile; what goes wrong, the program says.
    let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(default_profile().as_bytes()));
    let output = child.wait_with_output()?;
    match output.status.success() {
        true => written,
        false => Err(io::Error::other(format!("apparmor_parser: {}", String::from_utf8_lossy(&output.stderr).trim()))),
    }
}

/// What a container may do that has no profile of its own: what containerd's default allows
/// (`contrib/apparmor/template.go`).
fn default_profile() -> String {
    let shared = |name: &str| Path::new(SHARED).join(name).exists();
    let tunables = if shared("tunables/global") { "#include <tunables/global>" } else { "@{PROC}=/proc/" };
    let base = if shared("abstractions/base") { "#include <abstractions/base>" } else { "" };
    // Whoever starts containers may send them signals.
    let own = std::fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let own = own.split([' ', '\n', '\0']).next().filter(|name| !name.is_empty()).unwrap_or("unconfined").to_owned();
    format!(
        "{tunables}
profile {DEFAULT} flags=(attach_disconnected,mediate_deleted) {{
  {base}
  network,
  capability,
  file,
  umount,
  signal (receive) peer=unconfined,
  signal (receive) peer=\"{own}\",
  signal (send,receive) peer={DEFAULT},
  ptrace (trace,tracedby,read,readby) peer={DEFAULT},

  deny mount,
  deny @{{PROC}}/* w,
  deny @{{PROC}}/{{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9]*}}/** w,
  deny @{{PROC}}/sys/[^k]** w,
  deny @{{PROC}}/sys/kernel/{{?,??,[^s][^h][^m]**}} w,
  deny @{{PROC}}/sysrq-trigger rwklx,
  deny @{{PROC}}/mem rwklx,
  deny @{{PROC}}/kmem rwklx,
  deny @{{PROC}}/kcore rwklx,
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
}}
"
    )
}

/// The next program that this thread executes runs under the profile. Call it before anything about the thread's
/// privileges changes, and while it has the host's `/proc`: the kernel takes it from the opener alone.
pub(crate) fn on_exec(profile: &str) -> io::Result<()> {
    let text = format!("exec {profile}");
    // Where several security modules are stacked, only the first is AppArmor's for certain.
    match std::fs::write("/proc/self/attr/apparmor/exec", &text) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && !Path::new("/proc/self/attr/apparmor").exists() => {
            std::fs::write("/proc/self/attr/exec", &text)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_loaded() {
        let loaded = "docker-default (enforce)\nk8s-a//child (complain)\nwith space (enforce)\n";
        let has = |name: &str| lists(loaded, name);
        assert!(has("docker-default") && has("k8s-a//child") && has("with space"));
        assert!(!has("docker") && !has("") && !has("k8s-a") && !has("docker-default (enforce)") && !has("with"));
    }

    #[test]
    fn the_default_profile_is_whole() {
        let text = default_profile();
        assert_eq!(text.matches('{').count(), text.matches('}').count(), "{text}");
        assert!(text.contains("profile ironclad.default flags=") && text.contains("deny @{PROC}/sysrq-trigger rwklx,"));
    }
}
