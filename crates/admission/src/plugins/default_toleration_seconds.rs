//! Pods stay five minutes on a node that is not ready or unreachable, unless they say otherwise
//! (upstream: `plugin/pkg/admission/defaulttolerationseconds`).

use std::sync::Arc;

use async_trait::async_trait;
use meta::Status;
use serde_json::{Value, json};

use super::{Context, is_pod};
use crate::{Lookup, Operation, Plugin, Request};

const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const SECONDS: i64 = 300;

struct DefaultTolerationSeconds;

/// Makes the plug-in.
pub(super) fn make(_context: &Context) -> Arc<dyn Plugin> {
    Arc::new(DefaultTolerationSeconds)
}

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    async fn mutate(&self, request: &mut Request<'_>, _lookup: &dyn Lookup) -> Result<(), Status> {
        if !is_pod(request, "") || !matches!(request.operation, Operation::Create | Operation::Update) {
            return Ok(());
        }
        let Some(pod) = request.object.as_deref_mut() else { return Ok(()) };
        let mut tolerations = pod.list_at("spec.tolerations").to_vec();
        for taint in TAINTS {
            if !tolerations.iter().any(|toleration| tolerates(toleration, taint)) {
                let toleration =
                    json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS});
                tolerations.push(toleration);
            }
        }
        pod.set("spec.tolerations", tolerations);
        Ok(())
    }
}

/// Whether the toleration says anything about being evicted for the taint.
fn tolerates(toleration: &Value, taint: &str) -> bool {
    let is = |field: &str, wanted: &str| {
        let value = toleration.get(field).and_then(Value::as_str).unwrap_or("");
        value.is_empty() || value == wanted
    };
    is("key", taint) && is("effect", "NoExecute")
}
