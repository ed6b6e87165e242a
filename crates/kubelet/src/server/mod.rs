//! The agent's own HTTPS server: logs of containers and of the machine, exec, attach, port-forward, health, pods, figures.
//!
//! Nothing is answered before the caller is authenticated and authorized.

pub mod access;
pub mod channels;
pub mod configz;
pub mod exec;
pub mod logs;
pub mod port_channels;
pub mod port_forward;
pub mod route;
pub mod spdy;
pub mod stats;
pub mod system_logs;
#[cfg(test)]
mod system_logs_tests;
pub mod websocket;

use std::sync::Arc;
use std::time::Duration;

use auth::authn::x509::{Certificates, Peer};
use auth::identity::ANONYMOUS;
use auth::delegated::{Delegated, kubelet_attributes};
use auth::Credentials;
use http::{Request, Response, StatusCode, header};
use jiff::Timestamp;
use listen::{Door, Endless, Line, Service};
use route::{Route, parse};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use transport::{Body, full};

use crate::agent::Agent;
use crate::usage::{prometheus, summary};

/// Where and for whom to serve.
pub struct Serving {
    /// The bound port.
    pub listener: TcpListener,
    /// Certificate, and the wish to see the client's.
    pub tls: Arc<rustls::ServerConfig>,
    /// The authority of clients' certificates.
    pub clients: Certificates,
}

/// One connection at most for so many descriptors of the process.
const DESCRIPTORS: u64 = 8;

/// Serves until `stop`.
pub async fn serve(agent: Arc<Agent>, serving: Serving, stop: CancellationToken) {
    let asking = Arc::new(access::Asking(agent.client.clone()));
    let access = Delegated::new(serving.clients, asking);
    // What is still open when the agent stops ends with it.
    let (most, grace) = (listen::share(DESCRIPTORS), Duration::ZERO);
    let door = Door { listener: serving.listener, tls: serving.tls, most, grace };
    listen::serve(door, Arc::new(Rooms { agent, access }), stop).await;
}

/// What requests lead to.
struct Rooms {
    agent: Arc<Agent>,
    access: Delegated,
}

impl Service for Rooms {
    type Peer = Option<Peer>;

    fn peer(&self, chain: &[CertificateDer<'_>]) -> (Option<Peer>, bool) {
        let peer = self.access.peer(chain, Timestamp::now());
        let known = peer.as_ref().is_some_and(Peer::is_good);
        (peer, known)
    }

    async fn answer(self: Arc<Self>, request: Request<Body>, peer: Arc<Option<Peer>>, line: Arc<Line>) -> Response<Body> {
        match admit(&self.access, &self.agent, &request, (*peer).as_ref(), &line).await {
            Ok(route) => answer(self.agent.clone(), route, request).await,
            Err(refusal) => *refusal,
        }
    }
}

/// Who asks, whether they may, and for what.
async fn admit(
    access: &Delegated, agent: &Agent, request: &Request<Body>, peer: Option<&Peer>, line: &Line,
) -> Result<Route, Box<Response<Body>>> {
    let refuse = |code, message: &str| Box::new(text(code, message));
    let of_header = |name| request.headers().get(name).and_then(|v: &header::HeaderValue| v.to_str().ok());
    let credentials = Credentials {
        peer,
        authorization: of_header(header::AUTHORIZATION),
        websocket_protocols: of_header(header::SEC_WEBSOCKET_PROTOCOL),
    };
    let now = Timestamp::now();
    let user = access.authenticate(&credentials, now, crate::clock::now()).await.map_err(|error| {
        tracing::debug!(%error, "caller not authenticated");
        refuse(StatusCode::UNAUTHORIZED, "Unauthorized")
    })?;
    if user.name != ANONYMOUS {
        line.known();
    }
    let path = request.uri().path();
    let wanted = kubelet_attributes(&user, request.method().as_str(), path, &agent.config.node_name);
    let decision = access.authorize_any(&wanted, crate::clock::now()).await.map_err(|error| {
        let message = format!("Authorization error (user={}): {error}", user.name);
        refuse(StatusCode::INTERNAL_SERVER_ERROR, &message)
    })?;
    if decision.allowed() {
        let query = transport::long::query(request.uri(), request.extensions());
        return parse(path, &query).ok_or_else(|| refuse(StatusCode::NOT_FOUND, "404 page not found"));
    }
    let subresources: Vec<&str> = wanted.iter().map(|a| a.subresource.as_str()).collect();
    let verb = wanted.first().map_or("", |a| a.verb.as_str());
    let message = format!(
        "Forbidden (user={}, verb={verb}, resource=nodes, subresource(s)=[{}])\n",
        user.name,
        subresources.join(" ")
    );
    Err(refuse(StatusCode::FORBIDDEN, &message))
}

async fn answer(agent: Arc<Agent>, route: Route, request: Request<Body>) -> Response<Body> {
    let endless = matches!(&route, Route::Logs { .. } | Route::Exec { .. } | Route::Attach { .. } | Route::PortForward { .. });
    let mut response = to(agent, route, request).await;
    if endless {
        response.extensions_mut().insert(Endless);
    }
    response
}

async fn to(agent: Arc<Agent>, route: Route, request: Request<Body>) -> Response<Body> {
    match route {
        Route::Health => text(StatusCode::OK, "ok"),
        Route::Pods => json(&stats::pods(&agent)),
        Route::RunningPods => told(stats::running_pods(&agent).await),
        Route::Summary { only_cpu_and_memory } => told(summary::summary(&agent, only_cpu_and_memory).await),
        Route::Metrics => figures(&stats::metrics(&agent).await),
        Route::ResourceMetrics => figures(&prometheus::resource(&agent).await),
        Route::ContainerMetrics => figures(&prometheus::cadvisor(&agent).await),
        Route::ProbeMetrics => figures(&agent.probed.print()),
        Route::Configz => json(&configz::answer(&agent)),
        Route::SystemLogs { path } => system_logs::answer(&agent.config.system_logs, path, &request).await,
        Route::Logs { pod, container, options } => logs::answer(&agent, &pod, &container, options).await,
        Route::Exec { pod, container, options } => exec::answer(agent, pod, container, options, true, request).await,
        Route::Attach { pod, container, options } => {
            exec::answer(agent, pod, container, options, false, request).await
        }
        Route::PortForward { pod, ports } => port_forward::answer(agent, pod, ports, request).await,
    }
}

/// A plain answer.
pub fn text(code: StatusCode, body: &str) -> Response<Body> {
    let mut response = Response::new(full(body.to_owned()));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn told(answer: Result<serde_json::Value, String>) -> Response<Body> {
    answer.map_or_else(|error| text(StatusCode::INTERNAL_SERVER_ERROR, &error), |value| json(&value))
}

/// In Prometheus' text format.
fn figures(body: &str) -> Response<Body> {
    let mut response = text(StatusCode::OK, body);
    let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn json(value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
