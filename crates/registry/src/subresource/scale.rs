//! `scale` of what has replicas: a small object of its own kind.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use jiff::Timestamp;
use kinds::{Replicas, Selector};
use meta::field::{Error, Path};
use meta::selector::{Labels, Operator};
use meta::{Encoded, Gvk, Object, Status};
use schema::Schema;
use serde_json::{Value, json};

use super::Subresource;
use crate::api::{Call, Patch, Sent, Written};
use crate::apply::{Writer, scale as account};
use crate::codec::shown as shown_as;
use crate::kind::Kind;
use crate::registry::Registry;
use crate::write::lifecycle::{check_name, ensure_namespace};
use crate::write::patch::Patching;
use crate::write::edit::Edit;

pub(super) struct Scale;

#[async_trait]
impl Subresource for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    async fn get(&self, _registry: &Registry, kind: &Kind, object: Arc<Encoded>) -> Result<Arc<Encoded>, Status> {
        shown(kind, &object)
    }

    async fn update(&self, registry: &Registry, call: &Call, kind: &Kind, object: Object) -> Result<Written, Status> {
        let schema = schema()?;
        let change = |old: &Object| {
            let mut new = object.clone();
            writer(&schema, call).track_alike(old, &mut new, Timestamp::now());
            Ok((new, Vec::new()))
        };
        let (replicas, is_custom) = (&kind.descriptor.replicas, kind.descriptor.is_custom());
        let mut edit = Rescale { replicas, is_custom, change, warnings: Vec::new() };
        answer(kind, registry.change(call, kind, "scale", &mut edit).await?)
    }

    async fn patch(&self, registry: &Registry, call: &Call, kind: &Kind, patch: Sent) -> Result<Written, Status> {
        let schema = schema()?;
        let mut patching = Patching::new(writer(&schema, call), &patch, call.field_validation, &|_| {})?;
        let change = |old: &Object| {
            // A Scale has one version: nobody is waited for.
            let patched = patching.patched(old.clone()).now_or_never();
            let mut new = patched.unwrap_or_else(|| Err(Status::internal("a Scale is not converted")))?;
            if !matches!(patch.patch, Patch::Apply { .. }) {
                writer(&schema, call).track_alike(old, &mut new, Timestamp::now());
            }
            Ok((new, patching.take_warnings()))
        };
        let (replicas, is_custom) = (&kind.descriptor.replicas, kind.descriptor.is_custom());
        let mut edit = Rescale { replicas, is_custom, change, warnings: Vec::new() };
        answer(kind, registry.change(call, kind, "scale", &mut edit).await?)
    }
}

fn schema() -> Result<Schema, Status> {
    Schema::builtin(&Gvk::new("autoscaling", "v1", "Scale")).ok_or_else(Status::no_such_resource)
}

/// Who writes a Scale.
fn writer<'a>(schema: &'a Schema, call: &'a Call) -> Writer<'a> {
    Writer { schema, manager: &call.field_manager, subresource: "scale", reset: &[&["status"]], converter: None }
}

fn answer(kind: &Kind, written: Written) -> Result<Written, Status> {
    Ok(Written { object: shown(kind, &written.object)?, ..written })
}

fn shown(kind: &Kind, object: &Encoded) -> Result<Arc<Encoded>, Status> {
    let (replicas, object_tree) = (&kind.descriptor.replicas, object.object()?);
    if kind.descriptor.is_custom() && object_tree.at(&replicas.wanted).is_none() {
        let path = format!(".{}", replicas.wanted);
        return Err(Status::internal(format!("the spec replicas field {path:?} does not exist")));
    }
    let scale = scale_of(&object_tree, replicas);
    let (json, _) = schema()?.encode(&scale, false);
    Ok(shown_as(object.key.clone(), object.revision, json))
}

/// The Scale that shows an object.
fn scale_of(object: &Object, replicas: &Replicas) -> Object {
    let mut scale = Object::default();
    scale.set_gvk(&Gvk::new("autoscaling", "v1", "Scale"));
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        let path = format!("metadata.{field}");
        if let Some(value) = object.at(&path) {
            scale.set(&path, value.clone());
        }
    }
    // A zero is left out of the spec, not out of the status.
    let spec = object.i64_at(&replicas.wanted).unwrap_or(0);
    scale.set("spec", if spec == 0 { json!({}) } else { json!({ "replicas": spec }) });
    scale.set("status.replicas", object.i64_at(&replicas.present).unwrap_or(0));
    let selector = match &replicas.selector {
        Selector::Labels(path) => selector_text(object.at(path)),
        Selector::Text(path) => object.str_at(path).to_owned(),
        Selector::None => String::new(),
    };
    if !selector.is_empty() {
        scale.set("status.selector", selector);
    }
    scale
}

/// A label selector as a text, in which expressions stay sets even of one value.
fn selector_text(selector: Option<&Value>) -> String {
    let Ok(labels) = Labels::from_value(selector) else { return String::new() };
    let exact = selector.and_then(|s| s.get("matchLabels")).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    let mut texts: Vec<(String, String)> = Vec::new();
    for (place, requirement) in labels.requirements.into_iter().enumerate() {
        let key = requirement.key.clone();
        let values = requirement.values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let text = match requirement.operator {
            Operator::In if place >= exact => format!("{key} in ({values})"),
            Operator::NotIn => format!("{key} notin ({values})"),
            _ => Labels { requirements: vec![requirement], nothing: false }.to_string(),
        };
        texts.push((key, text));
    }
    texts.sort_by(|a, b| a.0.cmp(&b.0));
    texts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

/// Changes an object by changing its Scale.
struct Rescale<'a, F> {
    /// Where the object has its replicas.
    replicas: &'a Replicas,
    is_custom: bool,
    change: F,
    warnings: Vec<String>,
}

impl<F: FnMut(&Object) -> Result<(Object, Vec<String>), Status> + Send> Edit for Rescale<'_, F> {
    async fn apply(&mut self, old: Option<&Object>) -> Result<Object, Status> {
        let Some(old) = old else { return Err(Status::no_such_resource()) };
        let mut present = scale_of(old, self.replicas);
        account::lend(old, &self.replicas.wanted, &mut present);
        let (mut scale, warnings) = (self.change)(&present)?;
        self.warnings = warnings;
        ensure_namespace(&mut scale, !old.namespace().is_empty(), old.namespace())?;
        check_name(&scale, old.name())?;
        let replicas = scale.at("spec.replicas").and_then(Value::as_i64).unwrap_or(0);
        // What a custom resource says of its replicas is checked with the rest of it.
        if replicas < 0 && !self.is_custom {
            let path = Path::new("spec").child("replicas");
            let error = Error::invalid(&path, replicas, "must be greater than or equal to 0");
            return Err(Status::invalid("autoscaling", "Scale", old.name(), &[error]));
        }
        let mut new = old.clone();
        new.set(&self.replicas.wanted, replicas);
        new.set("metadata.resourceVersion", scale.resource_version());
        if !scale.uid().is_empty() {
            new.set("metadata.uid", scale.uid());
        }
        account::give_back(old, &self.replicas.wanted, &scale, &mut new);
        Ok(new)
    }

    fn owns_fields(&self) -> bool {
        true
    }

    fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }
}
