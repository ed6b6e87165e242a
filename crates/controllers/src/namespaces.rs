//! What the controllers that keep one object in every namespace share.

use client::Kind;
use k8s_openapi::api::core::v1::Namespace;
use meta::Key;

use crate::frame::{Seen, World};

/// The keys of the namespaces that a change concerns: of a namespace, or of an object of kind `K` whose
/// name matters.
pub fn of_change<K: Kind>(seen: &Seen, matters: impl Fn(&str) -> bool) -> Vec<Key> {
    let object = seen.key::<K>().filter(|key| matters(&key.name)).map(|key| Key::new("", &key.namespace));
    seen.key::<Namespace>().or(object).into_iter().collect()
}

/// All namespaces.
pub fn all(world: &World) -> Vec<Key> {
    world.of::<Namespace>().iter().map(|namespace| client::informer::key_of(&**namespace)).collect()
}

/// Whether a namespace exists and is not being deleted.
pub fn is_active(key: &Key, world: &World) -> bool {
    world.of::<Namespace>().get(key).is_some_and(|namespace| {
        let phase = namespace.status.as_ref().and_then(|s| s.phase.as_deref());
        namespace.metadata.deletion_timestamp.is_none() && phase != Some("Terminating")
    })
}
