//! Many services: what one more costs, and that traffic goes where it should. Needs root.

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use common::{Namespace, Node, ask, cluster_ip, in_namespace, serve, slice};
use network::api::PodNetwork;
use serde_json::json;

/// Services and endpoints of each.
const SIZES: [(u32, u32); 2] = [(2_000, 2), (200, 50)];

#[test]
fn one_more_service_costs_what_it_is() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        for (count, ends) in SIZES {
            let node = Node::open(dir.path(), Vec::new()).await;
            let a = Namespace::new(dir.path().join("a"));
            let ip = node.net.attach("a", &a.0, &[]).await.expect("attach")[0];
            serve(&a, "a", ip);
            let address = |number: u32| Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 96, 0, 1)) + number).to_string();
            let put = |number: u32, ends: &[IpAddr]| {
                let name = format!("s{number}");
                node.services.apply(cluster_ip(&name, &address(number), json!({})));
                node.slices.apply(slice(&name, ends, 8080));
            };
            let here = [ip];
            for number in 0..count {
                let strangers = (0..ends).map(|end| IpAddr::V4(Ipv4Addr::from(0xac10_0000 + number * ends + end)));
                let strangers: Vec<IpAddr> = strangers.collect();
                put(number, if number == count / 2 { &here } else { &strangers });
            }
            let started = Instant::now();
            assert!(node.sync().await);
            let first = started.elapsed();
            assert_eq!(ask(&format!("{}:80", address(count / 2))).as_deref(), Ok("a"));
            let mut times = Vec::new();
            for number in count..count + 5 {
                put(number, &[ip]);
                let started = Instant::now();
                assert!(node.sync().await);
                times.push(started.elapsed());
                assert_eq!(ask(&format!("{}:80", address(number))).as_deref(), Ok("a"));
            }
            let least = times.iter().min().expect("some");
            println!("{count} services of {ends} endpoints: first {first:?}, one more {times:?}");
            // Not a walk over all of them.
            assert!(*least * 20 < first, "one more took {least:?}, all took {first:?}");
            node.net.detach("a").await.expect("detach");
        }
    });
}
