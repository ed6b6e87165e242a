//! Attaching to a container that has yet to begin.

use futures::{StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use crate::attaching::Attaching;
use crate::commands::logs;
use crate::failure::Failure;
use crate::selection::encode;
use crate::session::{JSON, Session};

/// Waits for the container to run, and attaches; what has ended, and what cannot be attached to, leaves its log.
pub async fn attach(session: &Session, pod: &Value, container: &str, how: Attaching) -> Result<(), Failure> {
    let pod = begun(session, pod, container, how.quiet).await?;
    let field = |key: &str| pod["metadata"][key].as_str().unwrap_or("");
    let log = format!("/api/v1/namespaces/{}/pods/{}/log?container={container}", field("namespace"), field("name"));
    if state(&pod, container).is_some_and(|state| state["terminated"].is_object()) {
        return logs::copy(session, &log, None).await;
    }
    match how.run(session, &pod, container).await {
        Err(failure) => {
            let name = field("name");
            eprintln!("warning: couldn't attach to pod/{name}, falling back to streaming logs: {failure}");
            logs::copy(session, &log, None).await
        }
        Ok(()) => Ok(()),
    }
}

/// The pod once the container runs, or has run.
async fn begun(session: &Session, pod: &Value, container: &str, quiet: bool) -> Result<Value, Failure> {
    let field = |key: &str| pod["metadata"][key].as_str().unwrap_or("");
    let only = encode(&format!("metadata.name={}", field("name")));
    let path = format!("/api/v1/namespaces/{}/pods?fieldSelector={only}", field("namespace"));
    let mut told = String::new();
    loop {
        let list = session.get(&path).await?;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or("").to_owned();
        let items = list["items"].as_array().into_iter().flatten().cloned().map(|pod| ("ADDED".to_owned(), pod));
        let body = session.stream("GET", &format!("{path}&watch=true&resourceVersion={version}"), JSON, None).await?;
        let bytes = body.into_data_stream().map_err(std::io::Error::other).boxed();
        let mut lines = StreamReader::new(bytes).lines();
        let mut seen: Vec<(String, Value)> = items.collect();
        loop {
            for (sort, pod) in seen.drain(..) {
                if sort == "DELETED" {
                    return Err(Failure::Refused(Box::new(serde_json::json!({
                        "kind": "Status", "reason": "NotFound", "message": "pods \"\" not found", "code": 404,
                    }))));
                }
                let Some(state) = state(&pod, container) else { continue };
                if state["running"].is_object() || state["terminated"].is_object() {
                    return Ok(pod);
                }
                let why = state["waiting"]["message"].as_str().unwrap_or("");
                if !quiet && !why.is_empty() && why != told {
                    eprintln!("Warning: container {container}: {why}");
                    told = why.to_owned();
                }
            }
            let Ok(Some(line)) = lines.next_line().await else { break };
            let mut event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["type"] == "ERROR" {
                break;
            }
            seen.push((event["type"].as_str().unwrap_or("").to_owned(), event["object"].take()));
        }
    }
}

fn state<'v>(pod: &'v Value, container: &str) -> Option<&'v Value> {
    let lists = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"];
    let mut all = lists.iter().flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
    all.find(|status| status["name"] == container).map(|status| &status["state"])
}
