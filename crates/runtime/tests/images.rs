//! Images from archives and from a registry. Needs root: layers have owners and device nodes.

mod common;

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use common::archive::{Content, config, docker_archive, gzip, layers, save, sha, store, tar};
use common::probe;
use runtime::{ContainerConfig, Error, Runtime};

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
    let image = node.runtime.pull(&format!("{address}/me/probe:v1"), None).await.unwrap().image;
    assert_eq!(image.tags, [format!("{address}/me/probe:v1")]);
    assert_eq!(image.digests, [format!("{address}/me/probe@sha256:{digest}")]);
    let again = node.runtime.pull(&format!("{address}/me/probe@sha256:{digest}"), None).await.unwrap().image;
    assert_eq!(again.id, image.id);
    let missing = node.runtime.pull(&format!("{address}/me/probe:v9"), None).await.unwrap_err();
    assert!(matches!(missing, Error::Image { reason: "ErrImagePull", .. }), "{missing:?}");
    let nonsense = node.runtime.pull("Not/An image", None).await.unwrap_err();
    assert!(matches!(nonsense, Error::Image { reason: "InvalidImageName", .. }));
}
