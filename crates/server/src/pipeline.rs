//! The straight line of a request. It reads downwards: one function a station, one span a station,
//! named like it. What a station refuses is a [`Status`], and leaves the line at the end of [`serve`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auth::Credentials;
use auth::authn::x509::Peer;
use auth::identity::ANONYMOUS;
use futures::FutureExt;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::{Request, Response, request};
use jiff::Timestamp;
use kinds::Descriptor;
use listen::{Endless, Line};
use meta::{Attributes, Reason, Status, User};
use tracing::{Instrument, debug_span};
use transport::Body;

use crate::flow::TooMany;
use crate::flow::intake::Intake;
use crate::flow::outlet;
use crate::flow::turn::Turn;
use crate::flow::work::Size;
use crate::route::{self, Route};
use crate::server::State;
use crate::{answer, impersonate, negotiate, pretty, verbs};

/// The longest that a request may take which is no watch and no stream: upstream's `--request-timeout`.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Who is at the other end.
pub enum Caller {
    /// A component in this process.
    Component(Arc<User>),
    /// A connection, with what its client certificate said.
    Connection(Arc<Option<Peer>>, Arc<Line>),
}

/// A request on its way to its verb.
pub struct Ask<'a> {
    /// Everything that requests share.
    pub state: &'a Arc<State>,
    /// What the first line says, and who asks.
    pub route: &'a Route,
    /// Method, URI, headers, and the upgrade if there is one.
    pub head: request::Parts,
    /// The body, unread.
    pub body: Body,
}

/// Answers one request. Never fails: errors, panics and timeouts are answers too.
pub async fn serve(state: &Arc<State>, mut request: Request<Body>, caller: &Caller) -> Response<Body> {
    let started = Instant::now();
    let accept = request.headers().get(ACCEPT).cloned();
    let pretty = pretty::is_wanted(request.uri().query(), request.headers());
    if pretty {
        // What is printed anew is not compressed before.
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    let refusal = |status: &Status| answer::status(negotiate::output_of_status(accept.as_ref()), status);
    let mut route = Route::default();
    // In a place of its own: what is wrapped around it moves a pointer, not all that a request may need on its way.
    let line = pass(state, request, caller, &mut route).instrument(debug_span!("serve")).boxed();
    let result = AssertUnwindSafe(line).catch_unwind().await;
    let mut response = match result {
        Ok(Ok(response)) => response,
        Ok(Err(status)) => refusal(&status),
        Err(panic) => {
            state.metrics.panicked();
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
            tracing::error!(path = %route.attributes.path, error = text, "a request panicked");
            refusal(&Status::internal("the request panicked; the log says where"))
        }
    };
    if pretty {
        response = pretty::print(response).boxed().await;
    }
    finish(state, &route, started.elapsed(), &mut response);
    response
}

/// The line itself. `route` is the caller's, so that it is known also of a request that was refused.
async fn pass(
    state: &Arc<State>,
    request: Request<Body>,
    caller: &Caller,
    route: &mut Route,
) -> Result<Response<Body>, Status> {
    let (head, body) = request.into_parts();
    *route = debug_span!("route").in_scope(|| {
        let query = transport::long::query(&head.uri, &head.extensions);
        route::route(&head.method, head.uri.path(), Some(&query))
    })?;
    route.kind = kind(state, &route.attributes);
    route.attributes.user = authenticate(state, &head, caller).instrument(debug_span!("authenticate")).await?;
    let turn = match enter(state, route).instrument(debug_span!("flow control")).await {
        Ok(turn) => turn,
        Err(TooMany { retry_after }) => return Ok(answer::too_many(retry_after)),
    };
    if let Err(refusal) = debug_span!("authorize").in_scope(|| state.authorization.check(&route.attributes)) {
        route.forbidden = true;
        return Err(refusal);
    }
    let Some(turn) = turn else {
        return verbs::run(Ask { state, route, head, body }).instrument(debug_span!("verb")).await;
    };
    let (body, end) = (Intake::wrap(body, turn.clone()), turn.after(TIME_LIMIT));
    let verb = verbs::run(Ask { state, route, head, body }).instrument(debug_span!("verb"));
    let answered = tokio::time::timeout_at(end, verb).await.unwrap_or_else(|_| Err(timed_out()));
    // Who is refused gives the seat back at once; an answer keeps it until the client has taken it.
    answered.map(|response| outlet::attach(response, turn))
}

/// The kind that the path names, if it is served.
fn kind(state: &State, a: &Attributes) -> Option<Arc<Descriptor>> {
    if a.is_resource() { state.registry.kind(&a.group, &a.version, &a.resource) } else { None }
}

/// Waits for the request's turn.
async fn enter(state: &State, route: &mut Route) -> Result<Option<Arc<Turn>>, TooMany> {
    let size = |a: &Attributes| state.registry.size(a).map(|(objects, bytes)| Size { objects, bytes });
    state.flow.enter(route, size).await
}

fn timed_out() -> Status {
    Status::new(Reason::Timeout, "request did not complete within requested timeout - context deadline exceeded")
}

async fn authenticate(state: &State, head: &request::Parts, caller: &Caller) -> Result<User, Status> {
    let user = match caller {
        Caller::Component(user) => User::clone(user),
        Caller::Connection(peer, line) => {
            let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
            let credentials = Credentials {
                peer: (**peer).as_ref(),
                authorization: text(AUTHORIZATION),
                websocket_protocols: text(SEC_WEBSOCKET_PROTOCOL),
            };
            let user = state.authentication.authenticate(&credentials, Timestamp::now()).await.map_err(|error| {
                tracing::debug!(%error, "unauthorized");
                Status::unauthorized()
            })?;
            if user.name != ANONYMOUS {
                line.known();
            }
            user
        }
    };
    impersonate::impersonate(user, &head.headers, &state.authorization)
}

/// Counts and logs the request, and marks the response with its id.
fn finish(state: &State, route: &Route, took: Duration, response: &mut Response<Body>) {
    let (a, code) = (&route.attributes, response.status().as_u16());
    state.metrics.count(a, route.kind.is_some(), code, took);
    if route.is_long_running() {
        response.extensions_mut().insert(Endless);
    }
    if let Some(class) = &route.class {
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("x-kubernetes-pf-flowschema-uid"), class.schema.clone());
        headers.insert(HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid"), class.level.clone());
    }
    if route.forbidden {
        answer::no_sniff(response);
    } else if let Some(text) = route.kind.as_ref().and_then(|kind| kind.rules.deprecated())
        // Upstream has no handler, which would warn, for a patch that it cannot read.
        && !(a.verb == "patch" && code == 415)
    {
        answer::warn_first(response, text);
    }
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    if let Ok(id) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)) {
        response.headers_mut().insert(HeaderName::from_static("audit-id"), id);
    }
    tracing::debug!(
        verb = %a.verb, path = %a.path, namespace = %a.namespace, name = %a.name, user = %a.user.name,
        code, elapsed_ms = took.as_millis() as u64, "answered"
    );
}
