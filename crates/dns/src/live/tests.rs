//! A ConfigMap that comes, changes, is wrong, and goes.

use std::sync::Mutex;

use client::events::Form;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use super::*;
use crate::kit;

const ADDRESS: std::net::Ipv4Addr = std::net::Ipv4Addr::new(127, 53, 1, 1);

/// A recorder, and the events that it has written.
fn recorder() -> (Recorder, tokio::sync::mpsc::UnboundedReceiver<Value>) {
    let (written, events) = tokio::sync::mpsc::unbounded_channel();
    let written = Arc::new(Mutex::new(written));
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let written = written.clone();
        async move {
            let bytes = request.into_body().collect().await.expect("a body").to_bytes();
            let event: Value = serde_json::from_slice(&bytes).expect("JSON");
            let _ = written.lock().expect("no panic").send(event.clone());
            Ok::<_, std::io::Error>(http::Response::new(kube::client::Body::from(event.to_string().into_bytes())))
        }
    });
    (Recorder::new(kube::Client::new(service, "default"), "coredns", "", Form::Core), events)
}

fn map(corefile: &str) -> ConfigMap {
    let metadata = json!({"namespace": NAMESPACE, "name": NAME, "uid": "u1"});
    serde_json::from_value(json!({"metadata": metadata, "data": {KEY: corefile, "hosts": "192.0.2.5 from.file\n"}})).expect("a map")
}

fn hosts(name: &str) -> String {
    format!(". {{\n    hosts {{\n        192.0.2.1 {name}\n    }}\n}}\n")
}

/// What the server says at its own port.
async fn says(live: &Live, name: &str) -> String {
    let slot = live.listening[&live.own()].slot.clone();
    kit::Cluster { slot, permits: live.forwarded.clone() }.ask(name, "A").await
}

async fn started() -> (Live, tokio::sync::mpsc::UnboundedReceiver<Value>) {
    let (events, written) = recorder();
    // Any free port; the one that is free for UDP may be taken for TCP. No other test has the address.
    let environment = Environment { address: ADDRESS.into(), port: 0, ..kit::environment() };
    loop {
        match Live::start(environment.clone(), "cluster.local".to_owned(), events.clone()).await {
            Ok(live) => return (live, written),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse),
        }
    }
}

#[tokio::test]
async fn the_last_good_corefile_stays_and_an_event_says_what_is_wrong() {
    let (mut live, mut events) = started().await;
    let web = "web.d.svc.cluster.local.";
    let built_in = "NOERROR aa | web.d.svc.cluster.local. 30 A 10.96.0.7";
    assert_eq!(says(&live, web).await, built_in, "without a ConfigMap");

    live.apply(Some(&map(&hosts("one.test"))), None).await;
    let event = events.recv().await.expect("an event");
    assert_eq!((&event["type"], &event["reason"]), (&json!("Normal"), &json!("CorefileLoaded")));
    let one = "NOERROR aa | one.test. 3600 A 192.0.2.1";
    assert_eq!(says(&live, "one.test.").await, one);

    for (broken, why) in [
        (". {\n    errors\n    erors\n}", "Corefile:3 - Error during parsing: Unknown directive 'erors'"),
        (". {\n    etcd\n}", "Corefile:2 - Error during parsing: directive 'etcd' is not supported"),
        (". {\n    cache 30\n", "Corefile:2 - Error during parsing: Unexpected EOF"),
        ("", "Corefile:1 - Error during parsing: there is no server block"),
    ] {
        live.apply(Some(&map(broken)), None).await;
        let event = events.recv().await.expect("an event");
        assert_eq!((&event["type"], &event["reason"]), (&json!("Warning"), &json!("CorefileRefused")));
        assert_eq!(event["message"], format!("{why}; the last good Corefile stays in force"));
        assert_eq!((&event["involvedObject"]["kind"], &event["involvedObject"]["uid"]), (&json!("ConfigMap"), &json!("u1")));
        assert_eq!(says(&live, "one.test.").await, one, "{broken}");
    }
    // The same again is nothing new: the next event is that of the next change.
    live.apply(Some(&map("")), None).await;
    live.apply(Some(&map(". {\n    hosts /etc/coredns/hosts\n}\n")), None).await;
    assert_eq!(events.recv().await.expect("an event")["count"], 2, "it is loaded a second time");
    assert_eq!(says(&live, "from.file.").await, "NOERROR aa | from.file. 3600 A 192.0.2.5");

    let mut custom = map("");
    custom.data = Some([("a.server".to_owned(), "more.test {\n hosts {\n 192.0.2.6 more.test\n }\n}\n".to_owned())].into());
    let corefile = map("import /etc/coredns/custom/*.server\n");
    live.apply(Some(&corefile), Some(&custom)).await;
    assert_eq!(events.recv().await.expect("an event")["count"], 3);
    assert_eq!(says(&live, "more.test.").await, "NOERROR aa | more.test. 3600 A 192.0.2.6");
    custom.data = Some([("a.server".to_owned(), "more.test {\n what\n}\n".to_owned())].into());
    live.apply(Some(&corefile), Some(&custom)).await;
    assert_eq!(says(&live, "more.test.").await, "NOERROR aa | more.test. 3600 A 192.0.2.6", "the last good one");

    live.apply(None, None).await;
    assert_eq!(says(&live, web).await, built_in, "the ConfigMap has gone");
}

