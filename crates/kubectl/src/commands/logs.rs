//! `kubectl logs`.

use std::io::Write;

use clap::{ArgMatches, Command};
use futures::{FutureExt, StreamExt};
use http_body_util::BodyExt;
use serde_json::Value;

use super::Member;
use crate::failure::Failure;
use crate::flags::{duration, on, rest, switch, text, value, values};
use crate::selection::{self, Target};
use crate::session::Session;

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("logs")
        .about("Print the logs for a container in a pod")
        .arg(rest("pod"))
        .arg(text("container", "The container").short('c'))
        .arg(text("selector", "Labels that pods must have").short('l'))
        .arg(switch("follow", false, "Go on with what is written later").short('f'))
        .arg(switch("previous", false, "Of the container's last run").short('p'))
        .arg(switch("timestamps", false, "The time before each line"))
        .arg(switch("all-containers", false, "Of all containers of the pod"))
        .arg(switch("prefix", false, "The pod and container before each line"))
        .arg(text("tail", "So many of the last lines"))
        .arg(text("since", "Only lines newer than this duration"))
        .arg(text("since-time", "Only lines newer than this time"))
        .arg(text("limit-bytes", "At most so many bytes"))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let words = values(matches, "pod");
    if words.is_empty() && value(matches, "selector").is_none() {
        return Err(Failure::message(
            "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the \
             logs command\nSee 'kubectl logs -h' for help and examples",
        ));
    }
    let query = query(matches)?;
    for pod in pods(session, matches, &words).await? {
        for container in containers(matches, &words, &pod) {
            let target = (pod["metadata"]["namespace"].as_str(), pod["metadata"]["name"].as_str());
            let (namespace, name) = (target.0.unwrap_or(""), target.1.unwrap_or(""));
            let container_query = format!("container={container}&{query}");
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/log?{container_query}");
            let prefix = on(matches, "prefix").then(|| format!("[pod/{name}/{container}] "));
            copy(session, path.trim_end_matches('&'), prefix.as_deref()).await?;
        }
    }
    Ok(())
}

fn query(matches: &ArgMatches) -> Result<String, Failure> {
    let mut parts: Vec<String> = ["follow", "previous", "timestamps"]
        .into_iter()
        .filter(|flag| on(matches, flag))
        .map(|flag| format!("{flag}=true"))
        .collect();
    let tail = value(matches, "tail").filter(|t| *t != "-1");
    // Upstream shows ten lines of each pod that a selector finds.
    let tail = tail.or_else(|| value(matches, "selector").and(Some("10")));
    parts.extend(tail.map(|t| format!("tailLines={t}")));
    parts.extend(value(matches, "limit-bytes").map(|l| format!("limitBytes={l}")));
    parts.extend(value(matches, "since-time").map(|t| format!("sinceTime={}", selection::encode(t))));
    if let Some(since) = value(matches, "since") {
        let seconds = duration(since).ok_or_else(|| {
            Failure::message(format!("invalid argument \"{since}\" for \"--since\" flag: time: invalid duration \"{since}\""))
        })?;
        parts.push(format!("sinceSeconds={}", seconds.ceil() as i64));
    }
    Ok(parts.join("&"))
}

/// The pods meant: one by name, those of a workload, those with the labels.
async fn pods(session: &Session, matches: &ArgMatches, words: &[String]) -> Result<Vec<Value>, Failure> {
    let pods = session.discovery().await?.find("pods")?.clone();
    let list = Target { resource: pods, name: None, namespace: session.namespace.clone() };
    if let Some(selector) = value(matches, "selector") {
        return selection::list(session, &list, &format!("labelSelector={}", selection::encode(selector))).await;
    }
    let word = &words[0];
    match word.split_once('/') {
        None => Ok(vec![session.get(&list.resource.object_path(&list.namespace, word)).await?]),
        Some(_) => Ok(vec![of_workload(session, word).await?]),
    }
}

/// A pod of a workload (`deploy/web`, `job/x`, `pod/x`): the first one that is ready, else the first.
pub async fn of_workload(session: &Session, word: &str) -> Result<Value, Failure> {
    let targets = selection::targets(session, &[word.to_owned()], false).await?;
    let Some(target) = targets.first() else { return Err(Failure::message("no object is named")) };
    let object = session.get(&target.path()).await?;
    if target.resource.kind == "Pod" {
        return Ok(object);
    }
    let selector = &object["spec"]["selector"];
    let labels = selector.get("matchLabels").unwrap_or(selector);
    let pairs: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
        .collect();
    if pairs.is_empty() {
        return Err(Failure::message(format!("cannot get the logs from {}: no selector", target.resource.label())));
    }
    let pods = session.discovery().await?.find("pods")?.clone();
    let list = Target { resource: pods, name: None, namespace: target.namespace.clone() };
    let query = format!("labelSelector={}", selection::encode(&pairs.join(",")));
    let found = selection::list(session, &list, &query).await?;
    let ready = |pod: &&Value| {
        let conditions = pod["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    if found.len() > 1 {
        let name = found.iter().find(ready).or(found.first()).and_then(|p| p["metadata"]["name"].as_str());
        eprintln!("Found {} pods, using pod/{}", found.len(), name.unwrap_or(""));
    }
    let chosen = found.iter().find(ready).or(found.first()).cloned();
    chosen.ok_or_else(|| Failure::message("timed out waiting for the condition"))
}

/// The container that a command without `-c` means, with a word about it if there are several.
pub fn default_container(pod: &Value) -> String {
    let named = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
    let names: Vec<&str> = ["containers", "initContainers"]
        .into_iter()
        .filter_map(|list| pod["spec"][list].as_array())
        .flatten()
        .filter_map(|c| c["name"].as_str())
        .collect();
    let first = names.first().copied().unwrap_or("");
    if named.is_none() && names.len() > 1 {
        let kinds = |list: &str, word: &str| {
            let own = pod["spec"][list].as_array().into_iter().flatten();
            own.filter_map(|c| c["name"].as_str()).map(|n| format!("{n}{word}")).collect::<Vec<_>>()
        };
        let all = [kinds("containers", ""), kinds("initContainers", " (init)")].concat();
        eprintln!("Defaulted container \"{first}\" out of: {}", all.join(", "));
    }
    named.unwrap_or(first).to_owned()
}

fn containers(matches: &ArgMatches, words: &[String], pod: &Value) -> Vec<String> {
    if on(matches, "all-containers") {
        let all = ["initContainers", "containers"].into_iter().filter_map(|list| pod["spec"][list].as_array()).flatten();
        return all.filter_map(|c| c["name"].as_str()).map(str::to_owned).collect();
    }
    let given = value(matches, "container").map(str::to_owned);
    let second = words.get(1).cloned();
    vec![given.or(second).unwrap_or_else(|| default_container(pod))]
}

async fn copy(session: &Session, path: &str, prefix: Option<&str>) -> Result<(), Failure> {
    let mut body = session.stream("GET", path, "*/*", None).await?.into_data_stream();
    let mut line_start = true;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|e| Failure::message(e.to_string()))?;
        let mut out = std::io::stdout().lock();
        let mut text = Vec::with_capacity(chunk.len());
        for byte in chunk.iter() {
            if let (true, Some(prefix)) = (line_start, prefix) {
                text.extend_from_slice(prefix.as_bytes());
            }
            line_start = *byte == b'\n';
            text.push(*byte);
        }
        if out.write_all(&text).and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(())
}
