//! Where a container's mounts are: in which order, behind links, on places of the node that were not there. Needs root.

mod common;

use std::path::PathBuf;

use common::kit::{Image, Layer, docker_archive, save};
use common::{Node, container, probe, volume};
use runtime::{ContainerConfig, Mount, PodConfig, Runtime};

fn program() -> Layer {
    Layer::new().file("bin/probe", 0o755, &std::fs::read(probe()).unwrap())
}

/// A directory of the node with one file, which has the directory's name.
fn marked(node: &Node, name: &str) -> PathBuf {
    let dir = node.path().join("volumes").join(name);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(name), name).unwrap();
    dir
}

/// A running container of an image, for exec.
async fn run(node: &Node, image: &Image, attempt: u32, mounts: Vec<Mount>) -> String {
    node.runtime.import(&save(node.path(), "a.tar", &docker_archive(&[image]))).await.unwrap();
    let command = vec!["/bin/probe".to_owned()];
    let config = ContainerConfig { image: image.name.clone(), attempt, command, mounts, ..container("main", &["wait"]) };
    node.runtime.start_container("pod", &config).await.unwrap()
}

async fn names(node: &Node, id: &str, path: &str) -> Vec<String> {
    let (code, text) = node.exec(id, &["/bin/probe", "ls", path]).await;
    assert_eq!(code, 0, "{path}: {text}");
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn no_mount_hides_what_is_mounted_below_it() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let mounts = vec![
        volume(&marked(&node, "deep"), "/app/conf/x/"),
        volume(&marked(&node, "conf").join("conf"), "/app/conf/file"),
        volume(&marked(&node, "conf"), "//app/./conf"),
        volume(&marked(&node, "other"), "/a"),
        volume(&marked(&node, "app"), "/app"),
    ];
    let id = run(&node, &Image::new("i").layer(&program()), 0, mounts).await;
    assert_eq!(names(&node, &id, "/app").await, ["app", "conf"]);
    assert_eq!(names(&node, &id, "/app/conf").await, ["conf", "file", "x"]);
    assert_eq!(names(&node, &id, "/app/conf/x").await, ["deep"]);
    assert_eq!(node.exec(&id, &["/bin/probe", "cat", "/app/conf/file"]).await.1, "conf");
}

/// Links of the image are followed inside it, also where they lead to nothing yet.
#[tokio::test]
async fn a_mount_is_where_links_lead() {
    let node = Node::new();
    for user_namespace in [false, true] {
        let uid = "pod";
        let attempt = u32::from(user_namespace);
        node.runtime.stop_pod(uid).await.unwrap();
        node.runtime.start_pod(&PodConfig { user_namespace, attempt, ..node.pod(uid) }).await.unwrap();
        let base = program()
            .dir("run/", 0o755).file("run/image", 0o644, b"")
            .link("var/run", "/run")
            .link("var/tmp", "../tmp")
            .link("var/lock", "/run/lock")
            .link("srv", "var/up")
            .link("var/up", "../../../../../real")
            .file("etc/real", 0o644, b"image").link("etc/file", "real")
            .link("etc/none", "/made/deep/file")
            .link("loose", "chain").link("chain", "/end/dir");
        let image = Image::new("links").layer(&base).layer(&Layer::new().dir("real/", 0o750));
        let dir = |name: &str, target: &str| volume(&marked(&node, name), target);
        let file = |name: &str, target: &str| volume(&marked(&node, name).join(name), target);
        let mounts = vec![
            dir("run", "/var/run"), dir("tmp", "/var/tmp"), dir("lock", "/var/lock/below"), dir("up", "/srv"),
            file("text", "/etc/file"), file("none", "/etc/none"), dir("loose", "/loose"), dir("below", "/var/tmp/a/b"),
            dir("token", "/var/run/secrets/account"),
        ];
        let id = run(&node, &image, attempt, mounts).await;
        for (path, expected) in [
            ("/run", vec!["lock", "run", "secrets"]), ("/var/run/secrets/account", vec!["token"]), ("/tmp", vec!["a", "tmp"]),
            ("/run/lock", vec!["below"]), ("/run/lock/below", vec!["lock"]), ("/real", vec!["up"]), ("/srv/", vec!["up"]),
            ("/end/dir", vec!["loose"]), ("/tmp/a/b", vec!["below"]),
        ] {
            assert_eq!(names(&node, &id, path).await, expected, "{path}");
        }
        for (path, expected) in [("/etc/real", "text"), ("/etc/file", "text"), ("/made/deep/file", "none")] {
            assert_eq!(node.exec(&id, &["/bin/probe", "cat", path]).await.1, expected, "{path}");
        }
        assert_eq!(node.exec(&id, &["/bin/probe", "readlink", "/var/run"]).await.1, "/run\n", "the link itself stays");
    }
    assert!(!std::path::Path::new("/made").exists() && !std::path::Path::new("/end").exists(), "nothing on the node");
}

