//! `VOLUME` of images: each container has a writable copy of its own. Needs root.

mod common;

use std::path::PathBuf;

use common::kit::{Image, Layer, docker_archive, save};
use common::{Node, container, probe, volume};
use runtime::{ContainerConfig, PodConfig, Runtime};

fn program() -> Layer {
    Layer::new().file("bin/probe", 0o755, &std::fs::read(probe()).unwrap())
}

/// An image with most of what a directory can hold, and some of it deleted again.
fn image() -> Image {
    let base = program()
        .dir("data/", 0o2770).owned(5, 6).xattr("trusted.a", b"1")
        .file("data/file", 0o4755, b"text").owned(7, 8)
        .hard("data/same", "data/file")
        .file("data/gone", 0o644, b"")
        .link("data/out", "/etc").owned(9, 9)
        .link("data/up", "../../../../../../etc/hostname")
        .device("data/null", 0o666, 1, 3)
        .fifo("data/pipe", 0o600)
        .dir("data/sub/", 0o1777).owned(1, 1)
        .file("data/sub/deep/x", 0o640, b"deep").owned(2, 2)
        .file("data/sub/vol/inner", 0o644, b"inner");
    let top = Layer::new().gone("data/gone").file("data/sub/deep/y", 0o600, b"");
    Image::new("volumes").layer(&base).layer(&top)
}

async fn start(node: &Node, image: &Image, mut config: ContainerConfig) -> runtime::Result<String> {
    node.runtime.import(&save(node.path(), "a.tar", &docker_archive(&[image]))).await.unwrap();
    config.image = image.name.clone();
    config.command = vec!["/bin/probe".into()];
    node.runtime.start_container("pod", &config).await
}

async fn see(node: &Node, id: &str, args: &[&str]) -> String {
    let (code, text) = node.exec(id, &[&["/bin/probe"], args].concat()).await;
    assert_eq!(code, 0, "{args:?}: {text}");
    text.trim_end().replace('\n', ", ")
}

fn copies(node: &Node, id: &str) -> PathBuf {
    node.config.root.join("containers").join(id).join("volumes")
}

#[tokio::test]
async fn a_copy_is_like_the_image_and_writable() {
    let node = Node::new();
    for (attempt, user_namespace) in [(0, false), (1, true)] {
        node.runtime.stop_pod("pod").await.unwrap();
        node.runtime.start_pod(&PodConfig { user_namespace, attempt, ..node.pod("pod") }).await.unwrap();
        let mut config = ContainerConfig { attempt, ..container("main", &["wait"]) };
        config.security.read_only_root = true;
        let image = image().volumes(&["/data", "fresh/place", "/data/sub/vol/"]);
        let id = start(&node, &image, config).await.unwrap();
        let paths = ["/data", "/data/file", "/data/out", "/data/pipe", "/data/sub", "/data/sub/deep/x", "/fresh/place"];
        let seen = see(&node, &id, &[&["owner"], &paths[..]].concat()).await;
        assert_eq!(seen, "5:6 2770, 7:8 4755, 9:9 777, 0:0 600, 1:1 1777, 2:2 640, 0:0 755");
        assert_eq!(see(&node, &id, &["ls", "/data"]).await, "file, null, out, pipe, same, sub, up");
        assert_eq!(see(&node, &id, &["ls", "/data/sub/deep"]).await, "x, y");
        assert_eq!(see(&node, &id, &["readlink", "/data/up"]).await, "../../../../../../etc/hostname");
        assert_eq!(see(&node, &id, &["cat", "/data/same", "/data/sub/vol/inner", "/data/null"]).await, "textinner");
        // One file with two names is one; all of it can be written, the root cannot.
        see(&node, &id, &["write", "/data/same", "new"]).await;
        assert_eq!(see(&node, &id, &["cat", "/data/file"]).await, "new");
        for path in ["/data/sub/new", "/fresh/place/new", "/data/sub/vol/new"] {
            see(&node, &id, &["write", path, "x"]).await;
        }
        assert_eq!(see(&node, &id, &["truncate", "/bin/probe"]).await, libc::EROFS.to_string());
        // It is on the disk once, counts, and goes with the container.
        let place = copies(&node, &id);
        let mut left: Vec<_> = std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["0", "1", "2"]);
        assert_eq!(std::fs::read_dir(place.join("0/sub/vol")).unwrap().count(), 0, "what is covered is not copied twice");
        assert!(node.runtime.storage(&id, u64::MAX).await.unwrap().bytes > 4 * 4096);
        node.runtime.remove_container(&id).await.unwrap();
        assert!(!place.exists());
    }
}

