//! Pod.

mod prepare;
mod status;
mod table;
mod update;

use meta::field::Errors;
use meta::{Object, text};
use serde_json::Value;

use crate::Now;
use crate::descriptor::{CHANGE, CONNECT, CREATE, Descriptor, PROXY};
use crate::podspec::{defaults, gated, validate, warnings};
use crate::rules::{Column, Context, Rules, Word};
use crate::tree::{child_or_new, same_at};
use crate::validate::{own_metadata, own_metadata_update};
use crate::view::View;

struct Pod;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Pod", "pods", Pod)
        .short("po")
        .in_all()
        .sub_of("attach", ("", "v1", "PodAttachOptions"), CONNECT)
        .sub_of("binding", ("", "v1", "Binding"), CREATE)
        .sub("ephemeralcontainers", CHANGE)
        .sub_of("eviction", ("policy", "v1", "Eviction"), CREATE)
        .sub_of("exec", ("", "v1", "PodExecOptions"), CONNECT)
        .sub_text("log", "PodLogOptions")
        .sub_of("portforward", ("", "v1", "PodPortForwardOptions"), CONNECT)
        .sub_of("proxy", ("", "v1", "PodProxyOptions"), PROXY)
        .sub("resize", CHANGE)
        .sub("status", CHANGE)
}

impl Rules for Pod {
    fn returns_deleted(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Object) {
        defaults::pod(child_or_new(object.fields_mut(), "spec"));
        prepare::pod_ips(object);
    }

    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        gated::drop_disabled(object, None, "spec");
        prepare::create(object);
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        crate::tree::restore(new, old, "status");
        gated::drop_disabled(new, Some(old), "spec");
    }

    fn prepare_subresource(&self, subresource: &str, new: &mut Object, old: &Object, _context: &Context) {
        match subresource {
            "status" => prepare::status(new, old),
            "ephemeralcontainers" => {
                prepare::ephemeral_containers(new, old);
                gated::drop_disabled(new, Some(old), "spec");
            }
            "resize" => prepare::resize(new, old),
            _ => {}
        }
    }

    fn kept_by_status(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]]
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, new: &Object, old: &Object) -> bool {
        !same_at(new, old, "spec")
    }

    fn validate(&self, object: &Object) -> Errors {
        validate::pod(object)
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata_update(new, old);
        errors.extend(own_metadata(new, true, &|name, prefix| self.validate_name(name, prefix)));
        errors.extend(update::main(new, old));
        errors
    }

    fn validate_subresource(&self, subresource: &str, new: &Object, old: &Object) -> Errors {
        let (mut errors, own) = match subresource {
            "status" => (own_metadata_update(new, old), status::of(new, old)),
            "ephemeralcontainers" | "resize" => {
                if let Some(refusal) = update::unfit(subresource, old) {
                    return vec![refusal];
                }
                let mut errors = own_metadata_update(new, old);
                errors.extend(own_metadata(new, true, &|name, prefix| self.validate_name(name, prefix)));
                let part = if subresource == "resize" { update::resize(new, old) } else { update::ephemeral_containers(new, old) };
                (errors, part)
            }
            _ => return Errors::new(),
        };
        errors.extend(own);
        errors
    }

    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        if old.is_some() {
            return Vec::new();
        }
        let mut warnings = Vec::new();
        let messages = text::dns1123_label(new.name(), false);
        if !messages.is_empty() {
            warnings.push(format!(
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is \
                 recommended: [{}]",
                messages.join(" ")
            ));
        }
        warnings.extend(warnings::of(&View::of(new, "metadata"), &View::of(new, "spec")));
        warnings
    }

    /// What the client asks, or the pod's own period; nothing to wait for without a node or after the end.
    fn grace_period(&self, object: &Object, asked: Option<i64>) -> Option<i64> {
        let period = asked.or_else(|| object.i64_at("spec.terminationGracePeriodSeconds")).unwrap_or(0);
        let over = matches!(object.str_at("status.phase"), "Failed" | "Succeeded");
        let period = if object.str_at("spec.nodeName").is_empty() || over { 0 } else { period };
        Some(if period < 0 { 1 } else { period })
    }

    fn selectable(&self, object: &Object) -> Vec<(Word, String)> {
        let text = |path| object.str_at(path).to_owned();
        vec![
            ("spec.nodeName".into(), text("spec.nodeName")),
            ("spec.restartPolicy".into(), text("spec.restartPolicy")),
            ("spec.schedulerName".into(), text("spec.schedulerName")),
            ("spec.serviceAccountName".into(), text("spec.serviceAccountName")),
            ("spec.hostNetwork".into(), object.bool_at("spec.hostNetwork").unwrap_or(false).to_string()),
            ("status.phase".into(), text("status.phase")),
            ("status.podIP".into(), text("status.podIP")),
            ("status.nominatedNodeName".into(), text("status.nominatedNodeName")),
        ]
    }

    fn columns(&self) -> &'static [Column] {
        &table::COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        table::row(object, now)
    }
}
