//! The agent's own HTTPS server: logs, exec, attach, port-forward, health, pods, figures.
//!
//! Nothing is answered before the caller is authenticated and authorized.

pub mod access;
pub mod channels;
pub mod exec;
pub mod logs;
pub mod port_channels;
pub mod port_forward;
pub mod route;
pub mod spdy;
pub mod stats;
pub mod websocket;

use std::sync::Arc;
use std::time::Duration;

use auth::authn::x509::{Certificates, Peer};
use auth::delegated::{Delegated, kubelet_attributes};
use auth::Credentials;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use jiff::Timestamp;
use route::{Route, parse};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use transport::{Body, full};

use crate::agent::Agent;

const HANDSHAKE: Duration = Duration::from_secs(10);

/// Where and for whom to serve.
pub struct Serving {
    /// The bound port.
    pub listener: TcpListener,
    /// Certificate, and the wish to see the client's.
    pub tls: Arc<rustls::ServerConfig>,
    /// The authority of clients' certificates.
    pub clients: Certificates,
}

/// Serves until `stop`.
pub async fn serve(agent: Arc<Agent>, serving: Serving, stop: CancellationToken) {
    let acceptor = TlsAcceptor::from(serving.tls);
    let asking = Arc::new(access::Asking(agent.client.clone()));
    let access = Arc::new(Delegated::new(serving.clients, asking));
    let connections = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = serving.listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (agent, access, acceptor) = (agent.clone(), access.clone(), acceptor.clone());
                let stop = stop.clone();
                connections.spawn(async move {
                    stop.run_until_cancelled(connection(agent, access, acceptor, stream)).await;
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: a pause lets some go.
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(agent: Arc<Agent>, access: Arc<Delegated>, acceptor: TlsAcceptor, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => return,
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let peer = Arc::new(access.peer(chain, Timestamp::now()));
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (agent, access, peer) = (agent.clone(), access.clone(), peer.clone());
        async move {
            Ok::<_, std::convert::Infallible>(match admit(&access, &agent, &request, (*peer).as_ref()).await {
                Ok(route) => answer(agent, route, request).await,
                Err(refusal) => *refusal,
            })
        }
    });
    let builder = Builder::new(TokioExecutor::new());
    if let Err(error) = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection ended");
    }
}

/// Who asks, whether they may, and for what.
async fn admit(
    access: &Delegated, agent: &Agent, request: &Request<Incoming>, peer: Option<&Peer>,
) -> Result<Route, Box<Response<Body>>> {
    let refuse = |code, message: &str| Box::new(text(code, message));
    let of_header = |name| request.headers().get(name).and_then(|v: &header::HeaderValue| v.to_str().ok());
    let credentials = Credentials {
        peer,
        authorization: of_header(header::AUTHORIZATION),
        websocket_protocols: of_header(header::SEC_WEBSOCKET_PROTOCOL),
    };
    let now = Timestamp::now();
    let user = access.authenticate(&credentials, now).await.map_err(|error| {
        tracing::debug!(%error, "caller not authenticated");
        refuse(StatusCode::UNAUTHORIZED, "Unauthorized")
    })?;
    let path = request.uri().path();
    let wanted = kubelet_attributes(&user, request.method().as_str(), path, &agent.config.node_name);
    let decision = access.authorize_any(&wanted, now).await.map_err(|error| {
        let message = format!("Authorization error (user={}): {error}", user.name);
        refuse(StatusCode::INTERNAL_SERVER_ERROR, &message)
    })?;
    if decision.allowed() {
        return parse(request.uri()).ok_or_else(|| refuse(StatusCode::NOT_FOUND, "404 page not found"));
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

async fn answer(agent: Arc<Agent>, route: Route, request: Request<Incoming>) -> Response<Body> {
    match route {
        Route::Health => text(StatusCode::OK, "ok"),
        Route::Pods => json(&stats::pods(&agent)),
        Route::Summary => json(&stats::summary(&agent).await),
        Route::Metrics => text(StatusCode::OK, &stats::metrics(&agent).await),
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

fn json(value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
