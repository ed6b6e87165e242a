//! Who may read what a cluster keeps.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::dirs::Dirs;
use crate::out;

/// Makes the directories. Everything in them is for root alone: Secrets, keys and tokens are there as they are. What an
/// older version left readable is repaired, and told. `admin.conf` has the rights that its owner gives it.
pub fn directories(dirs: &Dirs, kubeconfig_mode: u32) -> Result<()> {
    for (dir, mode) in [(&dirs.data, 0o711), (&dirs.run, 0o700)] {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        restrict(dir, mode)?;
    }
    let mut repaired = Vec::new();
    for item in fs::read_dir(&dirs.data).with_context(|| format!("read {}", dirs.data.display()))? {
        let path = item?.path();
        let file = fs::symlink_metadata(&path)?;
        let mode = match file.is_dir() {
            true => 0o700,
            false if path == dirs.kubeconfig() => kubeconfig_mode,
            false => 0o600,
        };
        if !file.is_symlink() && restrict(&path, mode)? {
            repaired.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    if !repaired.is_empty() {
        let (data, names) = (dirs.data.display(), repaired.join(", "));
        out::line(format_args!("          other users could reach {names} in {data}: from now on they cannot"));
    }
    Ok(())
}

/// Takes rights away, if there are more than these; says whether there were.
fn restrict(path: &Path, mode: u32) -> Result<bool> {
    let change = || {
        let present = fs::metadata(path)?.permissions().mode() & 0o7777;
        let more = present & !mode != 0;
        if present != mode && (more || path.is_dir()) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        Ok::<_, std::io::Error>(more)
    };
    change().with_context(|| format!("change the mode of {}", path.display()))
}
