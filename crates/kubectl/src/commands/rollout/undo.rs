//! `kubectl rollout undo`.

use futures::FutureExt;
use serde_json::{Map, Value, json};

use super::history::revisions;
use super::{Verb, Work};
use crate::commands::apply::LAST_APPLIED;
use crate::commands::create::done;
use crate::describe;
use crate::failure::Failure;
use crate::flags::{dry_run, dry_run_of, number, number_of, output, value};
use crate::session::JSON;

/// Annotations of a Deployment that a rollback leaves as they are.
const KEPT: [&str; 5] = [
    LAST_APPLIED,
    super::REVISION,
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
];

pub(super) static VERB: Verb = Verb {
    command: |command| command.arg(number("to-revision", "The revision")).arg(dry_run()).arg(output()),
    name: "undo",
    about: "Undo a previous rollout",
    run: |work| run(work).boxed(),
};

async fn run(work: Work<'_>) -> Result<(), Failure> {
    let dry_run = dry_run_of(work.matches)?;
    let annotations = &work.object["metadata"]["annotations"];
    if !annotations[LAST_APPLIED].is_null() {
        eprintln!(
            "Warning: resource {}/{} was previously managed with 'kubectl apply'. Rolling back will not update the \
             {LAST_APPLIED} annotation, which may cause unexpected behavior on future 'kubectl apply' operations. \
             Consider using 'kubectl apply' with your previous configuration file instead.",
            work.resource.name,
            work.name()
        );
    }
    let found = revisions(work.session, work.resource, &work.object, "rollbacker").await?;
    let wanted = number_of(work.matches, "to-revision").unwrap_or(0);
    let set = chosen(found, wanted, work.name())?;
    let (revision, mut template) = (wanted, set["spec"]["template"].clone());
    let finish = |object: &Value, word: &str| {
        done(work.resource, object, word, dry_run, value(work.matches, "output").unwrap_or(""))
    };
    if dry_run == "client" {
        return finish(&work.object, &describe::template(&template));
    }
    if work.object["spec"]["paused"] == true {
        return Err(Failure::message(
            "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again",
        ));
    }
    if describe::same_template(&template, &work.object["spec"]["template"]) {
        return finish(&work.object, &format!("skipped rollback (current template already matches revision {revision})"));
    }
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    let of = |map: &Value, kept: bool| -> Map<String, Value> {
        let own = map.as_object().into_iter().flatten();
        own.filter(|(k, _)| KEPT.contains(&k.as_str()) == kept).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let mut restored = of(annotations, true);
    restored.extend(of(&set["metadata"]["annotations"], false));
    let patch = json!([
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "replace", "path": "/metadata/annotations", "value": restored},
    ]);
    let path = format!("{}{}", work.path(), if dry_run == "server" { "?dryRun=All" } else { "" });
    let changed = work.session.json("PATCH", &path, JSON, Some(("application/json-patch+json", &patch))).await;
    let changed = changed.map_err(|f| Failure::message(format!("failed restoring revision {revision}: {f}")))?;
    finish(&changed, "rolled back")
}

/// The set of a revision; of none, the one before the newest.
fn chosen(mut found: Vec<(i64, Value)>, wanted: i64, name: &str) -> Result<Value, Failure> {
    if wanted == 0 {
        let before = found.len().checked_sub(2);
        return before
            .map(|at| found.swap_remove(at).1)
            .ok_or_else(|| Failure::message(format!("no rollout history found for deployment \"{name}\"")));
    }
    let set = found.into_iter().find(|(revision, _)| *revision == wanted).map(|(_, set)| set);
    set.ok_or_else(|| Failure::message(format!("unable to find specified revision {wanted} in history")))
}
