//! `/containerLogs`: a container's log, as far as it goes or as it comes.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use runtime::{Container, ContainerState};
use tokio::sync::mpsc;
use transport::Body;

use super::route::{LogOptions, PodName};
use super::text;
use crate::agent::Agent;
use crate::log::follow::Reader;
use crate::log::line::Filter;
use crate::pod::observed::{exit, is_running};
use crate::spec;

/// Pieces that wait for the client.
const QUEUE: usize = 8;

/// Answers a request for a log.
pub async fn answer(agent: &Arc<Agent>, name: &PodName, container: &str, options: LogOptions) -> Response<Body> {
    let Some(pod) = agent.pods.find(&name.namespace, &name.name) else {
        return text(StatusCode::NOT_FOUND, &format!("pod {:?} does not exist", name.name));
    };
    if spec::container(&pod, container).is_none() {
        let message = format!("container {container:?} not found in pod {:?}", name.name);
        return text(StatusCode::NOT_FOUND, &message);
    }
    let found = match agent.runtime.pod(spec::uid(&pod)).await {
        Ok(seen) => choose(&pod, seen.as_ref(), container, options.previous),
        Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    let found = match found {
        Ok(found) => found,
        Err(message) => return text(StatusCode::BAD_REQUEST, &message),
    };
    stream(agent, found, options)
}

/// The start whose log is meant.
fn choose(pod: &Pod, seen: Option<&runtime::Pod>, name: &str, previous: bool) -> Result<Container, String> {
    let pod_name = spec::name(pod);
    let mut all: Vec<&Container> = seen.iter().flat_map(|p| &p.containers).filter(|c| c.name == name).collect();
    all.retain(|c| c.state != ContainerState::Created);
    all.sort_by_key(|c| c.attempt);
    let status = spec::status(pod);
    let lists = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    let told = lists.into_iter().flatten().flatten().find(|s| s.name == name);
    let waiting = told.and_then(|s| s.state.as_ref()?.waiting.as_ref());
    if previous {
        // While the container waits for its next start, the last one is the previous one.
        if waiting.is_none() {
            all.pop();
        }
        let before = all.pop().filter(|c| exit(c).is_some());
        return before
            .cloned()
            .ok_or_else(|| format!("previous terminated container {name:?} in pod {pod_name:?} not found"));
    }
    if let Some(newest) = all.pop() {
        return Ok(newest.clone());
    }
    let waiting = waiting.and_then(|w| w.reason.clone());
    let why = match waiting.as_deref() {
        Some("ErrImagePull") => "image can't be pulled".to_owned(),
        Some("ImagePullBackOff") => "trying and failing to pull image".to_owned(),
        Some(reason) => reason.to_owned(),
        None => return Err(format!("container {name:?} in pod {pod_name:?} is not available")),
    };
    Err(format!("container {name:?} in pod {pod_name:?} is waiting to start: {why}"))
}

fn stream(agent: &Arc<Agent>, container: Container, options: LogOptions) -> Response<Body> {
    let since = match (&options.since_time, options.since_seconds) {
        (Some(time), _) => time.parse().ok(),
        (None, Some(seconds)) => Some(meta::time::after(Timestamp::now(), seconds.saturating_neg())),
        (None, None) => None,
    };
    let filter = Filter {
        since,
        timestamps: options.timestamps,
        stream: match options.stream.as_deref() {
            Some("Stdout") => Some("stdout"),
            Some("Stderr") => Some("stderr"),
            _ => None,
        },
        limit: options.limit_bytes,
    };
    let reader = Reader { path: container.log_path.clone(), filter, tail_lines: options.tail_lines };
    let (sender, pieces) = mpsc::channel(QUEUE);
    let alive = (options.follow && is_running(&container)).then(|| ended(agent.clone(), container));
    tokio::spawn(reader.run(sender, alive));
    let pieces = futures::stream::unfold(pieces, |mut p| async move { Some((p.recv().await?, p)) });
    let frames = pieces.map(|piece| Ok::<_, transport::Error>(Frame::data(Bytes::from(piece))));
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    let plain = http::header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(http::header::CONTENT_TYPE, plain);
    response
}

/// Returns when the container runs no more.
async fn ended(agent: Arc<Agent>, container: Container) {
    let mut events = agent.runtime.events();
    loop {
        let seen = agent.runtime.pod(&container.pod_uid).await.ok().flatten();
        let runs = seen.is_some_and(|p| p.containers.iter().any(|c| c.id == container.id && is_running(c)));
        if !runs {
            return;
        }
        loop {
            match events.next().await {
                Some(event) if event.pod_uid == container.pod_uid || event.pod_uid.is_empty() => break,
                Some(_) => {}
                None => return,
            }
        }
    }
}
