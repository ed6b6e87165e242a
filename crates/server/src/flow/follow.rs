//! Keeps the configuration of [`super::Flow`] current, and the objects as they have to be: the executor of
//! [`super::ensure`]. It reads the registry, and writes through the API like everybody else.

use std::time::Duration;

use auth::identity;
use futures::StreamExt;
use http::{Method, Request, StatusCode};
use jiff::Timestamp;
use kinds::kinds::flowcontrol::API_VERSION;
use meta::{Attributes, Object, Reason, Status};
use registry::api::{ListOptions, Scope, WatchOptions, WatchStream};
use serde_json::json;
use tokio::time::Instant;
use tasks::Tasks;
use tracing::Instrument;

use super::ensure::{Step, steps};
use crate::server::Server;

const LEVELS: &str = "prioritylevelconfigurations";
const SCHEMAS: &str = "flowschemas";
/// Who writes configuration, and who writes conditions: upstream's names.
const PRODUCER: &str = "api-priority-and-fairness-config-producer-v1";
const CONSUMER: &str = "api-priority-and-fairness-config-consumer-v1";
/// Seats are divided anew this often (upstream: `borrowingAdjustmentPeriod`).
const REBALANCE: Duration = Duration::from_secs(10);
/// The shortest time between two looks at the objects: whoever fights over them does it slowly.
const PAUSE: Duration = Duration::from_secs(1);
/// Objects written at once: they share the store's syncs.
const AT_ONCE: usize = 32;

/// All objects of both kinds.
struct Objects {
    levels: Vec<Object>,
    schemas: Vec<Object>,
    revision: u64,
}

/// Makes what has to be there, works by it, and follows it in a named task.
pub async fn follow(server: &Server, tasks: &Tasks) -> Result<(), Status> {
    round(server).await?;
    let server = server.clone();
    tasks.keep("the configuration of flow control", move |_| {
        keep(server.clone()).instrument(tracing::debug_span!("flow configuration"))
    });
    Ok(())
}

/// Never ends.
async fn keep(server: Server) {
    let mut rebalance = tokio::time::interval(REBALANCE);
    loop {
        let looked = Instant::now();
        let changed = async {
            match look(&server).await {
                Ok(mut changes) => changes.wait().await,
                Err(error) => tracing::warn!(%error, "the flow configuration was not read"),
            }
            tokio::time::sleep_until(looked + PAUSE).await;
        };
        tokio::pin!(changed);
        loop {
            tokio::select! {
                () = &mut changed => break,
                _ = rebalance.tick() => server.0.flow.rebalance(),
            }
        }
    }
}

/// One look: mends the objects, works by them, writes what is to be said of them. Returns what happens next.
async fn look(server: &Server) -> Result<Changes, Status> {
    let (objects, found) = round(server).await?;
    for (name, there) in found {
        let schema = objects.schemas.iter().find(|schema| schema.name() == name);
        if let Some(schema) = schema {
            condition(server, schema, there).await?;
        }
    }
    let levels = watch(server, LEVELS, objects.revision).await?;
    Ok(Changes { levels, schemas: watch(server, SCHEMAS, objects.revision).await? })
}

async fn round(server: &Server) -> Result<(Objects, Vec<(String, bool)>), Status> {
    let mut objects = read(server).await?;
    let steps = steps(&objects.levels, &objects.schemas);
    if !steps.is_empty() {
        let steps = futures::stream::iter(steps).map(|step| carry_out(server, step));
        let results: Vec<_> = steps.buffer_unordered(AT_ONCE).collect().await;
        results.into_iter().collect::<Result<(), Status>>()?;
        objects = read(server).await?;
    }
    let found = server.0.flow.configure(objects.levels.clone(), objects.schemas.clone());
    Ok((objects, found))
}

fn attributes(resource: &str) -> Attributes {
    let (group, version) = API_VERSION.split_once('/').unwrap_or_default();
    Attributes {
        verb: "list".to_owned(),
        group: group.to_owned(),
        version: version.to_owned(),
        resource: resource.to_owned(),
        ..Attributes::default()
    }
}

