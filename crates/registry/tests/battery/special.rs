//! Namespaces, scale, services, status, events in two forms, kinds that come and go.

use registry::api::{Call, DeleteOptions, ListOptions, Patch, WatchOptions};
use serde_json::json;

use crate::kit::*;

#[tokio::test]
async fn a_namespace_goes_when_it_is_finalized() {
    let w = world().await;
    let target = call("namespaces", "", "n");
    let new = object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}));
    let made = w.create(&call("namespaces", "", ""), new).await.expect("created");
    assert_eq!((made.list_at("spec.finalizers"), made.str_at("status.phase")), (&[json!("kubernetes")][..], "Active"));
    let (marked, gone) = w.delete(&target, DeleteOptions::default()).await.expect("marked");
    assert!(!gone && marked.deletion_timestamp().is_some());
    assert_eq!(marked.str_at("status.phase"), "Terminating");
    let (_, gone) = w.delete(&target, DeleteOptions::default()).await.expect("held");
    assert!(!gone);
    let mut finalized = marked.clone();
    finalized.remove("spec.finalizers");
    let kept = w.update(&target, finalized.clone()).await.expect("no other update changes them");
    assert_eq!(kept.list_at("spec.finalizers"), [json!("kubernetes")]);
    w.update(&call("namespaces/finalize", "", "n"), finalized).await.expect("finalized");
    assert_eq!(w.get(&target).await.map_err(|s| s.code), Err(404));
}

fn deployment() -> meta::Object {
    object(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 2,
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}}}}))
}

#[tokio::test]
async fn scale_is_an_object_of_its_own() {
    let w = world().await;
    let made = w.create(&call("deployments.apps", "default", ""), deployment()).await.expect("created");
    let target = call("deployments.apps/scale", "default", "d");
    let mut scale = w.get(&target).await.expect("scale");
    assert_eq!((scale.kind(), scale.api_version()), ("Scale", "autoscaling/v1"));
    assert_eq!((scale.i64_at("spec.replicas"), scale.str_at("status.selector")), (Some(2), "a=b"));
    scale.set("spec.replicas", 5);
    let scaled = w.update(&target, scale.clone()).await.expect("scaled");
    assert_eq!(scaled.i64_at("spec.replicas"), Some(5));
    assert_eq!(w.update(&target, scale).await.map_err(|s| s.code), Err(409));
    let patched = w.patch(&target, Patch::Merge(json!({"spec": {"replicas": 7}}))).await.expect("patched");
    assert_eq!(patched.i64_at("spec.replicas"), Some(7));
    let now = w.get(&call("deployments.apps", "default", "d")).await.expect("there");
    assert_eq!((now.i64_at("spec.replicas"), now.uid()), (Some(7), made.uid()));
    let status = w.patch(&target, Patch::Merge(json!({"spec": {"replicas": -1}}))).await.expect_err("negative");
    assert_eq!(
        status.message,
        r#"Scale.autoscaling "d" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"#
    );
}

#[tokio::test]
async fn status_changes_through_its_own_door_alone() {
    let w = world().await;
    w.create(&call("deployments.apps", "default", ""), deployment()).await.expect("created");
    let target = call("deployments.apps/status", "default", "d");
    let patch = Patch::Merge(json!({"spec": {"replicas": 9}, "status": {"observedGeneration": 4}}));
    let patched = w.patch(&target, patch).await.expect("patched");
    assert_eq!((patched.i64_at("spec.replicas"), patched.i64_at("status.observedGeneration")), (Some(2), Some(4)));
    let nothing = w.get(&call("configmaps/status", "default", "d")).await;
    assert_eq!(nothing.map_err(|s| s.code), Err(404));
}

