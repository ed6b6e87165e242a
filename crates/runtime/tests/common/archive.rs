//! Images as files, also such as no builder makes.

use std::io::Write;
use std::path::{Path, PathBuf};

use runtime::Store;

/// A tar file of these entries.
pub fn tar(entries: &[(&str, Content<'_>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        // By hand: the library refuses to write the names that must be refused.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        let (kind, link, bytes): (_, _, &[u8]) = match content {
            Content::File(bytes) => (tar::EntryType::Regular, None, bytes),
            Content::Directory => (tar::EntryType::Directory, None, b""),
            Content::Link(to) => (tar::EntryType::Symlink, Some(to), b""),
            Content::Hard(to) => (tar::EntryType::Link, Some(to), b""),
        };
        header.set_entry_type(kind);
        if let Some(link) = link {
            header.set_link_name_literal(link).expect("works");
        }
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, bytes).expect("works");
    }
    builder.into_inner().expect("works")
}

pub enum Content<'a> {
    File(&'a [u8]),
    Directory,
    Link(&'a str),
    Hard(&'a str),
}

pub fn sha(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("works");
    encoder.finish().expect("works")
}

pub fn config(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", sha(layer))).collect();
    let process = serde_json::json!({"Entrypoint": ["/bin/probe"], "Cmd": null, "User": "web", "WorkingDir": "/srv"});
    serde_json::to_vec(&serde_json::json!({"config": process, "rootfs": {"type": "layers", "diff_ids": ids}})).expect("works")
}

pub fn docker_archive(layers: &[&[u8]], tag: &str) -> Vec<u8> {
    let names: Vec<String> = (0..layers.len()).map(|index| format!("{index}/layer.tar")).collect();
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": [tag], "Layers": names}]);
    let (config, manifest) = (config(layers), serde_json::to_vec(&manifest).expect("works"));
    let mut entries = vec![("manifest.json", Content::File(&manifest)), ("config.json", Content::File(&config))];
    entries.extend(names.iter().zip(layers).map(|(name, layer)| (name.as_str(), Content::File(layer))));
    tar(&entries)
}

/// A store, and where it is.
pub fn store() -> (Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("works");
    (Store::open(dir.path().join("images")).expect("works"), dir)
}

pub fn save(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).expect("works");
    path
}

pub fn layers(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir.join("images/layers")).expect("works").map(|entry| entry.expect("works").path()).collect()
}
