//! The program that starts containers, as a container sees it. Needs root.

mod common;

use std::os::unix::fs::symlink;

use common::{Node, container, refused, shared, volume};
use runtime::{ContainerConfig, Runtime};

/// A program that names the runtime's own one as its interpreter, or as itself, does not get it.
#[tokio::test]
async fn the_runtimes_own_program_is_out_of_reach() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let own = std::fs::read(common::probe()).unwrap();
    let data = node.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let scripts = ["/proc/self/exe", " /proc/1/exe id", "/proc/thread-self/exe", "../../../proc/self/exe", "/data/link"];
    symlink("../proc/self/exe", data.join("link")).unwrap();
    let mut programs = vec!["/proc/self/exe".to_owned(), "/data/link".to_owned()];
    for (number, interpreter) in scripts.iter().enumerate() {
        let path = data.join(number.to_string());
        std::fs::write(&path, format!("#!{interpreter}\n")).unwrap();
        programs.push(format!("/data/{number}"));
    }
    std::fs::write(data.join("chain"), "#!/data/0\n").unwrap();
    // An executable whose loader it is: the machine's own shell, with another name in it.
    let shell = std::fs::read("/bin/sh").unwrap();
    let loader = b"/lib64/ld-linux-x86-64.so.2\0";
    if let Some(at) = shell.windows(loader.len()).position(|window| window == loader) {
        let mut patched = shell.clone();
        patched[at..at + loader.len()].copy_from_slice(b"/proc/self/exe\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        std::fs::write(data.join("loaded"), patched).unwrap();
        programs.push("/data/loaded".to_owned());
    }
    programs.push("/data/chain".to_owned());
    for entry in std::fs::read_dir(&data).unwrap().flatten().filter(|entry| entry.file_type().unwrap().is_file()) {
        std::fs::set_permissions(entry.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let with = |attempt: u32, args: &[&str]| {
        let mut config = ContainerConfig { attempt, ..container("main", args) };
        config.mounts = vec![volume(&data, "/data")];
        config
    };
    for (attempt, program) in (0..).zip(&programs) {
        let config = ContainerConfig { command: vec![program.clone()], ..with(attempt, &["id"]) };
        assert_eq!(refused(&node, config).await, format!("exec {program}: permission denied"));
    }
    let id = node.runtime.start_container("pod", &with(90, &["wait"])).await.unwrap();
    // For a second program, process 1 is the container's own.
    for program in programs.iter().filter(|program| *program != "/data/1") {
        let why = node.runtime.exec_sync(&id, std::slice::from_ref(program), std::time::Duration::from_secs(20)).await.unwrap_err();
        assert_eq!(why.to_string(), format!("exec {program}: permission denied"));
    }
    assert_eq!(std::fs::read(common::probe()).unwrap(), own);
}

/// Who can look into the first process of a pod finds a program there that cannot be written, though it runs.
#[tokio::test]
async fn the_runtimes_own_program_cannot_be_written() {
    let node = Node::new();
    let before = std::fs::read(common::probe()).unwrap();
    shared(&node).await;
    let mut config = container("main", &["wait"]);
    config.security.privileged = true;
    let id = node.runtime.start_container("pod", &config).await.unwrap();
    let (_, error) = node.exec(&id, &["/probe", "truncate", "/proc/1/exe"]).await;
    assert_eq!(error, format!("{}\n", libc::EROFS), "not only busy: the file system does not take it");
    assert_eq!(std::fs::read(common::probe()).unwrap(), before);
}
