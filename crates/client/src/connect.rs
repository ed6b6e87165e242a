//! Clients: in-process over a transport, or over TLS by a kubeconfig.

use std::path::Path;
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use http::{Request, Response};
use kube::config::{KubeConfigOptions, Kubeconfig};

/// A kubeconfig that gives no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file cannot be read, or says nothing usable.
    #[error("kubeconfig {path}: {source}")]
    Kubeconfig {
        /// The file.
        path: String,
        /// Why.
        source: Box<kube::config::KubeconfigError>,
    },
    /// Its certificates or keys cannot be used.
    #[error("kubeconfig {path}: {source}")]
    Client {
        /// The file.
        path: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

/// A client whose requests are function calls on the transport. It needs a running tokio runtime.
pub fn in_process(transport: transport::Shared) -> kube::Client {
    kube::Client::new(Adapter(transport), "default")
}

/// A client as a kubeconfig file describes it, over TLS, with its current context.
pub async fn by_kubeconfig(path: &Path) -> Result<kube::Client, ConnectError> {
    with_authority(path).await.map(|(client, _)| client)
}

/// The same, with the certificates in PEM by which it knows the server; empty where the file names none.
pub async fn with_authority(path: &Path) -> Result<(kube::Client, String), ConnectError> {
    let name = || path.display().to_string();
    let wrong = |source| ConnectError::Kubeconfig { path: name(), source: Box::new(source) };
    let config = Kubeconfig::read_from(path).map_err(wrong)?;
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.map_err(wrong)?;
    let authority = config.root_cert.iter().flatten().map(|der| pem(der)).collect();
    let client = kube::Client::try_from(config).map_err(|source| ConnectError::Client { path: name(), source: Box::new(source) })?;
    Ok((client, authority))
}

/// A certificate as text.
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[derive(Clone)]
struct Adapter(transport::Shared);

impl tower::Service<Request<kube::client::Body>> for Adapter {
    type Response = Response<transport::Body>;
    type Error = transport::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let transport = self.0.clone();
        Box::pin(async move {
            // Request bodies are whole objects already in memory; only answers stream.
            let (parts, body) = request.into_parts();
            let bytes = body.collect_bytes().await?;
            transport.send(Request::from_parts(parts, transport::full(bytes))).await
        })
    }
}
