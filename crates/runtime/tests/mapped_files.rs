//! What pods with users of their own (`hostUsers: false`) see of files: their images', their own, their volumes', on a real
//! kernel. Needs root; everything it makes is its own and goes away.

mod common;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use common::archive::{Content, docker_archive, save, tar};
use common::users::{attempt, mapped, on_node, pod, range, see, start};
use common::{Node, container, probe, refused, volume};
use runtime::{ContainerConfig, Mount, PodConfig, Propagation, Runtime};

#[tokio::test]
async fn files_have_the_ids_that_the_pod_sees() {
    let node = Node::new();
    pod(&node).await;
    let (data, sub, file) = (node.path().join("data"), node.path().join("sub"), node.path().join("file"));
    std::fs::create_dir_all(&data).unwrap();
    std::fs::create_dir_all(&sub).unwrap();
    for dir in [&data, &sub] {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o2770)).unwrap();
        std::os::unix::fs::chown(dir, None, Some(2000)).unwrap();
    }
    std::fs::write(&file, "text").unwrap();
    let mut config = container("main", &["wait"]);
    config.mounts = vec![volume(&data, "/data"), volume(&sub, "/data/made/here"), volume(&file, "/etc/one/file")];
    config.working_dir = "/work/here".into();
    config.security.user = Some("1000".into());
    config.security.group = Some(3000);
    config.security.supplemental_groups = vec![2000];
    let id = start(&node, &config).await;
    // The image's files, what was made for the mounts, and the volumes.
    let paths = ["/", "/probe", "/work", "/work/here", "/etc/one", "/etc/one/file", "/dev", "/dev/null", "/dev/shm", "/proc/1"];
    let seen = see(&node, &id, &[&["owner"], &paths[..]].concat()).await;
    let expected = ["0:0 755", "0:0 755", "0:0 755", "0:0 755", "0:0 755", "0:0 644", "0:0 755", "0:0 666", "0:0 1777"];
    assert_eq!(seen.lines().take(9).collect::<Vec<_>>(), expected, "{paths:?}");
    assert_eq!(see(&node, &id, &["owner", "/data", "/data/made/here"]).await, "0:2000 2770\n0:2000 2770");
    // By its group it may write; on the disk the file is the user's that it sees.
    for path in ["/data/new", "/data/made/here/new"] {
        see(&node, &id, &["write", path, "mine"]).await;
        assert_eq!(see(&node, &id, &["owner", path]).await, "1000:2000 644");
    }
    for path in [data.join("new"), sub.join("new")] {
        let meta = std::fs::metadata(path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (1000, 2000), "as without a user namespace");
    }
    let made = std::fs::metadata(data.join("made/here")).unwrap();
    assert_eq!((made.uid(), made.gid()), (0, 2000), "a mount point in a volume is root's");
    // What it changes in the image lies in its own layer, with the ids of the range.
    let mut root = ContainerConfig { attempt: 1, ..container("root", &["wait"]) };
    root.mounts = vec![volume(&data, "/data")];
    let id = start(&node, &root).await;
    let first = range(&node, &id).await;
    see(&node, &id, &["write", "/own", "text"]).await;
    see(&node, &id, &["give", "/probe", "5"]).await;
    let upper = node.config.root.join("containers").join(&id).join("upper");
    let owner = |name: &str| std::fs::symlink_metadata(upper.join(name)).unwrap().uid();
    assert_eq!([owner("own"), owner("probe"), owner("")], [first, first + 5, first]);
    assert_eq!(see(&node, &id, &["owner", "/probe", "/own"]).await, "5:0 755\n0:0 644");
    // Root of the pod is root of the volume's files.
    see(&node, &id, &["give", "/data/new", "7"]).await;
    assert_eq!(std::fs::metadata(data.join("new")).unwrap().uid(), 7);
}

#[tokio::test]
async fn volumes_in_memory_are_mapped_too() {
    let node = Node::new();
    pod(&node).await;
    let memory = node.path().join("memory");
    std::fs::create_dir_all(&memory).unwrap();
    nix::mount::mount(Some("tmpfs"), &memory, Some("tmpfs"), nix::mount::MsFlags::empty(), Some("mode=777")).unwrap();
    std::fs::write(memory.join("token"), "secret").unwrap();
    let mut config = container("main", &["wait"]);
    config.mounts = vec![volume(&memory, "/memory"), volume(&memory.join("token"), "/token")];
    config.security.user = Some("1000".into());
    let started = node.runtime.start_container("pod", &config).await;
    let seen = match &started {
        Ok(id) => see(&node, id, &["owner", "/memory/token", "/token"]).await,
        Err(_) => String::new(),
    };
    if let Ok(id) = &started {
        see(&node, id, &["write", "/memory/new", "mine"]).await;
    }
    let owner = std::fs::metadata(memory.join("new")).map(|meta| meta.uid()).ok();
    nix::mount::umount2(&memory, nix::mount::MntFlags::MNT_DETACH).unwrap();
    match started {
        Ok(_) => assert_eq!((seen.as_str(), owner), ("0:0 644\n0:0 644", Some(1000))),
        // Linux before 6.3.
        Err(why) => assert!(why.to_string().contains("maybe the filesystem used doesn't support idmap mounts"), "{why}"),
    }
}

