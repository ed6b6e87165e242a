//! A whole API server in memory, for tests and for the example.

#![allow(dead_code, reason = "every user needs another part")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use admission::{Plugin, plugins};
use auth::authn::x509::Certificates;
use auth::pki::{Leaf, Pki, tls};
use auth::token::Tokens;
use auth::{Authentication, Authorization, identity};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use meta::User;
use registry::Registry;
use serde_json::Value;
use server::lookup::Objects;
use server::{Limits, Parts, Server, policy};
use store::Memory;
use tokio_util::sync::CancellationToken;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The server and what it was made of.
pub struct Kit {
    pub server: Server,
    pub pki: Arc<Pki>,
    pub stopping: CancellationToken,
}

/// An answer, read to its end.
pub struct Answer {
    pub code: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("is text")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().expect("is text"))
    }
}

impl Kit {
    /// Everything that a fresh cluster has: the bootstrap policy and the first namespaces.
    pub async fn new(directory: &std::path::Path) -> Kit {
        let kit = Kit::with(directory, |_| Vec::new(), Memory::new()).await;
        kit.bootstrap().await;
        kit
    }

    /// The same with all admission plug-ins.
    pub async fn guarded(directory: &std::path::Path) -> Kit {
        let kit = Kit::with(directory, plugins::all, Memory::new()).await;
        kit.bootstrap().await;
        kit
    }

    /// The same over data that somebody has written.
    pub async fn over(directory: &std::path::Path, store: Memory) -> Kit {
        Kit::with(directory, plugins::all, store).await
    }

    async fn with(
        directory: &std::path::Path,
        plugins: fn(&plugins::Context) -> Vec<Arc<dyn Plugin>>,
        store: Memory,
    ) -> Kit {
        let pki = Arc::new(Pki::open(directory, Timestamp::now()).expect("keys"));
        let authorization = Arc::new(Authorization::default());
        let plugins = plugins(&plugins::Context { authorization: authorization.clone(), pod_security: Arc::default() });
        let registry = Registry::open(Arc::new(store), kinds::all(), plugins, registry::Config::default());
        let registry = registry.await.expect("opens");
        let tokens = Arc::new(Tokens::new(ISSUER, pki.signing_key()).expect("key"));
        let certificates = Certificates::new(&[pki.cluster().certificate().clone()]).expect("authority");
        let lookup = Arc::new(Objects(registry.clone()));
        let authentication = Arc::new(Authentication::new(certificates, tokens.clone(), lookup));
        let stopping = CancellationToken::new();
        policy::follow(&registry, &authorization, &stopping.clone().into()).await.expect("policy");
        let kubelet_tls = tls::client_config(&pki, Leaf::api_server_kubelet_client()).expect("certificate");
        let server = Server::new(Parts {
            registry,
            authentication,
            authorization,
            tokens,
            kubelet_tls,
            address: "127.0.0.1:6443".to_owned(),
            limits: Limits::default(),
            checks: Vec::new(),
            sources: Vec::new(),
        });
        server.follow_flow_control(&stopping.clone().into()).await.expect("flow control");
        server.follow_definitions(&stopping.clone().into()).await.expect("definitions");
        Kit { server, pki, stopping }
    }

    async fn bootstrap(&self) {
        for object in auth::bootstrap::objects() {
            let resource = auth::bootstrap::resource(object.kind());
            let base = match object.api_version().contains('/') {
                true => format!("/apis/{}", object.api_version()),
                false => format!("/api/{}", object.api_version()),
            };
            let path = match object.namespace() {
                "" => format!("{base}/{resource}"),
                namespace => format!("{base}/namespaces/{namespace}/{resource}"),
            };
            let answer = self.ask(Method::POST, &path, &[], object.into_value().to_string()).await;
            assert!(answer.code.is_success(), "{path}: {}", answer.text());
        }
    }

    /// A request as the administrator, in the process.
    pub async fn ask(&self, method: Method, uri: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.ask_as(identity::api_server(), method, uri, headers, body).await
    }

    pub async fn get(&self, uri: &str) -> Answer {
        self.ask(Method::GET, uri, &[], "").await
    }

    pub async fn post(&self, uri: &str, body: Value) -> Answer {
        self.ask(Method::POST, uri, &[], body.to_string()).await
    }

    pub async fn ask_as(
        &self,
        user: User,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(transport::full(body)).expect("request");
        let response = self.server.transport_as(user).send(request).await.expect("answers");
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("body").to_bytes();
        Answer { code: head.status, headers: head.headers, body }
    }

    /// Listens on loopback; returns where.
    pub async fn listen(&self, port: u16) -> SocketAddr {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listener = tokio::net::TcpListener::bind((loopback, port)).await.expect("binds");
        let address = listener.local_addr().expect("address");
        let leaf = Leaf::api_server("localhost", "cluster.local", &[loopback]);
        let tls = tls::server_config(&self.pki, leaf).expect("certificate");
        let server = self.server.clone();
        tokio::spawn(async move { server.listen(listener, tls).await });
        address
    }
}
