//! `kubectl rollout restart`.

use futures::FutureExt;
use serde_json::json;

use super::{KINDS, Verb, Work};
use crate::commands::create::done;
use crate::failure::Failure;
use crate::flags::{output, value};
use crate::session::{JSON, STRATEGIC};

pub(super) static VERB: Verb = Verb {
    command: |command| command.arg(output()),
    name: "restart",
    about: "Restart a resource",
    run: |work| run(work).boxed(),
};

async fn run(work: Work<'_>) -> Result<(), Failure> {
    if !KINDS.contains(&work.resource.kind.as_str()) {
        return Err(work.wrong("restarting is not supported"));
    }
    if work.object["spec"]["paused"] == true {
        return Err(work.wrong("can't restart paused deployment (run rollout resume first)"));
    }
    let now = jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string().replace("+00:00", "Z");
    let annotations = json!({"kubectl.kubernetes.io/restartedAt": now});
    if work.object["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] == now {
        return Err(Failure::message(format!(
            "failed to create patch for {}: if restart has already been triggered within the past second, please wait \
             before attempting to trigger another",
            work.name()
        )));
    }
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    let path = format!("{}?fieldManager=kubectl-rollout", work.path());
    let changed = work.session.json("PATCH", &path, JSON, Some((STRATEGIC, &patch))).await;
    let changed = changed.map_err(|f| Failure::message(format!("failed to patch: {f}")))?;
    done(work.resource, &changed, "restarted", "none", value(work.matches, "output").unwrap_or(""))
}
