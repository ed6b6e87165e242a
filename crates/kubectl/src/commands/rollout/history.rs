//! `kubectl rollout history`.

use futures::FutureExt;
use serde_json::Value;

use super::{REVISION, Verb, Work};
use crate::describe;
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{number, number_of, output, value};
use crate::print::Tabs;
use crate::selection::{self, Query, Target};
use crate::session::Session;

use crate::commands::get::show;

/// Why a revision was made.
const CAUSE: &str = "kubernetes.io/change-cause";

pub(super) static VERB: Verb = Verb {
    command: |command| command.arg(number("revision", "The details of this revision")).arg(output()),
    name: "history",
    about: "View rollout history",
    run: |work| run(work).boxed(),
};

/// A deployment's replica sets with their revisions, the oldest first.
pub(super) async fn revisions(
    session: &Session,
    resource: &Resource,
    object: &Value,
    what: &str,
) -> Result<Vec<(i64, Value)>, Failure> {
    if resource.kind != "Deployment" {
        let kind = &resource.kind;
        return Err(Failure::message(format!(
            "error retrieving {what} for \"{kind}\", no visitor method exists for {{{} {kind}}}",
            resource.group
        )));
    }
    let sets = session.discovery().await?.find("replicasets.apps")?.clone();
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("").to_owned();
    let list = Target { resource: sets, name: None, source: None, namespace };
    let owner = &object["metadata"]["uid"];
    let mut found: Vec<(i64, Value)> = selection::list(session, &list, &Query::default())
        .await?
        .into_iter()
        .filter(|set| set["metadata"]["ownerReferences"].as_array().into_iter().flatten().any(|o| &o["uid"] == owner))
        .filter_map(|set| Some((set["metadata"]["annotations"][REVISION].as_str()?.parse().ok()?, set)))
        .collect();
    found.sort_by_key(|(revision, _)| *revision);
    Ok(found)
}

async fn run(work: Work<'_>) -> Result<(), Failure> {
    let wanted = number_of(work.matches, "revision").unwrap_or(0);
    if wanted < 0 {
        return Err(Failure::message(format!("revision must be a positive integer: {wanted}")));
    }
    let found = revisions(work.session, work.resource, &work.object, "history").await?;
    let chosen: Vec<&(i64, Value)> = found.iter().filter(|(r, _)| wanted == 0 || *r == wanted).collect();
    if wanted > 0 && chosen.is_empty() {
        return Err(Failure::message("unable to find the specified revision"));
    }
    if let Some(format) = value(work.matches, "output") {
        for (_, set) in chosen {
            print!("{}", show(set, format, false)?);
        }
        return Ok(());
    }
    let title = format!("{}/{}", work.resource.label(), work.name());
    if let ([(_, set)], true) = (chosen.as_slice(), wanted > 0) {
        let mut template = set["spec"]["template"].clone();
        if let Some(cause) = set["metadata"]["annotations"][CAUSE].as_str() {
            template["metadata"]["annotations"][CAUSE] = Value::from(cause);
        }
        println!("{title} with revision #{wanted}\n{}", describe::template(&template));
        return Ok(());
    }
    let mut tabs = Tabs::spaced(2);
    tabs.line(["REVISION", "CHANGE-CAUSE"]);
    for (revision, set) in &found {
        let cause = set["metadata"]["annotations"][CAUSE].as_str().filter(|c| !c.is_empty());
        tabs.line([revision.to_string(), cause.unwrap_or("<none>").to_owned()]);
    }
    match found.is_empty() {
        true => println!("{title} \nNo rollout history found."),
        false => println!("{title} \n{}", tabs.flush()),
    }
    Ok(())
}
