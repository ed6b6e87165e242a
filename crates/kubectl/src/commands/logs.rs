//! `kubectl logs`.

use std::io::Write;

use clap::{ArgMatches, Command};
use futures::{FutureExt, StreamExt};
use http_body_util::BodyExt;
use serde_json::Value;

use super::Member;
use crate::failure::Failure;
use crate::flags::{misused, number, number_of, on, rest, seconds_of, switch, text, time, value, values};
use crate::pods::{self, Container};
use crate::selection::{self, Query, Target, encode};
use crate::session::Session;

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

const USAGE: &str = "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for \
     the logs command";

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
        .arg(switch("all-pods", false, "Of all pods of the workload, with --prefix"))
        .arg(switch("prefix", false, "The pod and container before each line"))
        .arg(switch("ignore-errors", false, "Go on with the next container after an error"))
        .arg(number("tail", "So many of the last lines"))
        .arg(time("since", "Only lines newer than this duration"))
        .arg(text("since-time", "Only lines newer than this time"))
        .arg(number("limit-bytes", "At most so many bytes"))
        .arg(number("max-log-requests", "At most so many logs followed at once").default_value("5"))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let words = values(matches, "pod");
    let selector = value(matches, "selector").filter(|s| !s.is_empty());
    match (words.len(), selector) {
        (0, None) | (3.., _) => return Err(misused("logs", USAGE)),
        (1, Some(_)) => return Err(misused("logs", "only a selector (-l) or a POD name is allowed")),
        _ => {}
    }
    let query = query(matches)?;
    let pods = pods(session, matches, &words, selector).await?;
    check(matches, &words)?;
    let prefix = on(matches, "prefix") || on(matches, "all-pods");
    let mut streams = Vec::new();
    for pod in &pods {
        for container in containers(matches, &words, pod)? {
            let field = |key: &str| pod["metadata"][key].as_str().unwrap_or("");
            let (namespace, name) = (field("namespace"), field("name"));
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/log?container={container}{query}");
            streams.push((path, prefix.then(|| format!("[pod/{name}/{container}] "))));
        }
    }
    let most = number_of(matches, "max-log-requests").unwrap_or(5);
    if on(matches, "follow") && streams.len() > 1 {
        if streams.len() as i64 > most {
            return Err(Failure::message(format!(
                "you are attempting to follow {} log streams, but maximum allowed concurrency is {most}, use \
                 --max-log-requests to increase the limit",
                streams.len()
            )));
        }
        let all = streams.iter().map(|(path, prefix)| copy(session, path, prefix.as_deref()));
        return Failure::collect(futures::future::join_all(all).await.into_iter().filter_map(Result::err).collect());
    }
    for (path, prefix) in &streams {
        match copy(session, path, prefix.as_deref()).await {
            Err(failure) if on(matches, "ignore-errors") => println!("error: {failure}"),
            other => other?,
        }
    }
    Ok(())
}

/// What upstream refuses after it has found the pods.
fn check(matches: &ArgMatches, words: &[String]) -> Result<(), Failure> {
    let container = value(matches, "container").or(words.get(1).map(String::as_str));
    let wrong = if value(matches, "since-time").is_some() && value_is_set(matches) {
        "at most one of `sinceTime` or `sinceSeconds` may be specified".to_owned()
    } else if let (true, Some(name)) = (on(matches, "all-containers"), container) {
        format!("--all-containers=true should not be specified with container name {name}")
    } else if value(matches, "container").is_some() && words.len() == 2 {
        "only one of -c or an inline [CONTAINER] arg is allowed".to_owned()
    } else if number_of(matches, "limit-bytes").is_some_and(|n| n < 0) {
        "--limit-bytes must be greater than 0".to_owned()
    } else if seconds_of(matches, "since").is_some_and(|s| s < 0.0) {
        "--since must be greater than 0".to_owned()
    } else if number_of(matches, "tail").is_some_and(|n| n < -1) {
        "--tail must be greater than or equal to -1".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::message(wrong))
}

fn value_is_set(matches: &ArgMatches) -> bool {
    seconds_of(matches, "since").is_some_and(|s| s != 0.0)
}

/// The flags as the rest of the request's query.
fn query(matches: &ArgMatches) -> Result<String, Failure> {
    let mut out = String::new();
    for flag in ["follow", "previous", "timestamps"].into_iter().filter(|flag| on(matches, flag)) {
        out.push_str(&format!("&{flag}=true"));
    }
    // Upstream shows ten lines of each pod that a selector finds.
    let tail = number_of(matches, "tail").or_else(|| value(matches, "selector").and(Some(10)));
    if let Some(lines) = tail.filter(|lines| *lines != -1) {
        out.push_str(&format!("&tailLines={lines}"));
    }
    if let Some(bytes) = number_of(matches, "limit-bytes").filter(|b| *b != 0) {
        out.push_str(&format!("&limitBytes={bytes}"));
    }
    if let Some(time) = value(matches, "since-time").filter(|t| !t.is_empty()) {
        if meta::time::parse(time).is_none() {
            let layout = "2006-01-02T15:04:05Z07:00";
            return Err(Failure::message(format!("parsing time {time:?} as {layout:?}: cannot parse {time:?} as \"2006\"")));
        }
        out.push_str(&format!("&sinceTime={}", encode(time)));
    }
    if let Some(seconds) = seconds_of(matches, "since").filter(|s| *s != 0.0) {
        out.push_str(&format!("&sinceSeconds={}", seconds.round() as i64));
    }
    Ok(out)
}

/// The pods meant: one by name, those of a workload, those with the labels.
async fn pods(
    session: &Session,
    matches: &ArgMatches,
    words: &[String],
    selector: Option<&str>,
) -> Result<Vec<Value>, Failure> {
    if let Some(selector) = selector {
        let pods = session.discovery().await?.find("pods")?.clone();
        let list = Target { resource: pods, name: None, source: None, namespace: session.namespace.clone() };
        let found = selection::list(session, &list, &Query::labels(selector)).await?;
        if found.is_empty() {
            eprintln!("No resources found in {} namespace.", session.namespace);
        }
        return Ok(found);
    }
    let object = pods::named(session, &words[0]).await.map_err(|failure| match failure.is_not_found() {
        true => Failure::message(format!("error from server (NotFound): {failure} in namespace {:?}", session.namespace)),
        false => failure,
    })?;
    if on(matches, "all-pods") {
        return pods::all_of(session, &object, "get the logs from").await;
    }
    Ok(vec![pods::first_of(session, object, "get the logs from", true).await?])
}

fn containers(matches: &ArgMatches, words: &[String], pod: &Value) -> Result<Vec<String>, Failure> {
    if on(matches, "all-containers") {
        return Ok(pods::containers(pod).into_iter().map(|c| c.name.to_owned()).collect());
    }
    let given = words.get(1).map(String::as_str).or(value(matches, "container"));
    let Container { name, .. } = pods::container(pod, given.filter(|g| !g.is_empty()), on(matches, "all-pods"))?;
    Ok(vec![name.to_owned()])
}

pub async fn copy(session: &Session, path: &str, prefix: Option<&str>) -> Result<(), Failure> {
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
