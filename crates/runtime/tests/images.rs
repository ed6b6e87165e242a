//! Images from archives and from a registry. Needs root: layers have owners and device nodes.

mod common;

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use common::probe;
use runtime::{ContainerConfig, Error, Runtime, Store};

/// A tar file of these entries.
fn tar(entries: &[(&str, Content<'_>)]) -> Vec<u8> {
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
            header.set_link_name_literal(link).unwrap();
        }
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

enum Content<'a> {
    File(&'a [u8]),
    Directory,
    Link(&'a str),
    Hard(&'a str),
}

fn sha(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", sha(layer))).collect();
    let process = serde_json::json!({"Entrypoint": ["/bin/probe"], "Cmd": null, "User": "web", "WorkingDir": "/srv"});
    serde_json::to_vec(&serde_json::json!({"config": process, "rootfs": {"type": "layers", "diff_ids": ids}})).unwrap()
}

fn docker_archive(layers: &[&[u8]], tag: &str) -> Vec<u8> {
    let names: Vec<String> = (0..layers.len()).map(|index| format!("{index}/layer.tar")).collect();
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": [tag], "Layers": names}]);
    let (config, manifest) = (config(layers), serde_json::to_vec(&manifest).unwrap());
    let mut entries = vec![("manifest.json", Content::File(&manifest)), ("config.json", Content::File(&config))];
    entries.extend(names.iter().zip(layers).map(|(name, layer)| (name.as_str(), Content::File(layer))));
    tar(&entries)
}

/// A store, and where it is.
fn store() -> (Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Store::open(dir.path().join("images")).unwrap(), dir)
}

fn save(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn layers(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir.join("images/layers")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn unpacks_deletions_links_and_nothing_outside() {
    let (store, dir) = store();
    let layer = tar(&[
        ("etc/", Content::Directory),
        ("etc/file", Content::File(b"text")),
        ("etc/same", Content::Hard("etc/file")),
        ("etc/.wh.gone", Content::File(b"")),
        ("lib/.wh..wh..opq", Content::File(b"")),
        (".wh.again", Content::File(b"")),
        ("again/new", Content::File(b"x")),
        ("out", Content::Link("/")),
        ("out/inside", Content::File(b"stays")),
        ("up", Content::Link("../../../..")),
        ("up/inside2", Content::File(b"stays")),
    ]);
    let path = save(dir.path(), "a.tar", &docker_archive(&[&layer], "x"));
    let image = store.import(&path).unwrap().remove(0);
    assert_eq!((image.tags, image.username.as_str()), (vec!["docker.io/library/x:latest".to_owned()], "web"));
    let top = layers(dir.path()).remove(0);
    let stat = |name: &str| std::fs::symlink_metadata(top.join(name)).unwrap();
    assert!(stat("etc/gone").file_type().is_char_device() && stat("etc/gone").rdev() == 0);
    assert_eq!(stat("etc/file").ino(), stat("etc/same").ino());
    assert_eq!(std::fs::read(top.join("inside")).unwrap(), b"stays", "an absolute link stays in the layer");
    assert_eq!(std::fs::read(top.join("inside2")).unwrap(), b"stays");
    assert!(stat("again").is_dir());
    let outside = tar(&[("../../evil", Content::File(b"x"))]);
    let path = save(dir.path(), "b.tar", &docker_archive(&[&outside], "y"));
    let error = store.import(&path).unwrap_err().to_string();
    assert!(error.contains("leads out of the layer"), "{error}");
    assert!(!dir.path().join("evil").exists() && store.find("y").unwrap().is_none());
    assert_eq!(std::fs::read_dir(dir.path().join("images/tmp")).unwrap().count(), 0, "nothing is left over");
}

/// A deletion names a file beside it. One that names its own directory, or the one above, would delete the store.
#[test]
fn refuses_deletions_that_name_no_file() {
    let (store, dir) = store();
    let good = tar(&[("etc/", Content::Directory), ("etc/file", Content::File(b"text"))]);
    store.import(&save(dir.path(), "good.tar", &docker_archive(&[&good], "good"))).unwrap();
    let places = ["", "./", "etc/", "new/deep/", "etc/link/"];
    for name in [".wh.", ".wh..", ".wh..."] {
        for (place, link) in places.iter().zip(["/", "..", "../..", "/etc", "."]) {
            let path = format!("{place}{name}");
            let entries = [
                ("etc/", Content::Directory),
                ("etc/link", Content::Link(link)),
                ("etc/file", Content::File(b"1")),
                (path.as_str(), Content::File(b"")),
            ];
            let layer = tar(&entries);
            let error = store.import(&save(dir.path(), "b.tar", &docker_archive(&[&layer], "bad"))).unwrap_err();
            assert!(error.to_string().contains("invalid whiteout"), "{path}: {error}");
            // As a directory, as a link, and twice.
            for other in [Content::Directory, Content::Link("/"), Content::Hard("etc/file")] {
                let layer = tar(&[("etc/file", Content::File(b"1")), (&path, other), (".wh..wh..opq", Content::File(b""))]);
                assert!(store.import(&save(dir.path(), "b.tar", &docker_archive(&[&layer], "bad"))).is_err(), "{path}");
            }
        }
    }
    assert!(store.find("bad").unwrap().is_none());
    let top = layers(dir.path());
    assert_eq!(std::fs::read(top[0].join("etc/file")).unwrap(), b"text");
    // What AUFS kept for itself is neither a file nor a deletion.
    let layer = tar(&[
        (".wh..wh.plnk/", Content::Directory),
        (".wh..wh.plnk/1.2", Content::File(b"x")),
        (".wh..wh.aufs", Content::File(b"")),
        ("kept", Content::File(b"x")),
    ]);
    store.import(&save(dir.path(), "c.tar", &docker_archive(&[&layer], "aufs"))).unwrap();
    let new = layers(dir.path()).into_iter().find(|layer| !top.contains(layer)).unwrap();
    let names: Vec<_> = std::fs::read_dir(new).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["kept"]);
}

/// Names, links and attributes of a layer are kept in memory: a few kilobytes of an image must not become gigabytes.
#[test]
fn refuses_headers_without_end() {
    let (store, dir) = store();
    for kind in [tar::EntryType::GNULongName, tar::EntryType::GNULongLink, tar::EntryType::XHeader] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(1 << 30);
        header.set_cksum();
        let layer = header.as_bytes().iter().copied().chain(vec![b'a'; 4 << 20]).collect::<Vec<u8>>();
        let error = store.import(&save(dir.path(), "a.tar", &docker_archive(&[&layer], "x"))).unwrap_err().to_string();
        assert!(error.contains("headers of more than a megabyte"), "{kind:?}: {error}");
    }
    // A long name, and data behind what has none by rights, are as they were.
    let name = "n".repeat(200);
    let mut builder = tar::Builder::new(Vec::new());
    let new = || {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header
    };
    let mut header = new();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(3 << 20);
    builder.append_data(&mut header, "directory", std::io::repeat(0).take(3 << 20)).unwrap();
    let mut header = new();
    header.set_size(2 << 20);
    builder.append_data(&mut header, &name, std::io::repeat(b'x').take(2 << 20)).unwrap();
    let layer = builder.into_inner().unwrap();
    store.import(&save(dir.path(), "a.tar", &docker_archive(&[&layer], "y"))).unwrap();
    let top = layers(dir.path()).remove(0);
    assert_eq!(std::fs::metadata(top.join(&name)).unwrap().len(), 2 << 20);
    assert!(top.join("directory").is_dir());
}

/// The kernel's file systems are mounted on directories of the image, made when it has none: a link would take them
/// where a volume, or nothing, protects them.
#[tokio::test]
async fn an_image_without_directories_for_the_kernel_does_not_start() {
    let node = common::Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let volume = node.path().join("volume");
    std::fs::create_dir_all(volume.join("p")).unwrap();
    let program = std::fs::read(probe()).unwrap();
    let mut attempt = 0;
    for (name, kind) in [("proc", "proc"), ("sys", "sysfs"), ("dev", "tmpfs")] {
        for content in [Content::Link("/vol/p"), Content::Link("vol/p"), Content::Link("."), Content::File(b"x")] {
            let layer = tar(&[("bin/probe", Content::File(&program)), ("vol/p/", Content::Directory), (name, content)]);
            let path = save(node.path(), "a.tar", &docker_archive(&[&layer], "hostile"));
            node.runtime.import(&path).await.unwrap();
            let mut config = ContainerConfig { attempt, image: "hostile".into(), ..common::container("main", &["id"]) };
            config.security.user = Some("0".into());
            config.mounts = vec![runtime::Mount {
                source: volume.clone(),
                target: "/vol".into(),
                read_only: false,
                propagation: runtime::Propagation::Private,
            }];
            let error = node.runtime.start_container("pod", &config).await.unwrap_err().to_string();
            let expected = format!("filesystem {kind:?} must be mounted on ordinary directory");
            assert!(error.contains(&expected), "{name}: {error}");
            attempt += 1;
        }
    }
    // Without them they are made.
    let layer = tar(&[("bin/probe", Content::File(&program))]);
    node.runtime.import(&save(node.path(), "a.tar", &docker_archive(&[&layer], "bare"))).await.unwrap();
    let args = ["cat", "/proc/1/comm", "/dev/null"];
    let mut config = ContainerConfig { attempt, image: "bare".into(), ..common::container("main", &args) };
    config.security.user = Some("0".into());
    assert_eq!(node.run("pod", config).await, (0, vec!["stdout F probe".to_owned()]));
}

/// Ids that wrap, and names that look like ids, make nobody root (`USER` of an image is its maker's choice).
#[tokio::test]
async fn no_user_of_an_image_becomes_root_by_accident() {
    let node = common::Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let program = std::fs::read(probe()).unwrap();
    let passwd = b"1000:x:0:0::/:\n4294967296:x:0:0::/:\nbig:x:4294967295:0::/:\n";
    let layer = tar(&[("bin/probe", Content::File(&program)), ("etc/passwd", Content::File(passwd))]);
    node.runtime.import(&save(node.path(), "a.tar", &docker_archive(&[&layer], "users"))).await.unwrap();
    let config = |attempt: u32, user: &str| {
        let mut config = ContainerConfig { attempt, image: "users".into(), ..common::container("main", &["id"]) };
        config.security.user = Some(user.into());
        config.security.non_root = user.parse::<u32>().is_ok();
        config
    };
    for (attempt, user) in (0..).zip(["4294967295", "4294967296", "2147483648", "big", "7:4294967295"]) {
        let error = node.runtime.start_container("pod", &config(attempt, user)).await.unwrap_err().to_string();
        assert_eq!(error, "uids and gids must be in range 0-2147483647", "{user}");
    }
    let (_, log) = node.run("pod", config(9, "1000")).await;
    for line in ["Uid: 1000 1000 1000 1000", "CapInh: 0000000000000000", "CapAmb: 0000000000000000"] {
        assert!(log.contains(&format!("stdout F {line}")), "{line} in {log:?}");
    }
}

#[test]
fn refuses_what_is_no_image() {
    let (store, dir) = store();
    for (name, bytes) in
        [("text", b"hello".to_vec()), ("empty", Vec::new()), ("other.tar", tar(&[("x", Content::Directory)]))]
    {
        let error = store.import(&save(dir.path(), name, &bytes)).unwrap_err();
        assert!(
            matches!(&error, Error::Image { reason: "InvalidImage", message } if message.contains("is not a container image")),
            "{error}"
        );
    }
    assert!(matches!(store.import(&dir.path().join("none")).unwrap_err(), Error::NotFound(_)));
    let layer = tar(&[("a", Content::File(b"1"))]);
    let mut archive = docker_archive(&[&layer], "x");
    let at = archive.windows(3).position(|window| window == b"1\0\0").unwrap();
    archive[at] = b'2';
    let error = store.import(&save(dir.path(), "damaged", &archive)).unwrap_err().to_string();
    assert!(error.contains("layer digest is sha256:"), "{error}");
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn names_share_layers_until_the_last_goes() {
    let (store, dir) = store();
    let (base, one, two) = (
        tar(&[("base", Content::Directory)]),
        tar(&[("one", Content::Directory)]),
        tar(&[("two", Content::Directory)]),
    );
    for (tag, top) in [("me/one:v1", &one), ("me/two:v1", &two)] {
        store.import(&save(dir.path(), "a.tar.gz", &gzip(&docker_archive(&[&base, top], tag)))).unwrap();
    }
    assert_eq!(layers(dir.path()).len(), 3);
    let id = store.find("me/one:v1").unwrap().unwrap().id;
    store.remove("me/one:v1", &[]).unwrap();
    assert_eq!((layers(dir.path()).len(), store.find(&id).unwrap()), (2, None));
    assert!(matches!(store.remove("me/one:v1", &[]).unwrap_err(), Error::NotFound(_)));
    store.remove(&store.find("me/two:v1").unwrap().unwrap().id, &[]).unwrap();
    assert!(layers(dir.path()).is_empty());
}

/// An OCI image of the probe: its blobs by digest, and the digest of its manifest.
fn oci(layer: &[u8]) -> (Vec<(String, Vec<u8>)>, String) {
    let (config, packed) = (config(&[layer]), gzip(layer));
    let describe = |kind: &str, bytes: &[u8]| {
        let kind = format!("application/vnd.oci.image.{kind}");
        serde_json::json!({"mediaType": kind, "digest": format!("sha256:{}", sha(bytes)), "size": bytes.len()})
    };
    let manifest = serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": describe("config.v1+json", &config),
        "layers": [describe("layer.v1.tar+gzip", &packed)],
    }))
    .unwrap();
    let digest = sha(&manifest);
    (vec![(sha(&config), config), (sha(&packed), packed), (digest.clone(), manifest)], digest)
}

fn probe_layer() -> Vec<u8> {
    let program = std::fs::read(probe()).unwrap();
    tar(&[
        ("bin/probe", Content::File(&program)),
        ("etc/passwd", Content::File(b"web:x:101:102::/srv:/bin/false\n")),
        ("etc/group", Content::File(b"log:x:7:web\n")),
    ])
}

#[tokio::test]
async fn runs_an_oci_layout_as_its_user() {
    let node = common::Node::new();
    let (blobs, digest) = oci(&probe_layer());
    let top = node.path().join("layout");
    std::fs::create_dir_all(top.join("blobs/sha256")).unwrap();
    for (name, bytes) in &blobs {
        std::fs::write(top.join("blobs/sha256").join(name), bytes).unwrap();
    }
    let entry = serde_json::json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": format!("sha256:{digest}"),
        "size": 1,
        "annotations": {"org.opencontainers.image.ref.name": "example.com/probe:v2"},
    });
    std::fs::write(top.join("index.json"), serde_json::json!({"manifests": [entry]}).to_string()).unwrap();
    let image = node.runtime.import(&top).await.unwrap().remove(0);
    assert_eq!(image.digests, [format!("example.com/probe@sha256:{digest}")]);
    let config = ContainerConfig { image: "example.com/probe:v2".into(), ..common::container("main", &["id"]) };
    let (code, log) = node.run("pod", config).await;
    assert_eq!(code, 0);
    for line in ["Uid: 101 101 101 101", "Gid: 102 102 102 102", "Groups: 7 102", "cwd /srv"] {
        assert!(log.contains(&format!("stdout F {line}")), "{line} in {log:?}");
    }
}

