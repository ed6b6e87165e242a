//! What a client sends costs what its size says: every list and map of every type is sent once and six times as long,
//! through every verb that takes an object. The processor's time of this thread is counted, not time that passes.

use std::collections::HashSet;
use std::time::Duration;

use kinds::{Descriptor, Verbs};
use meta::Object;
use nix::time::{ClockId, clock_gettime};
use registry::api::{Call, FieldValidation, Patch};
use schema::{Field, Kind, Shape, Type};
use serde_json::{Value, json};

use crate::kit::*;

/// Bytes of the shorter of both lists.
const SHORT: usize = 10_000;
const TIMES: usize = 6;
/// What six times as much may cost: linear work takes six times as long, quadratic thirty-six times.
const FACTOR: u32 = 15;
/// What is faster than this is not looked at: the clock and the allocator have their own steps.
const NOTHING: Duration = Duration::from_millis(100);

/// A list or map of a kind: the fields that lead to it.
type Place<'s> = Vec<&'s Field>;

/// All lists and maps below a type. Each type is gone into once, where it is found first.
fn places<'s>(of: &'s Type, above: &Place<'s>, known: &mut HashSet<String>, out: &mut Vec<Place<'s>>) {
    if !known.insert(of.name.to_string()) {
        return;
    }
    for field in &of.fields {
        let place: Place = above.iter().copied().chain([field]).collect();
        if matches!(&field.shape.kind, Kind::List { .. } | Kind::Map { .. }) {
            out.push(place.clone());
        }
        if let Some(below) = item(&field.shape).fields() {
            places(below, &place, known, out);
        }
    }
}

fn item(shape: &Shape) -> &Shape {
    match &shape.kind {
        Kind::List { item, .. } => self::item(item),
        Kind::Map { value, .. } => self::item(value),
        _ => shape,
    }
}

/// A value of its sort that differs from others by its number.
fn value(shape: &Shape, field: Option<&Field>, at: usize, whole: bool) -> Value {
    if let Some(known) = field.and_then(|field| field.values.first()) {
        return Value::from(&**known);
    }
    let small = i64::try_from(at % 30_000).unwrap_or(0) + 1;
    match &shape.kind {
        Kind::String => Value::from(format!("n{at}")),
        Kind::Bytes => Value::from("YQ=="),
        Kind::Bool => Value::from(true),
        Kind::Int32 | Kind::Int64 | Kind::Int | Kind::IntOrString => Value::from(small),
        Kind::Float => Value::from(0.5),
        Kind::Quantity => Value::from(small.to_string()),
        Kind::Time => Value::from("2030-01-01T00:00:00Z"),
        Kind::MicroTime => Value::from("2030-01-01T00:00:00.000000Z"),
        Kind::Struct(t) => structure(t.get(), at, whole),
        Kind::List { item, .. } => json!([value(item, None, at, whole)]),
        Kind::Map { value: shape, .. } => json!({format!("k{at}"): value(shape, None, at, whole)}),
        _ => json!({}),
    }
}

/// An item: with all of its scalars, or with what it is known by alone.
fn structure(t: &Type, at: usize, whole: bool) -> Value {
    let plain = |field: &&Field| !matches!(field.shape.kind, Kind::Struct(_) | Kind::List { .. } | Kind::Map { .. });
    let known = |field: &&Field| matches!(&*field.name, "name" | "key" | "ip" | "containerPort" | "port" | "uid" | "mountPath");
    let fields = t.fields.iter().filter(plain).filter(|field| whole || known(field));
    Value::Object(fields.map(|field| (field.name.to_string(), value(&field.shape, Some(field), at, whole))).collect())
}

/// Puts a list or map of about that many bytes at a place, into what is there.
fn fill(tree: &mut Value, place: &[&Field], bytes: usize, filling: Filling) {
    let Some((field, below)) = place.split_first() else { return };
    let Value::Object(map) = tree else { return };
    let slot = map.entry(field.name.to_string()).or_insert(Value::Null);
    if below.is_empty() {
        return *slot = filled(field, bytes, filling);
    }
    if slot.is_null() {
        *slot = value(&field.shape, Some(field), 0, true);
    }
    let inner = match slot {
        Value::Array(list) => list.first_mut(),
        Value::Object(map) if matches!(field.shape.kind, Kind::Map { .. }) => map.values_mut().next(),
        other => Some(other),
    };
    if let Some(inner) = inner {
        fill(inner, below, bytes, filling);
    }
}

/// What a long list is filled with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Filling {
    /// Items that differ.
    Different,
    /// The same item over and over.
    Same,
}

