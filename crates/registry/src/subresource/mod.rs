//! Paths below an object, one file each, and one list. Those that are a part of the object (`status`) need
//! no file: the kind's rules say what may change through them.

mod binding;
mod eviction;
mod scale;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use meta::{Encoded, Key, Object, Status};

use crate::api::{Call, Sent, Written};
use crate::codec::shown;
use crate::kind::Kind;
use crate::registry::Registry;
use crate::write::commit::default;
use crate::write::patch::Patching;
use crate::write::edit::Replace;
use crate::write::update::writer;

/// One subresource. The defaults are those of a part of the object.
#[async_trait]
pub(crate) trait Subresource: Send + Sync {
    /// Name in the path.
    fn name(&self) -> &'static str;

    /// What GET gives.
    async fn get(&self, _registry: &Registry, _kind: &Kind, object: Arc<Encoded>) -> Result<Arc<Encoded>, Status> {
        Ok(object)
    }

    /// What POST does.
    async fn create(&self, _registry: &Registry, call: &Call, _kind: &Kind, _object: Object) -> Result<Written, Status> {
        let a = &call.attributes;
        Err(Status::method_not_allowed(&a.group, &a.resource, "create"))
    }

    /// What PUT does.
    async fn update(&self, registry: &Registry, call: &Call, kind: &Kind, object: Object) -> Result<Written, Status> {
        let mut edit = Replace { object, creates: false };
        registry.change(call, kind, &call.attributes.subresource, &mut edit).await
    }

    /// What PATCH does.
    async fn patch(&self, registry: &Registry, call: &Call, kind: &Kind, patch: Sent) -> Result<Written, Status> {
        let part = &call.attributes.subresource;
        let fill = |object: &mut Object| default(kind, object);
        let mut edit = Patching::new(writer(call, kind, part), &patch, call.field_validation, &fill)?;
        registry.change(call, kind, part, &mut edit).await
    }
}

/// Every subresource that is more than a part of the object.
static ALL: &[&dyn Subresource] = &[&binding::Binding, &eviction::Eviction, &scale::Scale];

struct Part;

impl Subresource for Part {
    fn name(&self) -> &'static str {
        ""
    }
}

/// The subresource of that name; 404 if the kind has none.
pub(crate) fn find(kind: &Kind, name: &str) -> Result<&'static dyn Subresource, Status> {
    if !name.is_empty() && kind.descriptor.subresource(name).is_none() {
        return Err(Status::no_such_resource());
    }
    Ok(ALL.iter().find(|s| s.name() == name).copied().unwrap_or(&Part))
}

/// The answer to a POST that leaves nothing to show.
fn success(key: Key) -> Written {
    let status = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}"#;
    let object = shown(key, 0, Bytes::from_static(status.as_bytes()));
    Written { object, created: true, warnings: Vec::new() }
}
