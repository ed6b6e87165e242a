//! What several layers are together, as containers see it. Needs root.

mod common;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use common::archive::{layers, store};
use common::kit::{Image, Layer, docker_archive, save, sha};
use common::{Node, container, probe};
use runtime::{ContainerConfig, Runtime};

fn program() -> Layer {
    Layer::new().file("bin/probe", 0o755, &std::fs::read(probe()).unwrap())
}

/// What a container of the image prints.
async fn says(node: &Node, image: &Image, attempt: u32, args: &[&str]) -> Vec<String> {
    node.runtime.import(&save(node.path(), "a.tar", &docker_archive(&[image]))).await.unwrap();
    let image = image.name.clone();
    let command = vec!["/bin/probe".to_owned()];
    let (code, log) = node.run("pod", ContainerConfig { image, attempt, command, ..container("main", args) }).await;
    assert_eq!(code, 0, "{log:?}");
    log.iter().map(|line| line.trim_start_matches("stdout F ").to_owned()).collect()
}

/// A layer that names `tmp/x` and not `tmp/` says nothing of `tmp`.
#[tokio::test]
async fn what_a_layer_does_not_name_stays_as_it_is() {
    let node = Node::new();
    let base = program()
        .dir("tmp/", 0o1777).owned(1, 2)
        .dir("srv/", 0o2750).owned(5, 6)
        .dir("srv/deep/", 0o711).owned(7, 8)
        .dir("gone/", 0o700).owned(9, 9)
        .dir("again/", 0o700).owned(9, 9)
        .dir("file/", 0o700).owned(9, 9)
        .dir("lib/", 0o750).owned(3, 3)
        .dir("lib/old/", 0o700).owned(9, 9)
        .dir("named/", 0o700).owned(9, 9)
        .dir("real/", 0o700).owned(4, 4)
        .dir("real/sub/", 0o701).owned(4, 5);
    let middle = Layer::new().gone("gone").file("file", 0o644, b"").file("srv/deep/m", 0o644, b"").opaque("lib");
    let top = Layer::new()
        .file("tmp/x", 0o644, b"")
        .gone("srv/deep/m")
        .file("srv/new/x", 0o644, b"")
        .file("gone/x", 0o644, b"")
        .gone("again").file("again/sub/x", 0o644, b"")
        .file("file/x", 0o644, b"")
        .file("lib/old/x", 0o644, b"")
        .file("named/x", 0o644, b"").dir("named/", 0o705).owned(2, 2)
        .link("link", "/real").file("link/sub/x", 0o644, b"");
    let image = Image::new("layers").layer(&base).layer(&middle).layer(&top);
    let paths = ["/tmp", "/srv", "/srv/deep", "/srv/new", "/gone", "/again", "/again/sub", "/file", "/lib", "/lib/old",
        "/named", "/real", "/real/sub"];
    let seen = says(&node, &image, 0, &[&["owner"], &paths[..]].concat()).await;
    let expected = ["1:2 1777", "5:6 2750", "7:8 711", "0:0 755", "0:0 755", "0:0 755", "0:0 755", "0:0 755", "3:3 750",
        "0:0 755", "2:2 705", "4:4 700", "4:5 701"];
    assert_eq!(seen, expected, "{paths:?}");
    assert_eq!(says(&node, &image, 1, &["ls", "/srv/deep"]).await, Vec::<String>::new());
}

fn xattr(path: &Path, name: &std::ffi::CStr) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    let mut value = [0_u8; 99];
    // SAFETY: both strings are terminated, the buffer has the length that is passed.
    let length = unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    usize::try_from(length).ok().map(|length| value[..length].to_vec())
}

