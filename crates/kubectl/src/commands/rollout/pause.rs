//! `kubectl rollout pause` and `kubectl rollout resume`.

use futures::FutureExt;
use serde_json::json;

use super::{Verb, Work};
use crate::commands::create::done;
use crate::failure::Failure;
use crate::flags::{output, value};
use crate::session::{JSON, STRATEGIC};

pub(super) static PAUSE: Verb = Verb {
    command: |command| command.arg(output()),
    name: "pause",
    about: "Mark the provided resource as paused",
    run: |work| run(work, true).boxed(),
};

pub(super) static RESUME: Verb = Verb {
    command: |command| command.arg(output()),
    name: "resume",
    about: "Resume a paused resource",
    run: |work| run(work, false).boxed(),
};

async fn run(work: Work<'_>, pause: bool) -> Result<(), Failure> {
    if work.resource.kind != "Deployment" {
        return Err(work.wrong(if pause { "pausing is not supported" } else { "resuming is not supported" }));
    }
    if (work.object["spec"]["paused"] == true) == pause {
        return Err(work.wrong(if pause { "is already paused" } else { "is not paused" }));
    }
    let patch = json!({"spec": {"paused": if pause { Some(true) } else { None }}});
    let path = format!("{}?fieldManager=kubectl-rollout", work.path());
    let changed = work.session.json("PATCH", &path, JSON, Some((STRATEGIC, &patch))).await;
    let changed = changed.map_err(|f| Failure::message(format!("failed to patch: {f}")))?;
    let word = if pause { "paused" } else { "resumed" };
    done(work.resource, &changed, word, "none", value(work.matches, "output").unwrap_or(""))
}
