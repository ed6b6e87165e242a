//! The agent's own HTTPS server: logs, exec, attach, port-forward, health, pods, figures.
//!
//! Nothing is answered before the caller is authenticated and authorized.

pub mod access;
pub mod exec;
pub mod logs;
pub mod port_forward;
pub mod route;
pub mod stats;
pub mod websocket;

use std::sync::Arc;
use std::time::Duration;

use access::{Access, Caller};
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
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
    /// Decides who may do what.
    pub access: Arc<dyn Access>,
}

/// Serves until `stop`.
pub async fn serve(agent: Arc<Agent>, serving: Serving, stop: CancellationToken) {
    let acceptor = TlsAcceptor::from(serving.tls);
    let connections = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = serving.listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (agent, access, acceptor) = (agent.clone(), serving.access.clone(), acceptor.clone());
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

async fn connection(agent: Arc<Agent>, access: Arc<dyn Access>, acceptor: TlsAcceptor, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => return,
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let chain: Arc<Vec<_>> = Arc::new(chain.iter().map(|c| c.clone().into_owned()).collect());
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (agent, access, chain) = (agent.clone(), access.clone(), chain.clone());
        async move {
            let caller = Caller { chain: &chain, authorization: header_text(&request, header::AUTHORIZATION) };
            Ok::<_, std::convert::Infallible>(match admit(&*access, &agent, &request, caller).await {
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

fn header_text(request: &Request<Incoming>, name: header::HeaderName) -> Option<String> {
    request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
}

/// Who asks, whether they may, and for what.
async fn admit(
    access: &dyn Access, agent: &Agent, request: &Request<Incoming>, caller: Caller<'_>,
) -> Result<Route, Box<Response<Body>>> {
    let user = match access.authenticate(&caller).await {
        Some(user) => user,
        None => return Err(Box::new(text(StatusCode::UNAUTHORIZED, "Unauthorized"))),
    };
    let (verb, subresources) = route::attributes(request.method(), request.uri().path());
    let node = &agent.config.node_name;
    for subresource in &subresources {
        if access.authorize(&user, verb, node, subresource).await {
            return parse(request.uri())
                .ok_or_else(|| Box::new(text(StatusCode::NOT_FOUND, "404 page not found")));
        }
    }
    let refusal = format!(
        "Forbidden (user={}, verb={verb}, resource=nodes, subresource(s)=[{}])\n",
        user.name,
        subresources.join(" ")
    );
    Err(Box::new(text(StatusCode::FORBIDDEN, &refusal)))
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
