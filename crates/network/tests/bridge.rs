//! Pods on the bridge, in network namespaces of the test's own. Needs root.

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use network::api::PodNetwork;
use network::bridge::Bridge;
use network::link::Links;

use common::{Namespace, bridge_config, in_namespace, names, teardown};

#[test]
fn pods_reach_each_other_and_nothing_is_left() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let (a, b) = (Namespace::new(dir.path().join("a")), Namespace::new(dir.path().join("b")));
        let net = Bridge::open(&bridge_config(dir.path(), Vec::new()), Box::new(|_| {})).await.expect("opens");
        let ip_a = net.attach("a", &a.0, &[]).await.expect("attach")[0];
        let ip_b = net.attach("b", &b.0, &[]).await.expect("attach")[0];
        assert_ne!(ip_a, ip_b);
        // A new process takes over; attaching again changes nothing.
        drop(net);
        let net = Bridge::open(&bridge_config(dir.path(), Vec::new()), Box::new(|_| {})).await.expect("opens again");
        assert_eq!(net.addresses("b"), [ip_b]);
        assert_eq!(net.attach("a", &a.0, &[]).await.expect("attach"), [ip_a]);

        talk(&a, &b, ip_b);
        // An address that nobody has is unreachable, and at once.
        let stray: SocketAddr = "10.244.7.7:80".parse().expect("address");
        let error = b.run(move || TcpStream::connect_timeout(&stray, Duration::from_secs(5))).join().expect("ran");
        let kind = error.expect_err("nobody is there").kind();
        assert!(matches!(kind, std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable), "{kind}");

        net.detach("a").await.expect("detach");
        net.detach("a").await.expect("twice is no error");
        drop(net);
        let c = bridge_config(dir.path(), Vec::new());
        let removed = teardown(&c).await;
        assert!(removed.iter().any(|r| r.contains(&names().bridge)), "{removed:?}");
        assert_eq!(Links::connect().expect("netlink").names().await.expect("names"), ["lo"]);
        assert!(teardown(&c).await.is_empty());
    });
}

#[test]
fn a_link_that_is_half_there_or_leads_elsewhere_is_made_anew() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let (a, b) = (Namespace::new(dir.path().join("a")), Namespace::new(dir.path().join("b")));
        let open = async || Bridge::open(&bridge_config(dir.path(), Vec::new()), Box::new(|_| {})).await.expect("opens");
        let net = open().await;
        net.attach("a", &a.0, &[]).await.expect("attach");
        let ip_b = net.attach("b", &b.0, &[]).await.expect("attach")[0];

        // The pod has another sandbox, and the old one still holds its namespace.
        let new = Namespace::new(dir.path().join("new"));
        assert_eq!(net.attach("b", &new.0, &[]).await.expect("attach"), [ip_b]);
        talk(&a, &new, ip_b);

        // An earlier process had the address, and came no further.
        let IpAddr::V4(address) = ip_b else { panic!("IPv4") };
        let host_link = names().link(address);
        assert!(Links::connect().expect("netlink").remove(&host_link).await.expect("removed"));
        let net = { drop(net); open().await };
        assert_eq!(net.attach("b", &new.0, &[]).await.expect("attach"), [ip_b]);
        talk(&a, &new, ip_b);

        // It had made both links in the pod, and moved none.
        assert!(Links::connect().expect("netlink").remove(&host_link).await.expect("removed"));
        let name = host_link.clone();
        network::link::inside(&new.0, async move |links: Links| {
            let here = std::fs::File::open("/proc/thread-self/ns/net").expect("namespace");
            links.veth("eth0", &name, &here).await
        })
        .await
        .expect("made");
        assert_eq!(net.attach("b", &new.0, &[]).await.expect("attach"), [ip_b]);
        talk(&a, &new, ip_b);
        drop(net);
        let c = bridge_config(dir.path(), Vec::new());
        teardown(&c).await;
        assert_eq!(Links::connect().expect("netlink").names().await.expect("names"), ["lo"]);
    });
}

/// A connection from one pod to the other; the server sees the client's own address.
fn talk(a: &Namespace, b: &Namespace, ip_b: IpAddr) {
    let (ready, started) = std::sync::mpsc::channel();
    let server = b.run(move || {
        let listener = TcpListener::bind((ip_b, 0)).expect("listen");
        ready.send(listener.local_addr().expect("address")).expect("sent");
        let (mut stream, peer) = listener.accept().expect("accept");
        stream.write_all(b"hello").expect("write");
        peer
    });
    let address = started.recv().expect("listening");
    let client = a.run(move || {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).expect("connect");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("read");
        (text, stream.local_addr().expect("address"))
    });
    let (text, local) = client.join().expect("client");
    assert_eq!((text.as_str(), server.join().expect("server")), ("hello", local));
}