#[tokio::test]
async fn what_cannot_be_mapped_is_refused() {
    let node = Node::new();
    pod(&node).await;
    let mut config = container("main", &["wait"]);
    config.mounts = vec![volume(Path::new("/sys/kernel"), "/data")];
    let why = refused(&node, config.clone()).await;
    let words = "mount /sys/kernel on /data: failed to set MOUNT_ATTR_IDMAP on /sys/kernel: invalid argument (maybe the \
                 filesystem used doesn't support idmap mounts on this kernel?)";
    assert_eq!(why, words);
    config.attempt = 1;
    config.mounts = vec![Mount { propagation: Propagation::Bidirectional, ..volume(node.path(), "/data") }];
    let why = refused(&node, config).await;
    assert!(why.ends_with("mount propagation out of a user namespace is not possible"), "{why}");
    // The failed ones have left nothing that runs.
    assert!(on_node(&node, "pod").is_empty());
    for config in [
        PodConfig { host_network: true, ..mapped(&node, "other") },
        PodConfig { host_pid: true, ..mapped(&node, "other") },
        PodConfig { host_ipc: true, ..mapped(&node, "other") },
    ] {
        let why = node.runtime.start_pod(&config).await.unwrap_err().to_string();
        assert_eq!(why, "a user namespace cannot be had with a namespace of the host");
    }
    assert!(node.runtime.pod("other").await.unwrap().is_none());
}

#[tokio::test]
async fn image_volumes_have_the_pods_ids() {
    let node = Node::new();
    assert!(node.runtime.user_namespaces());
    pod(&node).await;
    let program = std::fs::read(probe()).unwrap();
    let (base, more) = (tar(&[("file", Content::File(b"one")), ("bin/probe", Content::File(&program))]), tar(&[("file", Content::File(b"two"))]));
    let (single, double) = (docker_archive(&[&base], "single"), docker_archive(&[&base, &more], "double"));
    for (number, (archive, name, text)) in [(single, "single", "one"), (double, "double", "two")].into_iter().enumerate() {
        node.runtime.import(&save(node.path(), &format!("{name}.tar"), &archive)).await.unwrap();
        let image = node.runtime.image(name).await.unwrap().unwrap();
        let place = node.path().join(name);
        // Again: it is there already.
        for _ in 0..2 {
            node.runtime.mount_image("pod", &image.id, &place).await.unwrap();
        }
        let mounted = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert_eq!(mounted.lines().filter(|line| line.contains(place.to_str().unwrap())).count(), 1, "{mounted}");
        let mut config = ContainerConfig { attempt: number as u32, ..container("main", &["wait"]) };
        config.mounts = vec![Mount { in_pod_ids: true, read_only: true, ..volume(&place, "/image") }];
        let started = node.runtime.start_container("pod", &config).await;
        nix::mount::umount2(&place, nix::mount::MntFlags::MNT_DETACH).unwrap();
        let id = started.unwrap();
        assert_eq!(see(&node, &id, &["cat", "/image/file"]).await, text);
        assert_eq!(see(&node, &id, &["owner", "/image/file", "/image"]).await.lines().map(|l| l.split(' ').next().unwrap()).collect::<Vec<_>>(), ["0:0", "0:0"]);
        let (_, why) = attempt(&node, &id, &["write", "/image/file", "x"]).await;
        assert!(why.contains("Read-only file system"), "{why}");
        // The same image as the container's own.
        let mut config = ContainerConfig { attempt: 10 + number as u32, image: name.into(), command: vec!["/bin/probe".into()], ..container("main", &["owner", "/file", "/bin/probe"]) };
        config.image_id = image.id;
        config.security.user = Some("0".into());
        let id = start(&node, &config).await;
        assert_eq!(node.ended("pod", &id).await.0, 0);
        let log = std::fs::read_to_string(node.logs().join(format!("main/1{number}.log"))).unwrap();
        assert_eq!(log.matches("stdout F 0:0").count(), 2, "{log}");
    }
}