#[tokio::test]
async fn services_hold_addresses_and_ports() {
    let w = world().await;
    let service = |name: &str, sort: &str, ip: &str| {
        object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": sort, "clusterIP": ip, "selector": {"a": "b"},
                "ports": [{"name": "p", "port": 80, "targetPort": 80, "protocol": "TCP"}]}}))
    };
    let services = call("services", "default", "");
    let a = w.create(&services, service("a", "NodePort", "")).await.expect("created");
    let ip = a.str_at("spec.clusterIP").to_owned();
    assert!(ip.starts_with("10."), "{ip}");
    let port = a.list_at("spec.ports")[0]["nodePort"].as_u64().expect("a node port");
    assert!((30000..=32767).contains(&port));
    let status = w.create(&services, service("b", "ClusterIP", &ip)).await.expect_err("taken");
    assert!(status.message.ends_with("provided IP is already allocated"), "{status}");
    let status = w.create(&services, service("b", "ClusterIP", "192.168.1.1")).await.expect_err("outside");
    assert!(status.message.ends_with("the provided network does not match the current range"), "{status}");
    // An update that leaves them out keeps them.
    let kept = w.update(&call("services", "default", "a"), service("a", "NodePort", "")).await.expect("updated");
    assert_eq!(kept.str_at("spec.clusterIP"), ip);
    w.delete(&call("services", "default", "a"), DeleteOptions::default()).await.expect("deleted");
    w.create(&services, service("b", "ClusterIP", &ip)).await.expect("free again");
}

#[tokio::test]
async fn ranges_that_are_ready_have_addresses_for_services() {
    let w = world().await;
    let service = |name: &str, ip: &str| {
        object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"clusterIP": ip, "ports": [{"port": 80}]}}))
    };
    let (services, cidrs) = (call("services", "default", ""), "servicecidrs.networking.k8s.io");
    let outside = "the provided network does not match the current range";
    let refused = async |name: &str, ip: &str| w.create(&services, service(name, ip)).await.expect_err("refused").message;
    let cidr = json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "more", "finalizers": ["x/y"]},
        "spec": {"cidrs": ["203.0.113.0/24"]}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    w.create(&call(cidrs, "", ""), object(cidr)).await.expect("created");
    assert!(refused("a", "203.0.113.10").await.ends_with(outside), "nobody may say by himself that it is ready");
    let status = |ready: &str| {
        let condition = json!({"type": "Ready", "status": ready, "reason": "", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        Patch::Merge(json!({"status": {"conditions": [condition]}}))
    };
    let of_status = call(&format!("{cidrs}/status"), "", "more");
    w.patch(&of_status, status("True")).await.expect("ready");
    w.create(&services, service("a", "203.0.113.10")).await.expect("created");
    // An address that somebody else has taken by its object.
    let parent = json!({"group": "g.io", "resource": "things", "name": "x"});
    let address = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "203.0.113.11"}, "spec": {"parentRef": parent}});
    w.create(&call("ipaddresses.networking.k8s.io", "", ""), object(address)).await.expect("created");
    assert!(refused("b", "203.0.113.11").await.ends_with("provided IP is already allocated"));
    w.delete(&call("ipaddresses.networking.k8s.io", "", "203.0.113.11"), DeleteOptions::default()).await.expect("deleted");
    w.create(&services, service("b", "203.0.113.11")).await.expect("free again");
    // One that ends gives no more, and keeps what it has given.
    w.delete(&call(cidrs, "", "more"), DeleteOptions::default()).await.expect("it ends");
    assert!(refused("c", "203.0.113.12").await.ends_with(outside));
    let kept = w.update(&call("services", "default", "a"), service("a", "203.0.113.10")).await.expect("updated");
    assert_eq!(kept.str_at("spec.clusterIP"), "203.0.113.10");
}

#[tokio::test]
async fn a_kind_may_come_and_go() {
    let w = world().await;
    let mut kind = (*w.registry.kind("", "v1", "configmaps").expect("served")).clone();
    kind.resource = "widgets".into();
    kind.storage = "/registry/widgets/".into();
    let widgets = call("widgets", "default", "");
    assert!(w.create(&widgets, config_map("a", json!({}))).await.is_err());
    w.registry.add_kind(kind.clone()).await.expect("added");
    w.create(&widgets, config_map("a", json!({}))).await.expect("created");
    let mut watch = w.watch("widgets", scope("", "", ""), Default::default()).await.expect("a watch");
    assert!(frame(&mut watch).await.starts_with("ADDED a "));
    w.registry.remove_kind("", "v1", "widgets").await.expect("removed");
    assert_eq!(frame(&mut watch).await, "END");
    assert!(w.get(&call("widgets", "default", "a")).await.is_err());
    w.registry.add_kind(kind).await.expect("added again");
    let list = w.registry.list(&widgets.attributes, &scope("", "", ""), &ListOptions::default()).await;
    assert_eq!(names(&list.expect("listed")), ["default/a"]);
}

