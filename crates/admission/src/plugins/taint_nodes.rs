//! A new node is not ready until it says so: no pod is placed there before
//! (upstream: `plugin/pkg/admission/nodetaint`).

use std::sync::Arc;

use async_trait::async_trait;
use meta::Status;
use serde_json::{Value, json};

use super::Context;
use crate::{Lookup, Operation, Plugin, Request};

const NOT_READY: &str = "node.kubernetes.io/not-ready";

struct TaintNodesByCondition;

/// Makes the plug-in.
pub(super) fn make(_context: &Context) -> Arc<dyn Plugin> {
    Arc::new(TaintNodesByCondition)
}

#[async_trait]
impl Plugin for TaintNodesByCondition {
    fn name(&self) -> &'static str {
        "TaintNodesByCondition"
    }

    async fn mutate(&self, request: &mut Request<'_>, _lookup: &dyn Lookup) -> Result<(), Status> {
        let a = request.attributes;
        let a_node = a.group.is_empty() && a.resource == "nodes" && a.subresource.is_empty();
        let (true, Operation::Create, Some(node)) = (a_node, request.operation, request.object.as_deref_mut()) else {
            return Ok(());
        };
        let mut taints = node.list_at("spec.taints").to_vec();
        let is = |taint: &Value, field: &str, wanted: &str| taint.get(field).and_then(Value::as_str) == Some(wanted);
        if !taints.iter().any(|taint| is(taint, "key", NOT_READY) && is(taint, "effect", "NoSchedule")) {
            taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
            node.set("spec.taints", taints);
        }
        Ok(())
    }
}