async fn read(server: &Server) -> Result<Objects, Status> {
    let mut pages = Vec::new();
    // The older revision of the two: what happened after it is heard of again.
    let mut revision = u64::MAX;
    for resource in [LEVELS, SCHEMAS] {
        let page = server.0.registry.list(&attributes(resource), &Scope::default(), &ListOptions::default()).await?;
        revision = revision.min(page.revision);
        pages.push(page.items.iter().filter_map(|o| o.object().ok()).collect());
    }
    let (schemas, levels) = (pages.pop().unwrap_or_default(), pages.pop().unwrap_or_default());
    Ok(Objects { levels, schemas, revision })
}

async fn watch(server: &Server, resource: &str, revision: u64) -> Result<WatchStream, Status> {
    let options = WatchOptions { resource_version: revision.to_string(), ..WatchOptions::default() };
    server.0.registry.watch(&attributes(resource), Scope::default(), options).await
}

/// What happens to the objects.
struct Changes {
    levels: WatchStream,
    schemas: WatchStream,
}

impl Changes {
    /// Until something does.
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.levels.next() => {}
            _ = self.schemas.next() => {}
        }
    }
}

async fn carry_out(server: &Server, step: Step) -> Result<(), Status> {
    let (method, object, named) = match step {
        Step::Create(object) => (Method::POST, object, false),
        Step::Update(object) => (Method::PUT, object, true),
        Step::Delete(object) => (Method::DELETE, object, true),
    };
    let resource = if object.kind() == "FlowSchema" { SCHEMAS } else { LEVELS };
    let name = if named { format!("/{}", object.name()) } else { String::new() };
    let uri = format!("/apis/{API_VERSION}/{resource}{name}?fieldManager={PRODUCER}");
    let body = if method == Method::DELETE { String::new() } else { object.into_value().to_string() };
    send(server, method, &uri, "application/json", body).await
}

/// Says of a schema whether its level is there.
async fn condition(server: &Server, schema: &Object, found: bool) -> Result<(), Status> {
    let level = schema.str_at("spec.priorityLevelConfiguration.name");
    let (status, reason, end) = match found {
        true => ("False", "Found", "and it exists"),
        false => ("True", "NotFound", "but there is no such object"),
    };
    let message = format!("This FlowSchema references the PriorityLevelConfiguration object named {level:?} {end}");
    let there = schema.list_at("status.conditions").iter().find(|c| c["type"] == "Dangling");
    if there.is_some_and(|c| c["status"] == status && c["reason"] == reason && c["message"] == message) {
        return Ok(());
    }
    let now = meta::time::seconds(Timestamp::now());
    let condition = json!({"type": "Dangling", "status": status, "reason": reason, "message": message, "lastTransitionTime": now});
    let body = json!({
        "apiVersion": API_VERSION, "kind": "FlowSchema", "metadata": {"name": schema.name()},
        "status": {"conditions": [condition]},
    });
    let uri = format!("/apis/{API_VERSION}/{SCHEMAS}/{}/status?fieldManager={CONSUMER}&force=true", schema.name());
    send(server, Method::PATCH, &uri, "application/apply-patch+yaml", body.to_string()).await
}

/// Sends a request. What somebody else did in the same moment is no error: the next look sees it.
async fn send(server: &Server, method: Method, uri: &str, media: &str, body: String) -> Result<(), Status> {
    let request = Request::builder().method(method).uri(uri).header("content-type", media);
    let request = request.body(transport::full(body)).map_err(Status::internal)?;
    let answer = server.transport_as(identity::api_server()).send(request).await.map_err(Status::internal)?;
    match answer.status() {
        code if code.is_success() => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => Ok(()),
        code => Err(Status::new(Reason::InternalError, format!("{uri}: {code}"))),
    }
}
