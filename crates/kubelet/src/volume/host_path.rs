//! `hostPath`: a file or directory of the node.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Volume;

use super::{Context, Mounted, Plugin, at};

/// The plug-in.
pub struct HostPath;

#[async_trait]
impl Plugin for HostPath {
    fn name(&self) -> &'static str {
        "kubernetes.io~host-path"
    }

    fn claims(&self, volume: &Volume) -> bool {
        volume.host_path.is_some()
    }

    async fn set_up(&self, volume: &Volume, _context: &Context<'_>) -> Result<Mounted, String> {
        let source = volume.host_path.clone().unwrap_or_default();
        let path = Path::new(&source.path);
        check(path, source.type_.as_deref().unwrap_or(""))?;
        Ok(Mounted { path: path.to_owned(), refresh_at: None })
    }
}

/// Checks what is at the path, and makes it for the types that ask for that.
fn check(path: &Path, type_: &str) -> Result<(), String> {
    let meta = fs::metadata(path).ok();
    let is = |test: &dyn Fn(&fs::FileType) -> bool| meta.as_ref().is_some_and(|m| test(&m.file_type()));
    let (right, what) = match type_ {
        "" => return Ok(()),
        "DirectoryOrCreate" if meta.is_none() => {
            fs::create_dir_all(path).map_err(at(path))?;
            return fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(at(path));
        }
        "FileOrCreate" if meta.is_none() => {
            fs::File::create(path).map_err(at(path))?;
            return fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(at(path));
        }
        "Directory" | "DirectoryOrCreate" => (is(&fs::FileType::is_dir), "directory"),
        "File" | "FileOrCreate" => (is(&fs::FileType::is_file), "file"),
        "Socket" => (is(&FileTypeExt::is_socket), "socket"),
        "CharDevice" => (is(&FileTypeExt::is_char_device), "character device"),
        "BlockDevice" => (is(&FileTypeExt::is_block_device), "block device"),
        other => return Err(format!("{other} is an invalid volume type")),
    };
    if right { Ok(()) } else { Err(format!("hostPath type check failed: {} is not a {what}", path.display())) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn types() {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("f");
        assert!(super::check(&file, "File").is_err());
        assert!(super::check(&file, "FileOrCreate").is_ok());
        let error = super::check(&file, "Directory").expect_err("a file");
        assert_eq!(error, format!("hostPath type check failed: {} is not a directory", file.display()));
        assert!(super::check(&dir.path().join("a/b"), "DirectoryOrCreate").is_ok());
    }
}
