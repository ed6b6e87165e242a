//! Questions and answers, and what changes do to them. How they compare with CoreDNS': `tests/coredns`.

use super::*;
use crate::kit;
use crate::world::World;
use client::Informer;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::json;

fn ask_with(options: &Options, name: &str, kind: Kind) -> Answer {
    answer(&kit::environment().world.lock(), options, name, kind)
}

fn ask(name: &str, kind: Kind) -> Answer {
    let addresses = vec![[10, 244, 0, 1].into()];
    ask_with(&Options { addresses, ..Options::of("cluster.local") }, name, kind)
}

fn data(answer: Answer) -> Vec<String> {
    match answer {
        Answer::Found(records, _) => records.into_iter().map(|r| format!("{:?}", r.data)).collect(),
        other => panic!("{other:?}"),
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_name_without_a_record_of_the_kind_still_exists() {
    for there in [
        "cluster.local", "svc.cluster.local", "pod.cluster.local", "d.svc.cluster.local", "empty.svc.cluster.local",
        "d.pod.cluster.local", "dns.cluster.local", "_tcp.web.d.svc.cluster.local", "_udp.web.d.svc.cluster.local",
        "_tcp.db.d.svc.cluster.local",
    ] {
        for kind in [Kind::A, Kind::Aaaa, Kind::Txt, Kind::Srv, Kind::Ptr, Kind::Cname, Kind::Other] {
            assert_eq!(data(ask(there, kind)), NOTHING, "{there} {kind:?}");
        }
    }
    for (there, kind) in [("web.d.svc.cluster.local", Kind::Aaaa), ("dns-version.cluster.local", Kind::A)] {
        assert_eq!(data(ask(there, kind)), NOTHING, "{there}");
    }
    for absent in [
        "no.d.svc.cluster.local", "no.svc.cluster.local", "web.no.svc.cluster.local", "x.web.d.svc.cluster.local",
        "x.cluster.local", "_sctp.web.d.svc.cluster.local", "_tcp.bare.d.svc.cluster.local", "a.b.c.web.d.svc.cluster.local",
    ] {
        for kind in [Kind::A, Kind::Txt, Kind::Soa, Kind::Ns, Kind::Srv, Kind::Other] {
            assert_eq!(ask(absent, kind), Answer::NoSuchName, "{absent} {kind:?}");
        }
    }
    for other in ["example.com", "notcluster.local", "local"] {
        assert_eq!(ask(other, Kind::A), Answer::Elsewhere, "{other}");
    }
}

#[test]
fn a_namespace_is_there_as_long_as_it_is_whatever_is_in_it() {
    let namespaces = Informer::<Namespace>::detached();
    let world = World::follow(&Informer::<Service>::detached(), &Informer::<EndpointSlice>::detached(), &namespaces);
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "n"}})).expect("a namespace");
    let there = || answer(&world.lock(), &Options::of("cluster.local"), "n.svc.cluster.local", Kind::A) != Answer::NoSuchName;
    let before = world.version();
    assert!(!there());
    namespaces.apply(namespace.clone());
    assert!(there() && world.version() != before && world.lock().modified() > 0);
    namespaces.delete(&namespace);
    assert!(!there());
}

#[test]
fn a_service_that_changes_leaves_nothing_behind() {
    let (services, slices) = (Informer::<Service>::detached(), Informer::<EndpointSlice>::detached());
    let world = World::follow(&services, &slices, &Informer::<Namespace>::detached());
    let service = |name: &str, address: &str| -> Service {
        let tree = json!({"metadata": {"namespace": "n", "name": name}, "spec": {"clusterIP": address}});
        serde_json::from_value(tree).expect("a service")
    };
    let named = |address: [u8; 4]| world.lock().by_address(address.into()).map(|key| key.name.to_string());
    services.apply(service("a", "10.96.0.1"));
    services.apply(service("a", "10.96.0.3"));
    assert_eq!((named([10, 96, 0, 1]), named([10, 96, 0, 3]).as_deref()), (None, Some("a")));
    // An address that has gone over to another is its.
    services.apply(service("b", "10.96.0.3"));
    services.delete(&service("a", "10.96.0.3"));
    assert_eq!(named([10, 96, 0, 3]).as_deref(), Some("b"));

    let slice = |endpoints: &[&str]| -> EndpointSlice {
        let endpoints: Vec<_> = endpoints.iter().map(|address| json!({"addresses": [address]})).collect();
        let labels = json!({"kubernetes.io/service-name": "a"});
        let tree = json!({"metadata": {"namespace": "n", "name": "a-1", "labels": labels}, "addressType": "IPv4", "endpoints": endpoints});
        serde_json::from_value(tree).expect("a slice")
    };
    slices.apply(slice(&["10.244.0.5", "10.244.0.6"]));
    slices.apply(slice(&["10.244.0.6"]));
    assert_eq!([5, 6].map(|last| world.lock().by_endpoint([10, 244, 0, last].into()).len()), [0, 1]);
    slices.delete(&slice(&["10.244.0.6"]));
    assert!(world.lock().by_endpoint([10, 244, 0, 6].into()).is_empty());
}

