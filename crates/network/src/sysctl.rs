//! Kernel settings that routing between pods needs, and their way back.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::api::Result;
use crate::link::failed;

/// Name of the file that keeps the values from before.
pub(crate) const SAVED: &str = "sysctls";

/// (setting, value).
const WANTED: [(&str, &str); 3] = [
    ("net/ipv4/ip_forward", "1"),
    // Pods reach each other through the gateway over one link. Telling them of a shorter way would be wrong,
    // and would use up the allowance for errors that they must see.
    ("net/ipv4/conf/all/send_redirects", "0"),
    ("net/ipv4/conf/ironclad0/send_redirects", "0"),
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
pub(crate) fn set(saved: &Path) -> Result<()> {
    let known = fs::read_to_string(saved).unwrap_or_default();
    let mut before = known.clone();
    for (setting, value) in WANTED {
        let current = fs::read_to_string(path(setting)).map_err(|e| failed(format!("read {setting}"), e))?;
        if current.trim() != value && !known.lines().any(|l| l.starts_with(setting)) {
            before.push_str(&format!("{setting}={}\n", current.trim()));
        }
    }
    if before != known {
        fs::write(saved, &before).map_err(|e| failed(format!("write {}", saved.display()), e))?;
    }
    for (setting, value) in WANTED {
        fs::write(path(setting), value).map_err(|e| failed(format!("set {setting}"), e))?;
    }
    Ok(())
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