#[tokio::test]
async fn every_container_has_its_own_and_the_pods_mounts_win() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let layer = Layer::new().dir("real/", 0o755).file("real/image", 0o644, b"").link("link", "/real").link("other", "real");
    let image = Image::new("i").layer(&program()).layer(&layer).volumes(&["/real", "/other"]);
    let first = start(&node, &image, container("main", &["wait"])).await.unwrap();
    see(&node, &first, &["write", "/other/mine", ""]).await;
    let second = start(&node, &image, ContainerConfig { attempt: 1, ..container("main", &["wait"]) }).await.unwrap();
    assert_eq!(see(&node, &first, &["ls", "/real"]).await, "image, mine", "two names for one place");
    assert_eq!(see(&node, &second, &["ls", "/real"]).await, "image");
    // A mount of the pod on the same place, whatever the place is called.
    let own = node.path().join("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("pods"), "").unwrap();
    for (attempt, target) in [(2, "/real/"), (3, "/link")] {
        let mut config = ContainerConfig { attempt, ..container("main", &["wait"]) };
        config.mounts = vec![volume(&own, target)];
        let id = start(&node, &image, config).await.unwrap();
        assert_eq!(see(&node, &id, &["ls", "/real"]).await, "pods", "{target}");
        assert_eq!(see(&node, &id, &["ls", "/other"]).await, "pods", "{target}");
    }
    // Below one of the pod's it is still there, and the place for it is made.
    let mut config = ContainerConfig { attempt: 4, ..container("main", &["wait"]) };
    config.mounts = vec![volume(&own, "/srv")];
    let id = start(&node, &image.named("below").volumes(&["/srv/below"]), config).await.unwrap();
    see(&node, &id, &["write", "/srv/below/x", ""]).await;
    assert_eq!(std::fs::read_dir(own.join("below")).unwrap().count(), 0);
}

/// Containerd copied host files for such images (CVE-2022-23648).
#[tokio::test]
async fn no_volume_copies_what_is_not_the_images() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let host = node.path().join("host");
    std::fs::create_dir_all(&host).unwrap();
    std::fs::write(host.join("secret"), "secret").unwrap();
    let host = host.to_str().unwrap();
    let up = format!("../../../../../../../../..{host}");
    let layer = Layer::new().link("absolute", host).link("up", &up).link("magic", &format!("/proc/self/root{host}"))
        .dir("inside/", 0o755).link("inside/l", host).file("file", 0o644, b"").link("loop", "loop");
    let image = Image::new("hostile").layer(&program()).layer(&layer);
    for (attempt, path) in (0..).zip(["/absolute", "/up", &format!("{up}/"), host, "/inside", "/../../inside"]) {
        let config = ContainerConfig { attempt, ..container("main", &["wait"]) };
        let id = start(&node, &image.clone().volumes(&[path]), config).await.unwrap();
        let list = see(&node, &id, &["ls", path]).await;
        assert!(list.is_empty() || list == "l", "{path}: {list}");
        let copied = std::process::Command::new("find").arg(copies(&node, &id)).args(["-name", "secret"]).output().unwrap();
        assert!(copied.stdout.is_empty(), "{path}");
    }
    for (attempt, (path, words)) in (20..).zip([
        ("/file", "taking runtime copy of volume: source /file is not directory"),
        ("/", "mounting into / is prohibited"), (".", "mounting into / is prohibited"), ("/loop", "Too many levels of symbolic links"), ("/magic", "ELOOP"),
        ("/proc", "inside /proc"), ("/proc/self", "inside /proc"),
    ]) {
        let config = ContainerConfig { attempt, ..container("main", &["wait"]) };
        let why = start(&node, &image.clone().volumes(&[path]), config).await.unwrap_err().to_string();
        assert!(why.contains(words), "{path}: {why}");
    }
    let mut deep = Layer::new();
    for depth in 1..300 {
        deep = deep.dir(&format!("d{}", "/d".repeat(depth)), 0o755);
    }
    let deep = Image::new("deep").layer(&program()).layer(&deep);
    let config = |attempt| ContainerConfig { attempt, ..container("main", &["wait"]) };
    let refused = start(&node, &deep.clone().volumes(&["/d"]), config(40)).await;
    assert!(refused.unwrap_err().to_string().contains("more than 200 deep"));
    let id = start(&node, &deep.volumes(&[&"/d".repeat(110)]), config(41)).await.unwrap();
    assert_eq!(see(&node, &id, &["ls", &"/d".repeat(299)]).await, "d");
    let many: Vec<String> = (0..=runtime::limits::VOLUMES).map(|number| format!("/{number}")).collect();
    let many = Image::new("many").layer(&program()).volumes(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let why = node.runtime.import(&save(node.path(), "a.tar", &docker_archive(&[&many]))).await.unwrap_err().to_string();
    assert!(why.contains("more than 128 volumes"), "{why}");
    // What was half made is gone.
    let left = std::fs::read_dir(node.config.root.join("containers")).unwrap().count();
    let known = node.runtime.pod("pod").await.unwrap().unwrap().containers.len();
    assert_eq!(left, known);
}