/// A registry of one image on loopback.
async fn registry(blobs: Vec<(String, Vec<u8>)>, digest: String) -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let blobs = std::sync::Arc::new((blobs, digest));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let blobs = blobs.clone();
            tokio::spawn(async move {
                let mut socket = BufReader::new(socket);
                let mut lines = String::new();
                while socket.read_line(&mut lines).await.is_ok_and(|length| length > 2) {}
                let path = lines.split(' ').nth(1).unwrap_or_default().to_owned();
                let wanted = match path.rsplit('/').next().unwrap_or_default() {
                    "v1" => blobs.1.clone(),
                    other => other.trim_start_matches("sha256:").to_owned(),
                };
                let found = blobs.0.iter().find(|(name, _)| *name == wanted).map(|(_, bytes)| bytes.as_slice());
                let (status, body) = match found {
                    Some(bytes) => ("200 OK", bytes),
                    None if path == "/v2/" => ("200 OK", &b"{}"[..]),
                    None => (
                        "404 Not Found",
                        &b"{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"unknown\"}]}"[..],
                    ),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/vnd.oci.image.manifest.v1+json\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = socket.write_all(head.as_bytes()).await;
                let _ = socket.write_all(body).await;
            });
        }
    });
    address.to_string()
}

#[tokio::test]
async fn pulls_from_a_registry() {
    let node = common::Node::new();
    let (blobs, digest) = oci(&probe_layer());
    let address = registry(blobs, digest.clone()).await;
    let image = node.runtime.pull(&format!("{address}/me/probe:v1"), None).await.unwrap();
    assert_eq!(image.tags, [format!("{address}/me/probe:v1")]);
    assert_eq!(image.digests, [format!("{address}/me/probe@sha256:{digest}")]);
    let again = node.runtime.pull(&format!("{address}/me/probe@sha256:{digest}"), None).await.unwrap();
    assert_eq!(again.id, image.id);
    let missing = node.runtime.pull(&format!("{address}/me/probe:v9"), None).await.unwrap_err();
    assert!(matches!(missing, Error::Image { reason: "ErrImagePull", .. }), "{missing:?}");
    let nonsense = node.runtime.pull("Not/An image", None).await.unwrap_err();
    assert!(matches!(nonsense, Error::Image { reason: "InvalidImageName", .. }));
}
