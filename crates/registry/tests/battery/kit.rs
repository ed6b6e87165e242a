//! A registry, and short ways to ask it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use meta::selector::{Fields, Labels};
use meta::{Attributes, Object, Status};
use registry::api::*;
use registry::{Config, Registry};
use serde_json::{Value, json};
use store::Memory;

pub struct World {
    pub registry: Arc<Registry>,
    pub store: Arc<Memory>,
}

/// A registry with all built-in kinds over an empty memory store.
pub async fn world() -> World {
    let store = Arc::new(Memory::new());
    // Impatient, so that tests of waiting are quick.
    let (patience, bookmark_period) = (Duration::from_millis(50), Duration::from_millis(60));
    let short_watch = Duration::ZERO;
    let config = Config { patience, bookmark_period, short_watch, watch_room: 64, ..Config::default() };
    let registry = Registry::open(store.clone(), kinds::all(), Vec::new(), config).await;
    World { registry: registry.expect("opens"), store }
}

pub fn object(value: Value) -> Object {
    Object::from_value(value).expect("an object")
}

/// A ConfigMap in `default`.
pub fn config_map(name: &str, data: Value) -> Object {
    object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}))
}

pub fn value(encoded: &meta::Encoded) -> Object {
    encoded.object().expect("readable")
}

/// `pods`, `deployments.apps/scale`; namespace and name as given.
pub fn call(path: &str, namespace: &str, name: &str) -> Call {
    let (path, subresource) = path.split_once('/').unwrap_or((path, ""));
    let (resource, group) = path.split_once('.').unwrap_or((path, ""));
    let attributes = Attributes {
        group: group.to_owned(),
        version: "v1".to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Attributes::default()
    };
    Call { attributes, dry_run: false, field_validation: FieldValidation::Warn, field_manager: "test".to_owned() }
}

/// A call about a ConfigMap in `default`.
pub fn cm(name: &str) -> Call {
    call("configmaps", "default", name)
}

pub fn scope(namespace: &str, labels: &str, fields: &str) -> Scope {
    Scope {
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        labels: Labels::parse(labels).expect("a label selector"),
        fields: Fields::parse(fields).expect("a field selector"),
    }
}

impl World {
    pub async fn create(&self, call: &Call, new: Object) -> Result<Object, Status> {
        self.registry.create(call, new).await.map(|w| value(&w.object))
    }

    /// Creates a ConfigMap in `default`.
    pub async fn make(&self, name: &str) -> Object {
        self.create(&cm(""), config_map(name, json!({}))).await.expect("created")
    }

    pub async fn get(&self, call: &Call) -> Result<Object, Status> {
        self.registry.get(&call.attributes, "").await.map(|o| value(&o))
    }

    pub async fn update(&self, call: &Call, new: Object) -> Result<Object, Status> {
        self.registry.update(call, new).await.map(|w| value(&w.object))
    }

    pub async fn patch(&self, call: &Call, patch: Patch) -> Result<Object, Status> {
        self.registry.patch(call, patch).await.map(|w| value(&w.object))
    }

    pub async fn delete(&self, call: &Call, options: DeleteOptions) -> Result<(Object, bool), Status> {
        self.registry.delete(call, options).await.map(|d| (value(&d.object), d.gone))
    }

    pub async fn list(&self, scope: &Scope, options: &ListOptions) -> Result<List, Status> {
        self.registry.list(&cm("").attributes, scope, options).await
    }

    pub async fn watch(&self, resource: &str, scope: Scope, options: WatchOptions) -> Result<WatchStream, Status> {
        self.registry.watch(&call(resource, "", "").attributes, scope, options).await
    }
}

pub fn names(list: &List) -> Vec<String> {
    list.items.iter().map(|o| o.key.to_string()).collect()
}

/// The next frame, as `ADDED a 5`, `BOOKMARK 7`, `BOOKMARK! 7` (the end of the initial events).
pub async fn frame(stream: &mut WatchStream) -> String {
    let next = tokio::time::timeout(Duration::from_secs(60), stream.next()).await;
    let show = |word: &str, o: &meta::Encoded| {
        assert_eq!(value(o).resource_version(), o.revision.to_string(), "the bytes carry the revision");
        format!("{word} {} {}", o.key.name, o.revision)
    };
    match next.expect("a frame in time") {
        None => "END".to_owned(),
        Some(WatchEvent::Added(o)) => show("ADDED", &o),
        Some(WatchEvent::Modified(o)) => show("MODIFIED", &o),
        Some(WatchEvent::Deleted(o)) => show("DELETED", &o),
        Some(WatchEvent::Bookmark { revision, initial_end }) => {
            format!("BOOKMARK{} {revision}", if initial_end { "!" } else { "" })
        }
        Some(WatchEvent::Error(status)) => format!("ERROR {}", status.message),
    }
}
