//! Images made to harm: the store, the node, or what a pod forbids. Needs root.

mod common;

use std::io::Read;

use common::archive::{Content, docker_archive, layers, save, store, tar};
use common::probe;
use runtime::{ContainerConfig, Runtime};

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
                in_pod_ids: false,
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
