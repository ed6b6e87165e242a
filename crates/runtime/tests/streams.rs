//! Programs in running containers and attaching to them: streams, terminals, long commands. Needs root.

mod common;

use std::time::Duration;

use runtime::{ContainerConfig, Error, ExecConfig, Runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use common::{Node, container};

#[tokio::test]
async fn exec_has_streams_and_terminal() {
    let node = Node::new();
    let id = node.start("pod", container("main", &["wait"])).await;
    let config = ExecConfig { command: vec!["/probe".into(), "cat".into()], stdin: true, tty: false };
    let mut streams = node.runtime.exec(&id, &config).await.unwrap();
    let mut stdin = streams.stdin.take().unwrap();
    stdin.write_all(b"one\ntwo\n").await.unwrap();
    drop(stdin);
    let mut text = String::new();
    streams.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!((text.as_str(), streams.exit.await.unwrap().unwrap()), ("got one\ngot two\n", 0));

    let config = ExecConfig { command: vec!["/probe".into(), "size".into()], stdin: true, tty: true };
    let mut streams = node.runtime.exec(&id, &config).await.unwrap();
    streams.resize.send((101, 42)).await.unwrap();
    let mut text = String::new();
    streams.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!((text.as_str(), streams.exit.await.unwrap().unwrap()), ("101 42\r\n", 0));

    // Whatever the container's own variable says.
    let config = ExecConfig { command: vec!["/probe".into(), "env".into()], stdin: false, tty: true };
    let mut streams = node.runtime.exec(&id, &config).await.unwrap();
    let mut text = String::new();
    streams.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("TERM=")).collect::<Vec<_>>(), ["TERM=xterm"]);
    assert!(!node.exec(&id, &["/probe", "env"]).await.1.contains("TERM="), "it has no terminal");

    let command = ["/probe", "wait"].map(str::to_owned);
    let late = node.runtime.exec_sync(&id, &command, Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(late, Error::Timeout(_)));
    // It is killed: soon only the first process and the one that lists are left.
    let only_two = async {
        while node.processes(&id).await != 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), only_two).await.unwrap();
}

#[tokio::test]
async fn a_command_may_be_longer_than_a_message() {
    let node = Node::new();
    let id = node.start("pod", container("main", &["wait"])).await;
    for count in [100, 5000, 100_000] {
        let words: Vec<String> = (0..count).map(|number| format!("{number:06}")).collect();
        let command = [&["/probe".to_owned(), "exit".to_owned(), "7".to_owned()], &*words].concat();
        let output = node.runtime.exec_sync(&id, &command, Duration::from_secs(20)).await.unwrap();
        assert_eq!((output.code, output.stdout), (7, format!("out {}\n", words.join(" ")).into()), "{count}");
    }
    // The kernel's bound.
    let word = vec!["/probe".to_owned(), "exit".to_owned(), "x".repeat(1 << 20)];
    let refused = node.runtime.exec_sync(&id, &word, Duration::from_secs(20)).await.unwrap_err();
    assert_eq!(refused.to_string(), "exec /probe: argument list too long");
}

#[tokio::test]
async fn keeps_little_of_endless_output() {
    let node = Node::new();
    let id = node.start("pod", container("main", &["wait"])).await;
    let command = ["/probe", "flood", "20"].map(str::to_owned);
    let output = node.runtime.exec_sync(&id, &command, Duration::from_secs(20)).await.unwrap();
    assert_eq!((output.code, output.stdout.len()), (0, 16 << 20));
}

#[tokio::test]
async fn attaches_to_terminal_and_input() {
    let node = Node::new();
    let mut config = ContainerConfig { tty: true, stdin: true, ..container("main", &["cat"]) };
    let id = node.start("pod", config.clone()).await;
    let mut streams = node.runtime.attach(&id).await.unwrap();
    assert!(streams.leaves_with_input);
    streams.stdin.as_mut().unwrap().write_all(b"hello\n\x04").await.unwrap();
    let mut text = String::new();
    streams.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
    assert!(text.contains("got hello"), "{text}");
    assert_eq!(streams.exit.await.unwrap().unwrap(), 0);

    config = ContainerConfig { tty: false, stdin_once: true, attempt: 1, ..config };
    let id = node.runtime.start_container("pod", &config).await.unwrap();
    let mut streams = node.runtime.attach(&id).await.unwrap();
    assert!(!streams.leaves_with_input, "its end is the container's");
    streams.stdin.take().unwrap().write_all(b"last\n").await.unwrap();
    assert_eq!(streams.exit.await.unwrap().unwrap(), 0, "the end of the client's input is the container's");
    let mut text = String::new();
    streams.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "got last\n");
}
