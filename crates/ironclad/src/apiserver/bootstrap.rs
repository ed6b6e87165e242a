//! The objects that every cluster starts with.

use anyhow::{Result, bail};
use auth::bootstrap::{Action, reconcile};
use auth::identity;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use meta::Object;

use super::Api;

/// Objects written at once: they share the store's syncs.
const AT_ONCE: usize = 32;

/// Creates what is missing and repairs what is not as it should be, as the API server itself: what every cluster has, and
/// these objects.
pub async fn apply(api: &Api, further: Vec<Object>) -> Result<()> {
    let transport = api.server.transport_as(identity::api_server());
    // Everything else may live in one of them.
    let (first, rest): (Vec<Object>, Vec<Object>) =
        auth::bootstrap::objects().into_iter().chain(further).partition(|o| o.kind() == "Namespace");
    for objects in [first, rest] {
        ensure_all(&transport, objects).await?;
    }
    Ok(())
}

/// Creates or repairs objects, in any order.
pub async fn ensure_all(transport: &transport::Shared, objects: Vec<Object>) -> Result<()> {
    let work = futures::stream::iter(objects).map(|object| ensure(transport, object));
    work.buffer_unordered(AT_ONCE).try_collect::<()>().await
}

async fn ensure(transport: &transport::Shared, expected: Object) -> Result<()> {
    let (collection, single) = paths(&expected);
    let (code, body) = send(transport, Method::GET, &single, None).await?;
    let existing = match code {
        StatusCode::NOT_FOUND => None,
        StatusCode::OK => Object::from_value(serde_json::from_slice(&body)?).ok(),
        _ => bail!("{single}: {}", String::from_utf8_lossy(&body)),
    };
    let writes = match reconcile(existing.as_ref(), &expected) {
        Action::Keep => Vec::new(),
        Action::Create(object) => vec![(Method::POST, &collection, Some(object))],
        Action::Update(object) => vec![(Method::PUT, &single, Some(object))],
        Action::Replace(object) => vec![(Method::DELETE, &single, None), (Method::POST, &collection, Some(object))],
    };
    for (method, path, object) in writes {
        let (code, body) = send(transport, method, path, object).await?;
        if !code.is_success() {
            bail!("{path}: {}", String::from_utf8_lossy(&body));
        }
    }
    Ok(())
}

/// (path of the collection, path of the object). The names of these kinds have regular plurals.
fn paths(object: &Object) -> (String, String) {
    let kind = object.kind().to_lowercase();
    let plural = if kind.ends_with('s') { format!("{kind}es") } else { format!("{kind}s") };
    let root = if object.api_version().contains('/') { "/apis" } else { "/api" };
    let base = format!("{root}/{}", object.api_version());
    let collection = match object.namespace() {
        "" => format!("{base}/{plural}"),
        namespace => format!("{base}/namespaces/{namespace}/{plural}"),
    };
    let single = format!("{collection}/{}", object.name());
    (collection, single)
}

async fn send(
    transport: &transport::Shared,
    method: Method,
    path: &str,
    object: Option<Object>,
) -> Result<(StatusCode, Bytes)> {
    let body = object.map_or_else(transport::empty, |o| transport::full(o.into_value().to_string()));
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .body(body)?;
    let answer = transport.send(request).await.map_err(|e| anyhow::anyhow!("{e}"))?;
    let code = answer.status();
    let body = answer.into_body().collect().await.map_err(|e| anyhow::anyhow!("{e}"))?.to_bytes();
    Ok((code, body))
}
