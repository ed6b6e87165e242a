//! Kinds that come at run time: what a CustomResourceDefinition says becomes a [`Descriptor`] like that of any other
//! kind (upstream: `apiextensions-apiserver/pkg/registry/customresource`).

mod columns;
pub mod conversion;
mod expressions;
mod rules;
mod scale;

use std::sync::Arc;

use meta::field::Path;
use meta::names::join_api_version;
use meta::{Gvk, Object};
use schema::Schema;
use serde_json::{Map, Value};

use crate::descriptor::{CHANGE, Descriptor, Replicas, Selector, Subresource, Verbs};
use crate::rules::Word;
use crate::view::View;
use columns::Columns;
use conversion::Conversion;
use expressions::Expressions;
pub(crate) use expressions::{Compiled, Declared, Defaults, Work, compile};
use rules::Custom;

/// The kinds that a definition serves, the stored version first. The error says why it cannot be served, in upstream's
/// words. Names are those that were accepted.
pub fn descriptors(definition: &Object) -> Result<Vec<Descriptor>, String> {
    let versions = definition.list_at("spec.versions");
    let flag = |version: &Value, name: &str| version.get(name).and_then(Value::as_bool).unwrap_or(false);
    let stored = versions.iter().find(|version| flag(version, "storage")).ok_or("no version of it is stored")?;
    let conversion = Conversion::of(definition).map(Arc::new);
    // What was stored in a version that is served no more has to be read to be converted.
    let is_needed = |version: &&Value| (flag(version, "served") || conversion.is_some()) && !flag(version, "storage");
    let mut all = vec![descriptor(definition, stored, stored, &conversion)?];
    // While it is deleted its objects must be reached, also where no version is served any more.
    let is_last = definition.deletion_timestamp().is_some() && !versions.iter().any(|version| flag(version, "served"));
    all[0].served = flag(stored, "served") || is_last;
    for version in versions.iter().filter(is_needed) {
        let mut made = descriptor(definition, version, stored, &conversion)?;
        made.served = flag(version, "served");
        all.push(made);
    }
    Ok(all)
}

fn descriptor(
    definition: &Object,
    version: &Value,
    stored: &Value,
    conversion: &Option<Arc<Conversion>>,
) -> Result<Descriptor, String> {
    let (group, names) = (definition.str_at("spec.group"), definition.at("status.acceptedNames"));
    let (names, version) = (view(names), view(Some(version)));
    let gvk = Gvk::new(group, version.text("name"), names.text("kind"));
    let empty = Map::new();
    let schema = version.at("schema").at("openAPIV3Schema").value().and_then(Value::as_object).unwrap_or(&empty);
    let selectable: Vec<Word> =
        version.at("selectableFields").list().iter().filter_map(|field| path(view(Some(field)).text("jsonPath"))).collect();
    let schema = Schema::structural(gvk.clone(), schema)?;
    let schema = schema.publishing(definition.str_at("spec.names.listKind"), selectable.iter().map(|field| field.to_string()));
    let hub = join_api_version(group, view(Some(stored)).text("name"));
    let plural: Arc<str> = names.text("plural").into();
    let list = |field: &str| names.at(field).list().iter().filter_map(Value::as_str).map(Into::into).collect();
    let subresources = version.at("subresources");
    let scale = subresources.at("scale");
    let rules = Custom {
        expressions: schema.node().cloned().map(Expressions::new).ok_or("it has no schema")?,
        schema: schema.clone(),
        hub,
        conversion: conversion.clone(),
        has_status: subresources.at("status").exists(),
        columns: Columns::read(version.at("additionalPrinterColumns").list())?,
        selectable,
        deprecated: deprecation(&gvk, &version, definition.list_at("spec.versions")),
        scale: scale.exists().then(|| replicas(&scale)),
        ending: definition.list_at("status.conditions").iter().any(|c| c["type"] == "Terminating" && c["status"] == "True"),
    };
    Ok(Descriptor {
        singular: names.text("singular").into(),
        list_kind: Some(names.text("listKind").into()),
        short_names: list("shortNames"),
        categories: list("categories"),
        namespaced: definition.str_at("spec.scope") == "Namespaced",
        verbs: Verbs::All,
        served: true,
        subresources: below(&rules),
        storage: format!("/registry/{group}/{plural}/").into(),
        lazy: false,
        replicas: rules.scale.clone().unwrap_or_default(),
        resource: plural,
        gvk,
        schema,
        rules: Arc::new(rules),
    })
}

/// The subresources of a custom resource.
fn below(rules: &Custom) -> Vec<Subresource> {
    let mut all = Vec::new();
    if rules.has_status {
        all.push(Subresource { name: "status", gvk: None, options: None, verbs: CHANGE });
    }
    if rules.scale.is_some() {
        all.push(Subresource { name: "scale", gvk: Some(("autoscaling", "v1", "Scale")), options: None, verbs: CHANGE });
    }
    all
}

fn replicas(scale: &View<'_>) -> Replicas {
    let at = |field: &str| path(scale.text(field)).unwrap_or_default();
    let selector = path(scale.text("labelSelectorPath")).map_or(Selector::None, Selector::Text);
    Replicas { wanted: at("specReplicasPath"), present: at("statusReplicasPath"), selector }
}

/// A path of plain names as it is used here: without the point in front.
fn path(json_path: &str) -> Option<Word> {
    json_path.strip_prefix('.').map(|path| path.to_owned().into())
}

/// The warning of a version that is deprecated: its own, or one that names the best of the newer versions.
fn deprecation(gvk: &Gvk, version: &View<'_>, all: &[Value]) -> Option<String> {
    let given = version.at("deprecationWarning").value().and_then(Value::as_str).map(str::to_owned);
    let made = || {
        let good = |other: &View<'_>| other.flag("served") && !other.flag("deprecated");
        let names = all.iter().map(|other| view(Some(other))).filter(good).map(|other| other.text("name"));
        let better = names.filter(|name| meta::names::version_rank(name) > meta::names::version_rank(&gvk.version));
        let Gvk { group, version, kind } = gvk;
        let best = better.max_by_key(|name| meta::names::version_rank(name));
        let instead = best.map(|name| format!("; use {group}/{name} {kind}")).unwrap_or_default();
        format!("{group}/{version} {kind} is deprecated{instead}")
    };
    version.flag("deprecated").then(|| given.unwrap_or_else(made))
}

fn view(value: Option<&Value>) -> View<'_> {
    View::new(value, Path::default())
}
