//! The API server as a value, and its handles.

use std::sync::Arc;

use auth::token::Tokens;
use auth::{Authentication, Authorization};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use meta::{Status, User};
use registry::Registry;
use tasks::Tasks;
use tokio_util::sync::CancellationToken;
use transport::{Body, Error, Transport};

use crate::flow::{Flow, Limits};
use crate::kubelet::Kubelets;
use crate::metrics::Metrics;
use crate::paths::health::Check;
use crate::pipeline::{self, Caller};
use crate::webhook::Webhooks;

/// Appends metrics in Prometheus' text format.
pub type MetricSource = Arc<dyn Fn(&mut String) + Send + Sync>;

/// What the server is put together from.
pub struct Parts {
    /// The state.
    pub registry: Arc<Registry>,
    /// Who is asking.
    pub authentication: Arc<Authentication>,
    /// Whether they may.
    pub authorization: Arc<Authorization>,
    /// Signs service-account tokens.
    pub tokens: Arc<Tokens>,
    /// TLS towards kubelets: the API server's client certificate, and whom it trusts.
    pub kubelet_tls: Arc<rustls::ClientConfig>,
    /// Host and port under which clients know the server, for the documents that name it.
    pub address: String,
    /// Bounds of concurrent requests.
    pub limits: Limits,
    /// What else must be well for the server to be ready, beyond answering at all.
    pub checks: Vec<Check>,
    /// What else `/metrics` shows.
    pub sources: Vec<MetricSource>,
}

/// Everything that requests share.
pub struct State {
    pub(crate) registry: Arc<Registry>,
    pub(crate) authentication: Arc<Authentication>,
    pub(crate) authorization: Arc<Authorization>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) kubelets: Kubelets,
    pub(crate) address: String,
    pub(crate) flow: Flow,
    pub(crate) metrics: Metrics,
    pub(crate) sources: Vec<MetricSource>,
    pub(crate) checks: Vec<Check>,
    /// Cancelled when the server begins to shut down: watches end, `/readyz` fails.
    pub(crate) stopping: CancellationToken,
}

/// The API server. Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct Server(pub(crate) Arc<State>);

impl Server {
    /// Puts it together. It serves nobody until [`Server::listen`] or a handle is used.
    pub fn new(parts: Parts) -> Self {
        parts.registry.set_calls(Arc::new(Webhooks::new(&parts.registry)));
        Server(Arc::new(State {
            registry: parts.registry,
            authentication: parts.authentication,
            authorization: parts.authorization,
            tokens: parts.tokens,
            kubelets: Kubelets::new(parts.kubelet_tls),
            address: parts.address,
            flow: Flow::new(parts.limits),
            metrics: Metrics::default(),
            sources: parts.sources,
            checks: parts.checks,
            stopping: CancellationToken::new(),
        }))
    }

    /// A way to the server without socket, TLS and authentication: every request over it comes from
    /// that user. Authorization and everything after it are the same as for others.
    pub fn transport_as(&self, user: User) -> transport::Shared {
        Arc::new(Handle { state: self.0.clone(), user: Arc::new(user) })
    }

    /// Writes the configuration of flow control that every cluster has, works by what is there, and goes on to follow
    /// it in a named task. Before this, only the mandatory configuration is known.
    pub async fn follow_flow_control(&self, tasks: &Tasks) -> Result<(), Status> {
        crate::flow::follow::follow(self, tasks).await
    }

    /// Serves the custom resources that definitions say, and goes on to follow the definitions in a named task.
    pub async fn follow_definitions(&self, tasks: &Tasks) -> Result<(), Status> {
        crate::definitions::follow(self, tasks).await
    }

    /// Begins to shut down: watches end, `/readyz` fails, connections are closed when they are idle.
    pub fn stop(&self) {
        self.0.stopping.cancel();
    }

    /// Whether it has been told to.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.is_cancelled()
    }
}

/// See [`Server::transport_as`].
struct Handle {
    state: Arc<State>,
    user: Arc<User>,
}

impl Transport for Handle {
    fn send(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, Error>> {
        let (state, caller) = (self.state.clone(), Caller::Component(self.user.clone()));
        async move { Ok(pipeline::serve(&state, request, &caller).await) }.boxed()
    }
}