/// Neither where a link of the image leads to the outer one, nor one that the outer one hides.
#[tokio::test]
async fn no_mount_hides_another_behind_a_link() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let layer = Layer::new().dir("run/", 0o755).link("var/run", "/run").link("a/b/link", "/far");
    let mounts = vec![
        volume(&marked(&node, "inner"), "/run/inner"),
        volume(&marked(&node, "run"), "/var/run"),
        volume(&marked(&node, "below"), "/a/b/link/below"),
        volume(&marked(&node, "b"), "/a/b"),
    ];
    let id = run(&node, &Image::new("i").layer(&program()).layer(&layer), 0, mounts).await;
    assert_eq!(names(&node, &id, "/run").await, ["inner", "run"]);
    assert_eq!(names(&node, &id, "/var/run/inner").await, ["inner"]);
    assert_eq!(names(&node, &id, "/a/b").await, ["b", "link"]);
    assert_eq!(names(&node, &id, "/a/b/link/below").await, ["below"]);
}

/// Also where a link leads to the other sort; in runc's words.
#[tokio::test]
async fn a_directory_covers_no_file() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let layer = Layer::new().dir("d/", 0o755).file("f", 0o644, b"").link("to-d", "d").link("to-f", "/f");
    let image = Image::new("i").layer(&program()).layer(&layer);
    let dir = marked(&node, "v");
    node.runtime.import(&save(node.path(), "a.tar", &docker_archive(&[&image]))).await.unwrap();
    for (attempt, mount) in (0..).zip([
        volume(&dir, "/f"), volume(&dir, "/to-f"), volume(&dir.join("v"), "/d"), volume(&dir.join("v"), "/to-d"),
    ]) {
        let command = vec!["/bin/probe".to_owned()];
        let config = ContainerConfig { image: "i".into(), attempt, command, mounts: vec![mount], ..container("main", &["wait"]) };
        let why = common::refused(&node, config).await;
        assert!(why.contains("Are you trying to mount a directory onto a file (or vice-versa)?"), "{why}");
    }
}

#[tokio::test]
async fn a_place_of_the_node_that_is_missing_becomes_a_directory() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let place = node.path().join("new/place");
    let mounts = vec![volume(&place, "/data"), Mount { read_only: true, ..volume(&node.path().join("second"), "/second") }];
    let id = run(&node, &Image::new("i").layer(&program()), 0, mounts).await;
    assert_eq!(node.exec(&id, &["/bin/probe", "write", "/data/file", "x"]).await.0, 0);
    assert_eq!(std::fs::read(place.join("file")).unwrap(), b"x");
    let mode = std::os::unix::fs::MetadataExt::mode(&place.metadata().unwrap()) & 0o7777;
    assert_eq!((mode, node.path().join("second").is_dir()), (0o755, true));
}

/// As many layers as an image may have: their names alone are more than the options of a mount may be.
#[tokio::test]
async fn an_image_of_many_layers_runs_and_is_a_volume() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let layer = |number: usize| Layer::new().file("last", 0o644, number.to_string().as_bytes()).file(&format!("l/{number}"), 0o644, b"");
    let image = (1..runtime::limits::LAYERS).map(layer).fold(Image::new("many").layer(&program()), |image, layer| image.layer(&layer));
    let id = run(&node, &image.volumes(&["/l"]), 0, vec![]).await;
    assert_eq!(names(&node, &id, "/l").await.len(), 127);
    assert_eq!(node.exec(&id, &["/bin/probe", "cat", "/last"]).await.1, "127");
    let place = node.path().join("volume");
    let image = node.runtime.image("many").await.unwrap().unwrap().id;
    node.runtime.mount_image("pod", &image, &place).await.unwrap();
    let text = std::fs::read_to_string(place.join("last"));
    // Nothing in the table of mounts says what it stands on; it stays all the same, as long as the pod does.
    node.runtime.remove_container(&id).await.unwrap();
    node.runtime.remove_image(&image).await.unwrap();
    let after = std::fs::read_to_string(place.join("l/1"));
    nix::mount::umount2(&place, nix::mount::MntFlags::MNT_DETACH).unwrap();
    assert_eq!((text.unwrap().as_str(), after.unwrap().as_str()), ("127", ""));
    assert_eq!(runtime::layers_in_use(&node.config).unwrap().len(), 128);
    node.runtime.stop_pod("pod").await.unwrap();
    node.runtime.remove_pod("pod").await.unwrap();
    assert!(runtime::layers_in_use(&node.config).unwrap().is_empty());
    node.runtime.remove_image("probe").await.unwrap();
    assert_eq!(std::fs::read_dir(node.config.root.join("images/layers")).unwrap().count(), 0);
}
