//! Pods cannot pass for others, or reach others around the node. Needs root.

mod common;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use common::{GATEWAY, Namespace, Node, ask, bridge_config, cluster_ip, in_namespace, names, serve, serve_address, slice, teardown};
use network::api::PodNetwork;
use network::bridge::Bridge;
use network::link::{Links, inside};
use rtnetlink::{LinkBridge, LinkUnspec};
use serde_json::json;

/// A datagram from the pod with this source reaches the node.
fn arrives(pod: &Namespace, source: Ipv4Addr) -> bool {
    arrives_within(Duration::from_secs(5), pod, source)
}

/// It does not.
fn is_lost(pod: &Namespace, source: Ipv4Addr) -> bool {
    !arrives_within(Duration::from_millis(500), pod, source)
}

fn arrives_within(patience: Duration, pod: &Namespace, source: Ipv4Addr) -> bool {
    let socket = UdpSocket::bind((GATEWAY, 0)).expect("bound");
    socket.set_read_timeout(Some(patience)).expect("set");
    let to = socket.local_addr().expect("address");
    let send = move || UdpSocket::bind((source, 0)).and_then(|socket| socket.send_to(b"x", to));
    pod.run(send).join().expect("ran").expect("sent");
    socket.recv_from(&mut [0; 8]).is_ok_and(|(_, from)| from.ip() == source)
}

/// Gives the pod one more address, as it can itself with CAP_NET_ADMIN.
async fn give(pod: &Namespace, address: Ipv4Addr) {
    let work = async move |links: Links| {
        let index = links.index("eth0").await?.unwrap_or_default();
        links.address(index, address, 32).await
    };
    inside(&pod.0, work).await.expect("given");
}

#[test]
fn a_pod_sends_with_its_own_address_alone() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let node = Node::open(dir.path(), Vec::new()).await;
        let (a, b) = (Namespace::new(dir.path().join("a")), Namespace::new(dir.path().join("b")));
        let ip_a = node.net.attach("a", &a.0, &[]).await.expect("attach")[0];
        let ip_b = node.net.attach("b", &b.0, &[]).await.expect("attach")[0];
        serve(&b, "b", ip_b);
        let (IpAddr::V4(own), IpAddr::V4(other)) = (ip_a, ip_b) else { panic!("IPv4") };
        // Distributions set this: the kernel's own check looks at nothing then.
        std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "2").expect("set");
        assert!(arrives(&a, own));
        for stolen in [other, Ipv4Addr::new(10, 244, 0, 77), Ipv4Addr::new(198, 51, 100, 1)] {
            give(&a, stolen).await;
            assert!(is_lost(&a, stolen), "{stolen}");
        }
        // Who says in ARP that the other's address is its own gets nothing of it: its neighbour is still reached.
        assert_eq!(ask(&format!("{ip_b}:8080")).as_deref(), Ok("b"), "from the node");
        let c = Namespace::new(dir.path().join("c"));
        node.net.attach("c", &c.0, &[]).await.expect("attach");
        let asked = c.run(move || ask(&format!("{ip_b}:8080"))).join().expect("ran");
        assert_eq!(asked.as_deref(), Ok("b"), "from a pod");
        // Nor does the node take note of what a pod says in ARP: the first packet asks for the gateway in that name.
        let d = Namespace::new(dir.path().join("d"));
        let IpAddr::V4(ip_d) = node.net.attach("d", &d.0, &[]).await.expect("attach")[0] else { panic!("IPv4") };
        give(&d, other).await;
        assert!(is_lost(&d, other));
        let known = std::process::Command::new("ip").args(["-4", "neigh", "show"]).output().expect("ip");
        let known = String::from_utf8_lossy(&known.stdout).into_owned();
        let entry = format!("{other} dev {} ", names().link(ip_d));
        assert!(known.contains(&ip_b.to_string()) && !known.contains(&entry), "{known}");
        // The same after a restart of the node agent, and its own address still serves.
        drop(node);
        let node = Node::open(dir.path(), Vec::new()).await;
        assert!(arrives(&a, own) && is_lost(&a, other));
        // Who gets the address later may use it.
        node.net.detach("b").await.expect("detach");
        drop(b);
        assert!(is_lost(&a, other));
    });
}

#[test]
fn there_is_no_way_around_the_node() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let node = Node::open(dir.path(), Vec::new()).await;
        let (a, b) = (Namespace::new(dir.path().join("a")), Namespace::new(dir.path().join("b")));
        let IpAddr::V4(ip_a) = node.net.attach("a", &a.0, &[]).await.expect("attach")[0] else { panic!("IPv4") };
        let IpAddr::V4(ip_b) = node.net.attach("b", &b.0, &[]).await.expect("attach")[0] else { panic!("IPv4") };
        serve_address(&b, ip_b.into());
        // Both look for each other on their links.
        for (pod, other) in [(&a, ip_b), (&b, ip_a)] {
            let work = async move |links: Links| {
                let index = links.index("eth0").await?.unwrap_or_default();
                links.route(other.into(), index, None).await
            };
            inside(&pod.0, work).await.expect("route");
        }
        let direct = a.run(move || TcpStream::connect_timeout(&SocketAddr::from((ip_b, 8080)), Duration::from_secs(5)));
        let kind = direct.join().expect("ran").expect_err("nobody there").kind();
        assert!(matches!(kind, ErrorKind::HostUnreachable | ErrorKind::TimedOut), "{kind}");
        // By the node it works, and the client keeps its address.
        let c = Namespace::new(dir.path().join("c"));
        let ip_c = node.net.attach("c", &c.0, &[]).await.expect("attach")[0];
        let asked = c.run(move || ask(&format!("{ip_b}:8080"))).join().expect("ran");
        assert_eq!(asked, Ok(ip_c.to_string()));
        // The node does not listen to what pods say of routers.
        let links = Links::connect().expect("netlink").names().await.expect("names");
        let pods: Vec<_> = links.iter().filter(|name| name.starts_with(&names().links)).collect();
        assert_eq!(pods.len(), 3);
        for link in pods {
            let setting = |of: &str| std::fs::read_to_string(format!("/proc/sys/net/{of}")).expect("a setting");
            let family6 = std::path::Path::new("/proc/sys/net/ipv6").exists();
            assert!(!family6 || setting(&format!("ipv6/conf/{link}/disable_ipv6")).trim() == "1", "{link}");
            assert_eq!(setting(&format!("ipv4/conf/{link}/rp_filter")).trim(), "1", "{link}");
        }
    });
}

