//! What is different about namespaces: they go when `spec.finalizers` is empty, and say so in their phase.

use jiff::Timestamp;
use meta::{Object, Status, time};
use serde_json::{Value, json};

use crate::api::{DeleteOptions, Propagation};
use crate::kind::Kind;

/// Whether the kind is Namespace.
pub(super) fn is_namespace(kind: &Kind) -> bool {
    kind.resource() == "namespaces" && kind.group().is_empty()
}

/// A new namespace is held until its content is gone.
pub(super) fn prepare_create(namespace: &mut Object) {
    let held = namespace.list_at("spec.finalizers").iter().any(|f| f == "kubernetes");
    if !held {
        let mut finalizers: Vec<Value> = namespace.list_at("spec.finalizers").to_vec();
        finalizers.push("kubernetes".into());
        namespace.set("spec.finalizers", finalizers);
    }
    namespace.set("status", json!({"phase": "Active"}));
}

/// `finalize` changes nothing but `spec.finalizers`, every other update anything but it.
pub(super) fn prepare_update(subresource: &str, new: &mut Object, old: &Object) {
    if subresource == "finalize" {
        let finalizers = new.remove("spec.finalizers");
        let version = new.resource_version().to_owned();
        let managers = new.remove("metadata.managedFields");
        *new = old.clone();
        new.set("metadata.resourceVersion", version);
        if let Some(managers) = managers {
            new.set("metadata.managedFields", managers);
        }
        match finalizers {
            Some(finalizers) => new.set("spec.finalizers", finalizers),
            None => {
                new.remove("spec.finalizers");
            }
        }
    } else if let Some(finalizers) = old.at("spec.finalizers") {
        new.set("spec.finalizers", finalizers.clone());
    } else {
        new.remove("spec.finalizers");
    }
}

/// Whether content may still be there.
pub(super) fn is_held(namespace: &Object) -> bool {
    !namespace.list_at("spec.finalizers").is_empty()
}

/// Refuses a deletion whose preconditions do not hold, in the words that namespaces have for it.
pub(super) fn check_preconditions(namespace: &Object, options: &DeleteOptions) -> Result<(), Status> {
    let check = |what: &str, wanted: &Option<String>, is: &str| match wanted {
        Some(wanted) if wanted != is => {
            let why = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {is}");
            Err(Status::conflict("", "namespaces", namespace.name(), &why))
        }
        _ => Ok(()),
    };
    check("UID", &options.uid, namespace.uid())?;
    check("ResourceVersion", &options.resource_version, namespace.resource_version())
}

/// The namespace as it is from the first deletion request on.
pub(super) fn terminating(old: &Object, options: &DeleteOptions, now: Timestamp) -> Object {
    let mut new = old.clone();
    new.set("metadata.deletionTimestamp", time::seconds(now));
    new.set("status.phase", "Terminating");
    let Some(policy) = options.propagation else { return new };
    let others = old.finalizers().filter(|f| !matches!(*f, "orphan" | "foregroundDeletion"));
    let mut finalizers: Vec<Value> = others.map(Into::into).collect();
    match policy {
        Propagation::Orphan => finalizers.push("orphan".into()),
        Propagation::Foreground => finalizers.push("foregroundDeletion".into()),
        Propagation::Background => {}
    }
    if finalizers.is_empty() {
        new.remove("metadata.finalizers");
    } else {
        new.set("metadata.finalizers", finalizers);
    }
    new
}
