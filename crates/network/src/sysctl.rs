//! Kernel settings that routing between pods needs, and their way back.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::api::Result;
use crate::link::failed;

/// Name of the file that keeps the values from before.
pub(crate) const SAVED: &str = "sysctls";

/// (setting, value), for all networks of the machine.
const SHARED: [(&str, &str); 2] = [
    ("net/ipv4/ip_forward", "1"),
    // Pods reach each other through the gateway over one link. Telling them of a shorter way would be wrong,
    // and would use up the allowance for errors that they must see.
    ("net/ipv4/conf/all/send_redirects", "0"),
];

/// (setting, value) of a pod's link. They go with it.
const OF_LINK: [(&str, &str); 3] = [
    // Beside the pins: what comes by this link must have its way back by it.
    ("net/ipv4/conf/{}/rp_filter", "1"),
    // A pod that reaches itself through a service is told of no shorter way.
    ("net/ipv4/conf/{}/send_redirects", "0"),
    // Pods have no addresses of IPv6 yet: they do not tell the node where its routers are, or speak to it at all.
    ("net/ipv6/conf/{}/disable_ipv6", "1"),
];

/// Sets what a pod's link needs. A kernel without IPv6 has no settings for it.
pub(crate) fn set_link(link: &str) -> Result<()> {
    for (setting, value) in OF_LINK {
        let setting = setting.replace("{}", link);
        match fs::write(path(&setting), value) {
            Err(e) if e.kind() == ErrorKind::NotFound && setting.starts_with("net/ipv6") => {}
            other => other.map_err(|e| failed(format!("set {setting}"), e))?,
        }
    }
    Ok(())
}

/// Sets what is not set yet. Values from before go to the file first, once.
pub(crate) fn set(saved: &Path, bridge: &str) -> Result<()> {
    let of_bridge = format!("net/ipv4/conf/{bridge}/send_redirects");
    let wanted = [SHARED.as_slice(), &[(of_bridge.as_str(), "0")]].concat();
    let known = fs::read_to_string(saved).unwrap_or_default();
    let mut before = known.clone();
    for &(setting, value) in &wanted {
        let current = fs::read_to_string(path(setting)).map_err(|e| failed(format!("read {setting}"), e))?;
        if current.trim() != value && !known.lines().any(|l| l.starts_with(setting)) {
            before.push_str(&format!("{setting}={}\n", current.trim()));
        }
    }
    if before != known {
        fs::write(saved, &before).map_err(|e| failed(format!("write {}", saved.display()), e))?;
    }
    for (setting, value) in wanted {
        fs::write(path(setting), value).map_err(|e| failed(format!("set {setting}"), e))?;
    }
    Ok(())
}

/// What networks of the machine share stays as it is as long as there is another: that one's file gets the values from
/// before, unless it has some of its own, and this one's loses them.
pub(crate) fn hand_over(saved: &Path, heir: &Path) -> Result<()> {
    let text = fs::read_to_string(saved).unwrap_or_default();
    let is_shared = |line: &&str| SHARED.iter().any(|(setting, _)| line.split('=').next() == Some(setting));
    let (shared, own): (Vec<&str>, Vec<&str>) = text.lines().partition(is_shared);
    let theirs = fs::read_to_string(heir).unwrap_or_default();
    let has = |line: &&str| theirs.lines().any(|l| l.split('=').next() == line.split('=').next());
    let missing: String = shared.into_iter().filter(|line| !has(line)).map(|line| format!("{line}\n")).collect();
    if !missing.is_empty() {
        // Where it ends in between, both have them: the value from before is the same.
        let directory = heir.parent().map_or(Ok(()), fs::create_dir_all);
        let written = directory.and_then(|()| fs::write(heir, format!("{theirs}{missing}")));
        written.map_err(|e| failed(format!("write {}", heir.display()), e))?;
    }
    let own: String = own.into_iter().map(|line| format!("{line}\n")).collect();
    if own == text { Ok(()) } else { fs::write(saved, own).map_err(|e| failed(format!("write {}", saved.display()), e)) }
}

/// Sets the values from before; returns what it did, in words.
pub(crate) fn restore(saved: &Path) -> Result<Vec<String>> {
    let mut done = Vec::new();
    let text = fs::read_to_string(saved).unwrap_or_default();
    for (setting, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match fs::write(path(setting), value) {
            Ok(()) => done.push(format!("setting {setting} (back to {value})")),
            // A setting of a link that is gone.
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(failed(format!("set {setting}"), e)),
        }
    }
    Ok(done)
}

fn path(setting: &str) -> PathBuf {
    Path::new("/proc/sys").join(setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_networks_share_goes_to_the_one_that_is_left() {
        let dir = tempfile::tempdir().expect("directory");
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        let forward = "net/ipv4/ip_forward=0\n";
        let redirects = "net/ipv4/conf/all/send_redirects=1\n";
        let own = "net/ipv4/conf/ic00000001/send_redirects=1\n";
        fs::write(&first, format!("{forward}{own}{redirects}")).expect("written");
        fs::write(&second, "net/ipv4/conf/all/send_redirects=2\n").expect("written");
        hand_over(&first, &second).expect("is handed over");
        let read = |path| fs::read_to_string(path).expect("is there");
        assert_eq!(read(&first), own);
        assert_eq!(read(&second), format!("net/ipv4/conf/all/send_redirects=2\n{forward}"), "what it had is older");
        hand_over(&first, &second).expect("nothing is left");
        assert_eq!(read(&first), own);
    }
}
