//! `kubectl certificate approve` and `kubectl certificate deny`.

use clap::{ArgMatches, Command};
use futures::FutureExt;
use serde_json::{Value, json};

use super::Member;
use super::create::done;
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{self, files, on, output, recursive, rest, switch, value, values};
use crate::selection::{self, Query};
use crate::session::{JSON, Session};

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

/// What may be answered to a request.
struct Answer {
    name: &'static str,
    about: &'static str,
    /// The condition that says so.
    condition: &'static str,
    /// The one that it must not have.
    other: &'static str,
    reason: &'static str,
    word: &'static str,
}

static ALL: [Answer; 2] = [
    Answer {
        name: "approve",
        about: "Approve a certificate signing request",
        condition: "Approved",
        other: "Denied",
        reason: "KubectlApprove",
        word: "approved",
    },
    Answer {
        name: "deny",
        about: "Deny a certificate signing request",
        condition: "Denied",
        other: "Approved",
        reason: "KubectlDeny",
        word: "denied",
    },
];

fn command() -> Command {
    let one = |answer: &Answer| {
        let force = format!("Update the CSR even if it is already {}.", answer.word);
        Command::new(answer.name)
            .about(answer.about)
            .arg(rest("resource"))
            .arg(files())
            .arg(recursive())
            .arg(switch("force", false, "").help(force))
            .arg(output())
    };
    Command::new("certificate")
        .about("Modify certificate resources")
        .arg_required_else_help(true)
        .arg(rest("other"))
        .subcommands(ALL.iter().map(one))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else {
        let word = values(matches, "other").first().cloned().unwrap_or_default();
        return Err(flags::misused("certificate", format!("unknown command \"{word}\"")));
    };
    let Some(answer) = ALL.iter().find(|answer| answer.name == name) else {
        return Err(flags::misused("certificate", format!("unknown command \"{name}\"")));
    };
    let names = values(matches, "resource");
    if names.is_empty() && values(matches, "filename").is_empty() {
        return Err(Failure::message("one or more CSRs must be specified as <name> or -f <filename>"));
    }
    let words: Vec<String> = names.iter().map(|name| format!("certificatesigningrequests/{name}")).collect();
    let targets = selection::of_command(session, matches, &words).await?;
    let (found, mut failures) = selection::each(session, &targets, &Query::default()).await;
    if found.is_empty() && failures.is_empty() {
        println!("No resources found");
    }
    for (resource, object) in found {
        let answered = decide(session, &resource, &object, answer, on(matches, "force")).await;
        let output = value(matches, "output").unwrap_or("");
        failures.extend(answered.and_then(|()| done(&resource, &object, answer.word, "none", output)).err());
    }
    Failure::collect(failures)
}

/// Answers one request, if that was not done already.
async fn decide(session: &Session, resource: &Resource, object: &Value, answer: &Answer, force: bool) -> Result<(), Failure> {
    if (&*resource.group, &*resource.kind) != ("certificates.k8s.io", "CertificateSigningRequest") {
        let label = if resource.group.is_empty() { resource.kind.clone() } else { format!("{}.{}", resource.kind, resource.group) };
        return Err(Failure::message(format!("can only handle CertificateSigningRequest.certificates.k8s.io objects, got {label}")));
    }
    let path = resource.object_path("", object["metadata"]["name"].as_str().unwrap_or(""));
    let approval = format!("{path}/approval?fieldManager=kubectl");
    let send = async || {
        let request = session.get(&path).await?;
        match changed(request, answer, force)? {
            None => Ok(()),
            Some(changed) => session.json("PUT", &approval, JSON, Some((JSON, &changed))).await.map(drop),
        }
    };
    session.again_on_conflict(true, send).await
}

/// The request with the condition; `None`: it is there already.
fn changed(mut request: Value, answer: &Answer, force: bool) -> Result<Option<Value>, Failure> {
    let conditions = request["status"]["conditions"].as_array().cloned().unwrap_or_default();
    if conditions.iter().any(|condition| condition["type"] == answer.other) {
        let name = request["metadata"]["name"].as_str().unwrap_or("");
        return Err(Failure::message(format!("certificate signing request {name:?} is already {}", answer.other)));
    }
    if conditions.iter().any(|condition| condition["type"] == answer.condition) {
        return Ok(force.then_some(request));
    }
    let message = format!("This CSR was {} by kubectl certificate {}.", answer.word, answer.name);
    let now = meta::time::seconds(jiff::Timestamp::now());
    let new = json!({"type": answer.condition, "status": "True", "reason": answer.reason, "message": message, "lastUpdateTime": now});
    request["status"]["conditions"] = conditions.into_iter().chain([new]).collect();
    Ok(Some(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_once() {
        let request = |conditions: Value| json!({"metadata": {"name": "joe"}, "status": {"conditions": conditions}});
        let [approve, deny] = &ALL;
        let approved = changed(request(Value::Null), approve, false).expect("may be answered").expect("is");
        let condition = &approved["status"]["conditions"][0];
        assert_eq!((&condition["type"], &condition["status"], &condition["reason"]), (&json!("Approved"), &json!("True"), &json!("KubectlApprove")));
        assert_eq!(condition["message"], "This CSR was approved by kubectl certificate approve.");
        assert_eq!(changed(approved.clone(), approve, false).expect("may be"), None);
        assert_eq!(changed(approved.clone(), approve, true).expect("may be"), Some(approved.clone()));
        let refused = changed(approved, deny, true).expect_err("it was approved").to_string();
        assert!(refused.contains(r#"certificate signing request "joe" is already Approved"#), "{refused}");
        let failed = changed(request(json!([{"type": "Failed", "status": "True"}])), deny, false).expect("may be").expect("is");
        assert_eq!(failed["status"]["conditions"].as_array().map(Vec::len), Some(2));
    }
}