#[tokio::test]
async fn events_have_two_forms_and_one_storage() {
    let w = world().await;
    let event = object(json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}, "reason": "Tested", "message": "hello",
        "type": "Normal", "source": {"component": "test"}, "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z"}));
    let newer = call("events.events.k8s.io", "default", "e");
    let watched = WatchOptions::default();
    let mut watch =
        w.registry.watch(&newer.attributes, scope("", "", "regarding.name=p"), watched).await.expect("a watch");
    let made = w.create(&call("events", "default", ""), event).await.expect("created");
    let shown = w.get(&newer).await.expect("the same object");
    assert_eq!((shown.api_version(), shown.str_at("note")), ("events.k8s.io/v1", "hello"));
    assert_eq!((shown.str_at("regarding.name"), shown.resource_version()), ("p", made.resource_version()));
    assert_eq!(frame(&mut watch).await, format!("ADDED e {}", made.resource_version()));
    let patched = w.patch(&newer, Patch::Merge(json!({"metadata": {"labels": {"l": "v"}}}))).await.expect("patched");
    assert_eq!((patched.str_at("note"), patched.label("l")), ("hello", Some("v")));
    let core = w.get(&call("events", "default", "e")).await.expect("there");
    assert_eq!((core.str_at("message"), core.label("l")), ("hello", Some("v")));
    assert_eq!(core.resource_version(), patched.resource_version());
    let all = ListOptions::default();
    let listed = w.registry.list(&newer.attributes, &scope("default", "", "regarding.name=q"), &all).await;
    assert_eq!(names(&listed.expect("listed")).len(), 0);
}

#[tokio::test]
async fn a_change_through_scale_has_its_own_account() {
    let w = world().await;
    let made = Call { field_manager: "maker".to_owned(), ..call("deployments.apps", "default", "") };
    w.create(&made, deployment()).await.expect("created");
    let scale = |manager: &str| Call { field_manager: manager.to_owned(), ..call("deployments.apps/scale", "default", "d") };
    let account = async || -> Vec<(String, String, bool)> {
        let now = w.get(&call("deployments.apps", "default", "d")).await.expect("there");
        let text = |v: &serde_json::Value| v.as_str().unwrap_or("").to_owned();
        let entries = now.list_at("metadata.managedFields").iter();
        entries.map(|m| (text(&m["manager"]), text(&m["subresource"]), m["fieldsV1"]["f:spec"].get("f:replicas").is_some())).collect()
    };
    let to = |replicas: i64| Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let entry = |manager: &str, subresource: &str, replicas| (manager.to_owned(), subresource.to_owned(), replicas);
    w.patch(&scale("scaler"), to(5)).await.expect("scaled");
    let mut both = account().await;
    both.sort();
    assert_eq!(both, [entry("maker", "", false), entry("scaler", "scale", true)]);
    // Who applies the scale owns it; another one is told of it.
    let apply = |replicas: i64, force| Patch::Apply {
        configuration: object(json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": replicas}})),
        force,
    };
    let status = w.patch(&scale("applier"), apply(7, false)).await.expect_err("a conflict");
    assert!(status.message.contains("conflict with \"scaler\" with subresource \"scale\" using autoscaling/v1: .spec.replicas"), "{status}");
    w.patch(&scale("applier"), apply(7, true)).await.expect("applied");
    let mut both = account().await;
    both.sort();
    assert_eq!(both, [entry("applier", "scale", true), entry("maker", "", false)]);
}
