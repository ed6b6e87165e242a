//! Questions and answers.

use super::*;
use crate::world::World;
use client::Informer;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

fn world() -> World {
    let (services, slices) = (Informer::<Service>::detached(), Informer::<EndpointSlice>::detached());
    let service = |name: &str, spec: Value| {
        let tree = json!({"metadata": {"namespace": "d", "name": name}, "spec": spec});
        services.apply(serde_json::from_value(tree).expect("a service"));
    };
    service("web", json!({"clusterIP": "10.96.0.7", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}));
    service("db", json!({"clusterIP": "None", "ports": [{"name": "sql", "port": 5432}]}));
    service("out", json!({"type": "ExternalName", "externalName": "example.com."}));
    let labels = json!({"kubernetes.io/service-name": "db"});
    let slice = json!({"metadata": {"namespace": "d", "name": "db-1", "labels": labels}, "addressType": "IPv4",
        "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": ["10.244.0.5"], "hostname": "db-0"},
            {"addresses": ["10.244.0.6"]},
            {"addresses": ["10.244.0.7"], "conditions": {"ready": false}},
        ]});
    slices.apply(serde_json::from_value(slice).expect("a slice"));
    World::follow(&services, &slices)
}

fn ask(name: &str, kind: Kind) -> Answer {
    answer(&world().lock(), "cluster.local", name, kind)
}

fn data(answer: Answer) -> Vec<Data> {
    match answer {
        Answer::Found(records, _) => records.into_iter().map(|r| r.data).collect(),
        other => panic!("{other:?}"),
    }
}

const EMPTY: [Data; 0] = [];

#[test]
fn services_have_their_address_or_their_endpoints() {
    assert_eq!(data(ask("web.d.svc.cluster.local", Kind::A)), [Data::A([10, 96, 0, 7].into())]);
    let both = [Data::A([10, 244, 0, 5].into()), Data::A([10, 244, 0, 6].into())];
    assert_eq!(data(ask("db.d.svc.cluster.local", Kind::A)), both);
    assert_eq!(data(ask("out.d.svc.cluster.local", Kind::A)), [Data::Cname("example.com".into())]);
    assert_eq!(data(ask("db-0.db.d.svc.cluster.local", Kind::A)), [Data::A([10, 244, 0, 5].into())]);
    assert_eq!(data(ask("10-244-0-6.db.d.svc.cluster.local", Kind::A)), [Data::A([10, 244, 0, 6].into())]);
    assert_eq!(data(ask("1-2-3-4.d.pod.cluster.local", Kind::A)), [Data::A([1, 2, 3, 4].into())]);
}

#[test]
fn a_name_without_a_record_of_the_kind_still_exists() {
    assert_eq!(data(ask("web.d.svc.cluster.local", Kind::Other)), EMPTY);
    assert_eq!(data(ask("db.d.svc.cluster.local", Kind::Other)), EMPTY);
    assert_eq!(data(ask("d.svc.cluster.local", Kind::A)), EMPTY);
    for absent in ["no.d.svc.cluster.local", "no.svc.cluster.local", "x.web.d.svc.cluster.local", "x.cluster.local"] {
        assert_eq!(ask(absent, Kind::A), Answer::NoSuchName, "{absent}");
    }
    for other in ["example.com", "notcluster.local", "local"] {
        assert_eq!(ask(other, Kind::A), Answer::Elsewhere, "{other}");
    }
}

#[test]
fn ports_are_found_by_name() {
    let web = "web.d.svc.cluster.local";
    assert_eq!(data(ask(&format!("_http._tcp.{web}"), Kind::Srv)), [Data::Srv(80, web.into())]);
    assert_eq!(ask(&format!("_http._udp.{web}"), Kind::Srv), Answer::NoSuchName);
    let Answer::Found(records, more) = ask("_sql._tcp.db.d.svc.cluster.local", Kind::Srv) else { panic!("found") };
    assert_eq!(records[0].data, Data::Srv(5432, "db-0.db.d.svc.cluster.local".into()));
    assert_eq!((records.len(), more.len(), &more[0].name[..]), (2, 2, "db-0.db.d.svc.cluster.local"));
}

#[test]
fn addresses_have_names() {
    assert_eq!(data(ask("7.0.96.10.in-addr.arpa", Kind::Ptr)), [Data::Ptr("web.d.svc.cluster.local".into())]);
    assert_eq!(data(ask("5.0.244.10.in-addr.arpa", Kind::Ptr)), [Data::Ptr("db-0.db.d.svc.cluster.local".into())]);
    assert_eq!(ask("8.8.8.8.in-addr.arpa", Kind::Ptr), Answer::Elsewhere);
}

#[test]
fn a_namespace_is_there_as_long_as_it_has_a_service() {
    let (services, slices) = (Informer::<Service>::detached(), Informer::<EndpointSlice>::detached());
    let world = World::follow(&services, &slices);
    let service = |name: &str, address: &str| -> Service {
        let tree = json!({"metadata": {"namespace": "n", "name": name}, "spec": {"clusterIP": address}});
        serde_json::from_value(tree).expect("a service")
    };
    let there = || answer(&world.lock(), "cluster.local", "n.svc.cluster.local", Kind::A) != Answer::NoSuchName;
    assert!(!there());
    services.apply(service("a", "10.96.0.1"));
    services.apply(service("b", "10.96.0.2"));
    // A change is no second one.
    services.apply(service("a", "10.96.0.3"));
    services.delete(&service("a", "10.96.0.3"));
    assert!(there());
    services.delete(&service("b", "10.96.0.2"));
    assert!(!there());
}
