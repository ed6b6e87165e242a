//! Services through the kernel's rules, in network namespaces of the test's own. Needs root.

mod common;

use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use common::{Namespace, Node, ask, in_namespace, names, serve, serve_datagrams, service, slice};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use network::api::{HostPort, PodNetwork, Protocol};
use network::services::teardown;
use serde_json::json;

fn udp_slice(service: &str, addresses: &[IpAddr]) -> EndpointSlice {
    let mut slice = slice(service, addresses, 8080);
    slice.ports.iter_mut().flatten().for_each(|p| p.protocol = Some("UDP".to_owned()));
    slice
}

/// Who answers a client that keeps its port.
fn ask_again(client: &UdpSocket) -> Result<String, ErrorKind> {
    client.send(b"?").map_err(|e| e.kind())?;
    let mut buffer = [0; 16];
    let length = client.recv(&mut buffer).map_err(|e| e.kind())?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

#[test]
fn services_lead_to_endpoints() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let node = Node::open(dir.path(), Vec::new()).await;
        let Node { net, services: all, slices, .. } = &node;
        let (a, b) = (Namespace::new(dir.path().join("a")), Namespace::new(dir.path().join("b")));
        let port = HostPort { host_ip: None, host_port: 9999, container_port: 8080, protocol: Protocol::Tcp };
        let ip_a = net.attach("a", &a.0, &[port]).await.expect("attach")[0];
        let ip_b = net.attach("b", &b.0, &[]).await.expect("attach")[0];
        serve(&a, "a", ip_a);
        serve(&b, "b", ip_b);
        serve_datagrams(&a, "a", ip_a);
        serve_datagrams(&b, "b", ip_b);

        all.apply(service("web", "10.96.0.10", json!({})));
        slices.apply(slice("web", &[ip_a, ip_b], 8080));
        all.apply(service("none", "10.96.0.11", json!({"ports": [{"port": 80, "nodePort": 30081}]})));
        let sticky = json!({"sessionAffinity": "ClientIP", "ports": [{"port": 80}]});
        all.apply(service("sticky", "10.96.0.12", sticky));
        slices.apply(slice("sticky", &[ip_a, ip_b], 8080));

        let datagrams = json!({"ports": [{"port": 53, "protocol": "UDP", "nodePort": 30053}]});
        all.apply(service("datagrams", "10.96.0.13", datagrams));
        slices.apply(udp_slice("datagrams", &[ip_a]));

        assert!(node.sync().await);
        let clients = ["10.96.0.13:53", "10.244.0.1:30053"].map(|way| {
            let client = UdpSocket::bind("0.0.0.0:0").expect("bound");
            client.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
            client.connect(way).expect("connected");
            assert_eq!(ask_again(&client).as_deref(), Ok("a"), "{way}");
            client
        });
        let both = |from: &dyn Fn() -> String| {
            let seen: std::collections::BTreeSet<String> = (0..40).map(|_| from()).collect();
            assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        };
        both(&|| ask("10.96.0.10:80").expect("from the node"));
        both(&|| a.run(|| ask("10.96.0.10:80")).join().expect("ran").expect("from a pod, also to itself"));
        both(&|| ask("10.244.0.1:30080").expect("node port from the node"));
        both(&|| b.run(|| ask("10.244.0.1:30080")).join().expect("ran").expect("node port from a pod"));
        assert_eq!(ask("10.244.0.1:9999").expect("host port"), "a");
        let first = ask("10.96.0.12:80").expect("sticky");
        assert!((0..20).all(|_| ask("10.96.0.12:80").as_ref() == Ok(&first)));
        for refused in ["10.96.0.11:80", "10.244.0.1:30081", "10.96.0.10:81", "10.96.7.7:80"] {
            let kind = b.run(move || ask(refused)).join().expect("ran");
            assert_eq!(kind, Err(ErrorKind::ConnectionRefused), "{refused} from a pod");
            assert_eq!(ask(refused), Err(ErrorKind::ConnectionRefused), "{refused} from the node");
        }

        // Whoever lists the rules of the machine sees ours.
        let listed = std::process::Command::new("nft").args(["list", "ruleset"]).output().expect("nft");
        let text = String::from_utf8_lossy(&listed.stdout);
        let rule = "dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints";
        assert!(listed.status.success() && text.contains(rule), "{text}{}", String::from_utf8_lossy(&listed.stderr));

        // Differences: an endpoint goes, another service gets one, one ends.
        slices.apply(slice("web", &[ip_b], 8080));
        slices.apply(slice("none", &[ip_a], 8080));
        slices.apply(udp_slice("datagrams", &[ip_b]));
        all.delete(&service("sticky", "10.96.0.12", json!({})));
        assert!(node.sync().await);
        assert!((0..20).all(|_| ask("10.96.0.10:80").as_deref() == Ok("b")));
        assert_eq!(ask("10.96.0.11:80").as_deref(), Ok("a"));
        assert_eq!(ask("10.96.0.12:80"), Err(ErrorKind::ConnectionRefused));

        for client in &clients {
            assert_eq!(ask_again(client).as_deref(), Ok("b"), "the old endpoint is forgotten");
        }

        // A new process: the host ports of pods that run already are kept.
        let (all, slices) = (all.clone(), slices.clone());
        drop(node);
        let node = Node::with(dir.path(), Vec::new(), all, slices).await;
        assert!(node.sync().await);
        assert_eq!(ask("10.244.0.1:9999").as_deref(), Ok("a"));
        assert_eq!(ask("10.96.0.10:80").as_deref(), Ok("b"));

        assert_eq!(teardown(&names()).expect("teardown").len(), 1);
        assert_eq!(teardown(&names()).expect("again").len(), 0);
    });
}