#[tokio::test]
async fn ports_come_and_go_and_one_that_is_taken_refuses_the_whole() {
    let (mut live, mut events) = started().await;
    let free = UdpSocket::bind((ADDRESS, 0)).await.expect("a port");
    let port = free.local_addr().expect("its address").port();
    let both = format!("{}a.test:{port} {{\n    hosts {{\n        192.0.2.2 x.a.test\n    }}\n}}\n", hosts("two.test"));
    live.apply(Some(&map(&both)), None).await;
    let message = events.recv().await.expect("an event")["message"].as_str().expect("text").to_owned();
    assert!(message.contains(&format!("listen at {ADDRESS}:{port}: ")), "{message}");
    assert!(!says(&live, "two.test.").await.contains("192.0.2.1"), "nothing of it is in force");

    drop(free);
    live.apply(Some(&map(&format!("{both}\n"))), None).await;
    assert_eq!(events.recv().await.expect("an event")["reason"], "CorefileLoaded");
    let client = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    client.send_to(&kit::question("x.a.test.", "A").to_vec().expect("a message"), (ADDRESS, port)).await.expect("send");
    let mut bytes = [0; 512];
    let length = client.recv(&mut bytes).await.expect("an answer");
    let said = Message::from_vec(&bytes[..length]).expect("a message");
    assert_eq!(kit::lines(&said), "NOERROR aa | x.a.test. 3600 A 192.0.2.2");

    live.apply(Some(&map(&hosts("two.test"))), None).await;
    assert_eq!(live.listening.keys().copied().collect::<Vec<_>>(), [live.own()]);
    // The port is free as soon as its task has ended.
    while live.servers.len() > 1 {
        let ended = live.servers.join_next().await.expect("a task");
        assert!(ended.is_err_and(|end| end.is_cancelled()));
    }
    UdpSocket::bind((ADDRESS, port)).await.expect("nobody has it");
}

#[tokio::test]
async fn a_server_block_is_listened_at_where_it_says() {
    let (mut live, mut events) = started().await;
    let elsewhere = std::net::Ipv4Addr::new(127, 53, 1, 2);
    let port = {
        let free = UdpSocket::bind((elsewhere, 0)).await.expect("a port");
        free.local_addr().expect("its address").port()
    };
    let block = format!("b.test:{port} {{\n    bind {elsewhere}\n    hosts {{\n        192.0.2.3 x.b.test\n    }}\n}}\n");
    live.apply(Some(&map(&(hosts("one.test") + &block))), None).await;
    let event = events.recv().await.expect("an event");
    assert_eq!(event["reason"], "CorefileLoaded", "{event}");
    assert!(says(&live, "x.b.test.").await.starts_with("SERVFAIL"), "it is not served at the server's own address");
    let client = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    client.send_to(&kit::question("x.b.test.", "A").to_vec().expect("a message"), (elsewhere, port)).await.expect("send");
    let mut bytes = [0; 512];
    let length = client.recv(&mut bytes).await.expect("an answer");
    assert_eq!(kit::lines(&Message::from_vec(&bytes[..length]).expect("a message")), "NOERROR aa | x.b.test. 3600 A 192.0.2.3");

    // An address that the machine does not have refuses the whole.
    live.apply(Some(&map(". {\n    bind 192.0.2.1\n}\n")), None).await;
    let message = events.recv().await.expect("an event")["message"].as_str().expect("text").to_owned();
    assert!(message.contains("listen at 192.0.2.1:") && message.ends_with("the last good Corefile stays in force"), "{message}");
}

/// What kubeadm 1.36 installs.
const KUBEADM: &str = ".:53 {
    errors
    health HEALTH {
       lameduck 5s
    }
    ready READY
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus METRICS
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
";

async fn get(port: u16, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect((ADDRESS, port)).await.expect("a connection");
    stream.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).await.expect("ask");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    text
}

#[tokio::test]
async fn kubeadms_corefile_is_taken_with_its_probes_and_metrics() {
    let (mut live, mut events) = started().await;
    let listener = async || TcpListener::bind((ADDRESS, 0)).await.expect("a port");
    let ports = {
        let free = [listener().await, listener().await, listener().await];
        free.map(|l| l.local_addr().expect("its address").port())
    };
    let text = KUBEADM.replace("HEALTH", &format!(":{}", ports[0])).replace("READY", &format!("0.0.0.0:{}", ports[1]));
    live.apply(Some(&map(&text.replace("METRICS", &format!("{ADDRESS}:{}", ports[2])))), None).await;
    let event = events.recv().await.expect("an event");
    assert_eq!(event["reason"], "CorefileLoaded", "{event}");
    assert!(says(&live, "web.d.svc.cluster.local.").await.ends_with(" 30 A 10.96.0.7"));
    assert!(get(ports[0], "/health").await.ends_with("OK"));
    assert!(get(ports[1], "/ready").await.ends_with("OK"));
    let counted = get(ports[2], "/metrics").await;
    assert!(counted.contains("type=\"A\",view=\"\",zone=\".\"} 1\n"), "{counted}");
    live.apply(None, None).await;
    assert!(live.telling.is_empty());

    let text = KUBEADM.replace("HEALTH", "192.0.2.1:80").replace(" READY", "").replace(" METRICS", "");
    let fault = plan::compile(&text, &Files::new(), &live.environment).err();
    assert!(fault.expect("refused").why.contains("this server listens at its own address alone"));
}