#[test]
fn options_say_what_there_is() {
    let with = |change: fn(&mut Options), name: &str| {
        let mut options = Options::of("cluster.local");
        change(&mut options);
        ask_with(&options, name, Kind::A)
    };
    let absent = |change: fn(&mut Options), name: &str| assert_eq!(with(change, name), Answer::NoSuchName, "{name}");
    let there = |change: fn(&mut Options), name: &str| assert_eq!(data(with(change, name)).len(), 1, "{name}");
    absent(|o| o.pods = Pods::Disabled, "10-244-0-6.d.pod.cluster.local");
    absent(|o| o.namespaces = ["kube-system".to_owned()].into(), "web.d.svc.cluster.local");
    there(|o| o.namespaces = ["d".to_owned()].into(), "web.d.svc.cluster.local");
    absent(|o| o.namespace_labels = Labels::parse("a=b").ok(), "web.d.svc.cluster.local");
    absent(|o| o.labels = Labels::parse("a=b").ok(), "web.d.svc.cluster.local");
    there(|o| o.labels = Labels::parse("a!=b").ok(), "web.d.svc.cluster.local");
    absent(|o| o.ignore_empty = true, "bare.d.svc.cluster.local");
    there(|o| o.ignore_empty = true, "web.d.svc.cluster.local");
    absent(|o| o.endpoints = false, "db.d.svc.cluster.local");
    there(|o| o.pod_names = true, "web-pod.web.d.svc.cluster.local");
    absent(|o| o.pod_names = true, "10-244-0-20.web.d.svc.cluster.local");
}

fn records(name: &str, kind: Kind) -> Vec<String> {
    data(ask(&format!("{name}.svc.cluster.local"), kind))
}

#[test]
fn services_have_their_address_or_their_endpoints() {
    assert_eq!(records("web.d", Kind::A), ["Address(10.96.0.7)"]);
    assert_eq!(records("db.d", Kind::A), ["Address(10.244.0.5)", "Address(10.244.0.6)"]);
    assert_eq!(records("db.d", Kind::Aaaa), ["Address(fd00:244::)", "Address(fd00:244::5)"]);
    assert_eq!(records("db-0.db.d", Kind::A), ["Address(10.244.0.5)"]);
    assert_eq!(records("named.web.d", Kind::A), ["Address(10.244.0.21)"], "also of a service with an address");
    assert_eq!(records("outside.d", Kind::Cname), ["Cname(\"known.example\")"]);
    assert_eq!(ask("outside.d.svc.cluster.local", Kind::A), Answer::Alias("known.example".into()));
    assert_eq!(ask("10-244-0-7.db.d.svc.cluster.local", Kind::A), Answer::NoSuchName, "it is not ready");
    // One that publishes those that are not ready has them all.
    let environment = kit::environment();
    let services = kit::informer::<Service>(&json!([{"metadata": {"namespace": "d", "name": "db"},
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": true}}]));
    environment.world.follow_services(&services);
    let options = Options::of("cluster.local");
    let found = answer(&environment.world.lock(), &options, "db.d.svc.cluster.local", Kind::A);
    assert_eq!(data(found).len(), 3);
}

#[test]
fn ports_are_found_by_name() {
    assert_eq!(records("_http._tcp.web.d", Kind::Srv), ["Srv(100, 80, \"web.d.svc.cluster.local\")"]);
    assert_eq!(records("web.d", Kind::Srv).len(), 3);
    assert_eq!(ask("_http._udp.web.d.svc.cluster.local", Kind::Srv), Answer::NoSuchName);
    let Answer::Found(found, more) = ask("_admin._tcp.db.d.svc.cluster.local", Kind::Srv) else { panic!("found") };
    assert_eq!(found[0].data, Data::Srv(50, 8080, "db-0.db.d.svc.cluster.local".into()));
    assert_eq!((found.len(), more.len(), &more[0].name[..]), (2, 2, "db-0.db.d.svc.cluster.local"));
}

#[test]
fn addresses_have_names_and_the_zone_has_servers() {
    assert_eq!(data(ask("7.0.96.10.in-addr.arpa", Kind::Ptr)), ["Ptr(\"web.d.svc.cluster.local\")"]);
    assert_eq!(data(ask("5.0.244.10.in-addr.arpa", Kind::Ptr)), ["Ptr(\"db-0.db.d.svc.cluster.local\")"]);
    assert_eq!(ask("8.8.8.8.in-addr.arpa", Kind::Ptr), Answer::NoSuchName);
    assert_eq!(data(ask("7.0.96.10.in-addr.arpa", Kind::A)), NOTHING, "it has a name, and no address");
    let server = "kube-dns.kube-system.svc.cluster.local";
    let Answer::Found(found, more) = ask("cluster.local", Kind::Ns) else { panic!("found") };
    assert_eq!((&found[0].data, &more[0].name[..]), (&Data::Ns(server.into()), server));
    assert_eq!(data(ask("ns.dns.cluster.local", Kind::A)), ["Address(10.96.0.10)"]);
    let own = Options { addresses: vec![[192, 0, 2, 1].into()], ..Options::of("cluster.local") };
    assert_eq!(data(ask_with(&own, "ns.dns.cluster.local", Kind::A)), ["Address(192.0.2.1)"], "no service stands for it");
}