fn filled(field: &Field, bytes: usize, filling: Filling) -> Value {
    let (shape, is_map) = match &field.shape.kind {
        Kind::List { item, .. } => (item, false),
        Kind::Map { value, .. } => (value, true),
        _ => return Value::Null,
    };
    let entry = |at: usize| value(shape, None, if filling == Filling::Same { 7 } else { at }, false);
    let size = entry(10_000).to_string().len() + if is_map { 10 } else { 1 };
    let count = 0..bytes.div_ceil(size);
    if is_map {
        Value::Object(count.map(|at| (format!("k{at}"), entry(at))).collect())
    } else {
        Value::Array(count.map(entry).collect())
    }
}

/// An object of the kind that is in order, as far as it matters for what comes after its check.
fn sample(kind: &Descriptor) -> Value {
    let pod = json!({"containers": [{"name": "c", "image": "i"}]});
    let labels = json!({"a": "b"});
    let mut tree = match &*kind.gvk.kind {
        "Pod" => json!({"spec": pod}),
        "Deployment" | "ReplicaSet" => {
            json!({"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}})
        }
        "Service" => json!({"spec": {"ports": [{"port": 1}]}}),
        "EndpointSlice" => json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}]}),
        "RoleBinding" | "ClusterRoleBinding" => json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}}),
        _ => json!({}),
    };
    tree["kind"] = Value::from(&*kind.gvk.kind);
    tree["apiVersion"] = Value::from(kind.gvk.api_version());
    tree["metadata"] = json!({"name": "a", "namespace": if kind.namespaced { "default" } else { "" }});
    tree
}

fn used() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock").into()
}

/// Sends an object through every verb; refusals are answers, too.
async fn send(world: &World, kind: &Descriptor, tree: Value) {
    let call = |name: &str| {
        let namespace = if kind.namespaced { "default" } else { "" };
        let mut call = call("", namespace, name);
        (call.attributes.group, call.attributes.version) = (kind.gvk.group.to_string(), kind.gvk.version.to_string());
        call.attributes.resource = kind.resource.to_string();
        Call { field_validation: FieldValidation::Strict, ..call }
    };
    let decoded = kind.schema.decode_json(tree.to_string().as_bytes()).map(|decoded| decoded.object).unwrap_or_default();
    drop(world.create(&call(""), decoded.clone()).await);
    drop(world.create(&call(""), Object::from_value(sample(kind)).expect("an object")).await);
    drop(world.update(&call("a"), decoded).await);
    let mut patch = tree.clone();
    patch["metadata"]["labels"] = json!({"merged": "1"});
    drop(world.patch(&call("a"), Patch::Strategic(patch)).await);
    let operations = json!([{"op": "replace", "path": "", "value": tree}, {"op": "test", "path": "", "value": tree}]);
    drop(world.patch(&call("a"), Patch::Json(operations)).await);
    let configuration = Object::from_value(tree).expect("an object");
    drop(world.patch(&call("a"), Patch::Apply { configuration, force: true }).await);
    drop(world.patch(&call("a"), Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}}))).await);
}

async fn cost(kind: &Descriptor, place: &Place<'_>, bytes: usize, filling: Filling) -> Duration {
    let world = world().await;
    let mut tree = sample(kind);
    fill(&mut tree, place, bytes, filling);
    let start = used();
    send(&world, kind, tree).await;
    used().saturating_sub(start)
}

#[tokio::test]
async fn every_list_costs_what_its_length_says() {
    let (mut wrong, mut known, mut count) = (Vec::new(), HashSet::new(), 0);
    // Pods first: what they have in common with others is then looked at in them.
    let mut kinds = kinds::all();
    kinds.sort_by_key(|kind| &*kind.gvk.kind != "Pod");
    for kind in kinds.iter().filter(|kind| kind.verbs != Verbs::CreateOnly) {
        let mut all = Vec::new();
        places(kind.schema.root(), &Vec::new(), &mut known, &mut all);
        for place in all {
            let name = place.iter().map(|field| field.name.as_ref()).collect::<Vec<_>>().join(".");
            for filling in [Filling::Different, Filling::Same] {
                count += 1;
                let long = cost(kind, &place, SHORT * TIMES, filling).await;
                if long > NOTHING {
                    let short = cost(kind, &place, SHORT, filling).await;
                    if long > short * FACTOR {
                        wrong.push(format!("{} {name} {filling:?}: {short:?} became {long:?}", kind.gvk.kind));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 300, "only {count}");
}