/// What versions before this one made: a port of a bridge that has the range, with whatever hardware address.
async fn attach_as_before(directory: &std::path::Path, pod: &Namespace, uid: &str, address: Ipv4Addr) {
    let ipam = directory.join("ipam");
    std::fs::create_dir_all(&ipam).expect("made");
    std::fs::write(ipam.join(address.to_string()), uid).expect("written");
    let (connection, handle, _) = rtnetlink::new_connection().expect("netlink");
    tokio::spawn(connection);
    let links = Links::connect().expect("netlink");
    if links.index(&names().bridge).await.expect("index").is_none() {
        handle.link().add(LinkBridge::new(&names().bridge).build()).execute().await.expect("a bridge");
    }
    let bridge = links.index(&names().bridge).await.expect("index").expect("bridge");
    links.address(bridge, GATEWAY, 24).await.expect("address");
    links.up(bridge).await.expect("up");
    let name = names().link(address);
    let (home, link) = (std::fs::File::open("/proc/thread-self/ns/net").expect("namespace"), name.clone());
    let work = async move |links: Links| {
        links.veth("eth0", &link, &home).await?;
        let index = links.index("eth0").await?.unwrap_or_default();
        links.address(index, address, 32).await?;
        links.up(index).await?;
        links.route(GATEWAY.into(), index, None).await?;
        links.route("0.0.0.0/0".parse().expect("range"), index, Some(GATEWAY)).await
    };
    inside(&pod.0, work).await.expect("made");
    let index = links.index(&name).await.expect("index").expect("arrived");
    let port = LinkUnspec::new_with_index(index).controller(bridge).up().build();
    handle.link().change(port).execute().await.expect("plugged");
}

#[test]
fn pods_of_an_earlier_version_stay_connected_and_are_pinned() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let (a, b) = (Namespace::new(dir.path().join("a")), Namespace::new(dir.path().join("b")));
        let (ip_a, ip_b) = (Ipv4Addr::new(10, 244, 0, 2), Ipv4Addr::new(10, 244, 0, 3));
        attach_as_before(dir.path(), &a, "a", ip_a).await;
        attach_as_before(dir.path(), &b, "b", ip_b).await;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("set");
        serve_address(&b, ip_b.into());
        let asking = |pod: &Namespace, address: String| pod.run(move || ask(&address)).join().expect("ran");
        // The pod has seen the gateway's hardware address.
        assert_eq!(ask(&format!("{ip_b}:8080")), Ok(GATEWAY.to_string()));
        let node = Node::open(dir.path(), Vec::new()).await;
        assert_eq!(node.net.addresses("a"), [IpAddr::V4(ip_a)]);
        let started = std::time::Instant::now();
        assert_eq!(asking(&a, format!("{ip_b}:8080")), Ok(ip_a.to_string()), "pod to pod");
        assert_eq!(ask(&format!("{ip_b}:8080")), Ok(GATEWAY.to_string()), "node to pod");
        assert!(ask("10.244.0.200:8080").is_err(), "nobody has that address");
        assert!(started.elapsed() < Duration::from_secs(1), "nobody had to be looked for: {:?}", started.elapsed());
        node.services.apply(cluster_ip("web", "10.96.0.1", json!({})));
        node.slices.apply(slice("web", &[ip_b.into()], 8080));
        assert!(node.sync().await);
        assert_eq!(asking(&a, "10.96.0.1:80".to_owned()), Ok(ip_a.to_string()), "by a service");
        assert_eq!(asking(&b, "10.96.0.1:80".to_owned()), Ok(GATEWAY.to_string()), "to itself");
        give(&a, ip_b).await;
        assert!(arrives(&a, ip_a) && is_lost(&a, ip_b));
        // A new pod beside them.
        let c = Namespace::new(dir.path().join("c"));
        let ip_c = node.net.attach("c", &c.0, &[]).await.expect("attach")[0];
        assert_eq!(asking(&c, format!("{ip_b}:8080")), Ok(ip_c.to_string()));
        drop(node);
        let config = bridge_config(dir.path(), Vec::new());
        drop(Bridge::open(&config, Box::new(|_| {})).await.expect("opens again"));
        let removed = teardown(&config).await;
        for family in ["ip", "arp"] {
            let table = format!("nftables table {family} {}-pods", names().table);
            assert!(removed.contains(&table), "{removed:?}");
        }
        assert_eq!(Links::connect().expect("netlink").names().await.expect("names"), ["lo"]);
    });
}