/// The same top on two bases is two directories; a base is one, whatever stands on it. Attributes come along, but those
/// by which overlayfs would see other layers.
#[test]
fn a_layer_is_what_it_is_on_its_base() {
    let (store, dir) = store();
    let base = |mode: u32, text: &[u8]| Layer::new().dir("./", 0o751).owned(1, 1).dir("d/", mode).owned(3, 4).xattr("trusted.a", text);
    let top = Layer::new().file("d/x", 0o644, b"");
    let image = |name: &str, mode, text: &[u8]| Image::new(name).layer(&base(mode, text)).layer(&top);
    let other = Image::new("other").layer(&base(0o700, b"1")).layer(&Layer::new().opaque("d").file("d/x/y", 0o644, b""));
    for image in [image("one", 0o700, b"1"), image("two", 0o1777, b"2"), other] {
        store.import(&save(dir.path(), "a.tar", &docker_archive(&[&image]))).unwrap();
    }
    let all = layers(dir.path());
    assert_eq!(all.len(), 5, "the base of one and other is the same");
    let tops: Vec<&PathBuf> = all.iter().filter(|layer| layer.join("d/x").is_file()).collect();
    let mut seen: Vec<_> = tops
        .iter()
        .map(|layer| {
            let (meta, text) = (layer.join("d").metadata().unwrap(), xattr(&layer.join("d"), c"trusted.a"));
            let top = layer.metadata().unwrap();
            (meta.mode() & 0o7777, meta.uid(), meta.gid(), text.unwrap(), top.mode() & 0o7777, top.uid())
        })
        .collect();
    seen.sort();
    assert_eq!(seen, [(0o700, 3, 4, b"1".to_vec(), 0o751, 1), (0o1777, 3, 4, b"2".to_vec(), 0o751, 1)]);
    assert!(tops.iter().all(|layer| xattr(&layer.join("d"), c"trusted.overlay.opaque").is_none()));
    // A directory that hides those below is told from one that does not.
    let opaque = all.iter().find(|layer| layer.join("d/x").is_dir()).unwrap();
    assert_eq!(xattr(&opaque.join("d"), c"trusted.overlay.opaque").as_deref(), Some(&b"y"[..]));
    assert_eq!(opaque.join("d/x").metadata().unwrap().mode() & 0o7777, 0o755);
}

/// An earlier version named every layer after its own content alone, and unpacked it as if nothing were below it.
#[test]
fn what_an_earlier_version_unpacked_is_not_taken_for_what_it_is_on_a_base() {
    let (store, dir) = store();
    let (base, top) = (Layer::new().dir("tmp/", 0o1777), Layer::new().file("tmp/x", 0o644, b""));
    let old: String = sha(&top.tar()).chars().take(32).collect();
    let place = dir.path().join("images/layers").join(&old);
    std::fs::create_dir_all(place.join("tmp")).unwrap();
    std::fs::write(place.join("tmp/x"), "").unwrap();
    std::fs::write(dir.path().join("images/index.json"), format!(r#"{{"images": {{}}, "layers": {{"{old}": 0}}}}"#)).unwrap();
    store.import(&save(dir.path(), "a.tar", &docker_archive(&[&Image::new("i").layer(&base).layer(&top)]))).unwrap();
    let fresh: Vec<PathBuf> = layers(dir.path()).into_iter().filter(|layer| *layer != place && layer.join("tmp/x").exists()).collect();
    assert_eq!(fresh.iter().map(|layer| layer.join("tmp").metadata().unwrap().mode() & 0o7777).collect::<Vec<_>>(), [0o1777]);
}

/// Builders make the same layer twice (an empty one, a file that was there before), which overlayfs does not take.
#[tokio::test]
async fn the_same_layer_twice_is_two_layers() {
    let node = Node::new();
    let (one, two) = (Layer::new().file("etc/x", 0o644, b"one\n").gone("etc/y"), Layer::new().file("etc/x", 0o644, b"two\n").file("etc/y", 0o644, b"y\n"));
    let image = Image::new("twice").layer(&program()).layer(&Layer::new()).layer(&one).layer(&one).layer(&two).layer(&one).layer(&Layer::new());
    assert_eq!(says(&node, &image, 0, &["cat", "/etc/x"]).await, ["one"]);
    assert_eq!(says(&node, &image, 1, &["ls", "/etc"]).await, ["x"]);
    // As a volume, too.
    let place = node.path().join("volume");
    let id = node.runtime.image("twice").await.unwrap().unwrap().id;
    node.runtime.mount_image("pod", &id, &place).await.unwrap();
    let text = std::fs::read_to_string(place.join("etc/x"));
    nix::mount::umount2(&place, nix::mount::MntFlags::MNT_DETACH).unwrap();
    assert_eq!(text.unwrap(), "one\n");
}
