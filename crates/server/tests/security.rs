//! Who gets in and who may do what, over TLS with certificates and tokens, with every plug-in.

mod kit;

use std::net::SocketAddr;
use std::sync::Arc;

use auth::pki::{Leaf, Pki, tls};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use kit::Kit;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Somebody outside: a certificate, a token, or neither.
struct Client {
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    token: Option<String>,
}

impl Client {
    async fn send(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let stream = TcpStream::connect(self.address).await.expect("connects");
        let name = ServerName::IpAddress(self.address.ip().into());
        let mut tls = (*self.tls).clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = tokio_rustls::TlsConnector::from(Arc::new(tls)).connect(name, stream).await.expect("shakes hands");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("speaks HTTP");
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request =
            request.header("content-type", "application/json").body(Full::<bytes::Bytes>::from(text)).expect("request");
        let (head, body) = sender.send_request(request).await.expect("answers").into_parts();
        let bytes = body.collect().await.expect("body").to_bytes();
        (head.status, serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()))
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let (code, answer) = self.send(Method::GET, path, Value::Null).await;
        (code, answer["message"].as_str().unwrap_or("").to_owned())
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, body).await
    }
}

struct Cluster {
    kit: Kit,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Cluster {
    async fn new() -> Cluster {
        let directory = tempfile::tempdir().expect("directory");
        let kit = Kit::guarded(directory.path()).await;
        let address = kit.listen(0).await;
        Cluster { kit, address, _directory: directory }
    }

    fn with_certificate(&self, leaf: Leaf) -> Client {
        let tls = tls::client_config(&self.kit.pki, leaf).expect("certificate");
        Client { address: self.address, tls, token: None }
    }

    fn with_token(&self, token: Option<&str>) -> Client {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.kit.pki.cluster().certificate().clone()).expect("authority");
        let builder = rustls::ClientConfig::builder_with_provider(tls::provider());
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let tls = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        Client { address: self.address, tls, token: token.map(str::to_owned) }
    }
}

#[tokio::test]
async fn everybody_is_who_their_credentials_say() {
    let cluster = Cluster::new().await;
    let nobody = cluster.with_token(None);
    assert_eq!(nobody.get("/livez").await.0, StatusCode::OK);
    assert_eq!(nobody.get("/version").await.0, StatusCode::OK);
    let refused = r#"namespaces is forbidden: User "system:anonymous" cannot list resource "namespaces" in API group "" at the cluster scope"#;
    assert_eq!(nobody.get("/api/v1/namespaces").await, (StatusCode::FORBIDDEN, refused.to_owned()));
    let liar = cluster.with_token(Some("lie"));
    assert_eq!(liar.get("/livez").await, (StatusCode::UNAUTHORIZED, "Unauthorized".to_owned()));

    let admin = cluster.with_certificate(Leaf::admin());
    assert_eq!(admin.get("/api/v1/namespaces").await.0, StatusCode::OK);
    let scheduler = cluster.with_certificate(Leaf::scheduler());
    assert_eq!(scheduler.get("/api/v1/pods").await.0, StatusCode::OK);
    assert_eq!(scheduler.get("/api/v1/secrets").await.0, StatusCode::FORBIDDEN);

    let elsewhere = tempfile::tempdir().expect("directory");
    let stranger = Arc::new(Pki::open(elsewhere.path(), jiff::Timestamp::now()).expect("keys"));
    let borrowed = (*tls::client_config(&stranger, Leaf::admin()).expect("certificate")).clone();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cluster.kit.pki.cluster().certificate().clone()).expect("authority");
    let builder = rustls::ClientConfig::builder_with_provider(tls::provider());
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
    let forged = builder.with_client_cert_resolver(borrowed.client_auth_cert_resolver.clone());
    let forger = Client { address: cluster.address, tls: Arc::new(forged), token: None };
    assert_eq!(forger.get("/livez").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_serves_its_account_until_that_is_gone() {
    let cluster = Cluster::new().await;
    let admin = cluster.with_certificate(Leaf::admin());
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let (code, _) = admin.post(accounts, json!({"metadata": {"name": "robot"}})).await;
    assert_eq!(code, StatusCode::CREATED);
    let (code, issued) = admin.post(&format!("{accounts}/robot/token"), json!({"spec": {}})).await;
    assert_eq!(code, StatusCode::CREATED, "{issued}");
    let token = issued["status"]["token"].as_str().expect("a token");
    let robot = cluster.with_token(Some(token));
    let refused = r#"pods is forbidden: User "system:serviceaccount:default:robot" cannot list resource "pods" in API group "" in the namespace "default""#;
    assert_eq!(robot.get("/api/v1/namespaces/default/pods").await, (StatusCode::FORBIDDEN, refused.to_owned()));
    let binding = json!({"metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]});
    let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    assert_eq!(robot.post(bindings, binding.clone()).await.0, StatusCode::FORBIDDEN);
    let (code, answer) = admin.post(bindings, binding).await;
    assert_eq!(code, StatusCode::CREATED, "{answer}");
    // The authorizers follow a watch: a moment may pass.
    let mut code = StatusCode::FORBIDDEN;
    while code != StatusCode::OK {
        code = robot.get("/api/v1/namespaces/default/pods").await.0;
    }
    assert_eq!(robot.get("/api/v1/namespaces/default/secrets").await.0, StatusCode::FORBIDDEN);

    let review = json!({"spec": {"token": token}});
    let (_, review) = admin.post("/apis/authentication.k8s.io/v1/tokenreviews", review).await;
    assert_eq!(review["status"]["user"]["username"], "system:serviceaccount:default:robot");
    let (code, _) = admin.send(Method::DELETE, &format!("{accounts}/robot"), Value::Null).await;
    assert_eq!(code, StatusCode::OK);
    let other = json!({"spec": {"token": token, "audiences": ["https://kubernetes.default.svc.cluster.local"]}});
    let (_, review) = admin.post("/apis/authentication.k8s.io/v1/tokenreviews", other).await;
    assert_eq!(review["status"]["authenticated"].as_bool().unwrap_or(false), false, "{review}");
}

#[tokio::test]
async fn a_kubelet_sees_and_writes_its_own_alone() {
    let cluster = Cluster::new().await;
    let admin = cluster.with_certificate(Leaf::admin());
    let node = cluster.with_certificate(Leaf::kubelet_client("n1"));
    for name in ["default", "robot"] {
        let (code, _) =
            admin.post("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": name}})).await;
        assert_eq!(code, StatusCode::CREATED);
    }
    let secret = json!({"metadata": {"name": "s"}});
    assert_eq!(admin.post("/api/v1/namespaces/default/secrets", secret).await.0, StatusCode::CREATED);
    let (code, made) = node.post("/api/v1/nodes", json!({"metadata": {"name": "n1"}})).await;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    assert_eq!(made["spec"]["taints"][0]["key"], "node.kubernetes.io/not-ready");
    let (code, refused) = node.post("/api/v1/nodes", json!({"metadata": {"name": "n2"}})).await;
    assert_eq!(code, StatusCode::FORBIDDEN, "{refused}");

    let path = "/api/v1/namespaces/default/secrets/s";
    let refused = r#"secrets "s" is forbidden: User "system:node:n1" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node 'n1' and this object"#;
    assert_eq!(node.get(path).await, (StatusCode::FORBIDDEN, refused.to_owned()));
    let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", "secret": {"secretName": "s"}}]}});
    let (code, pod) = admin.post("/api/v1/namespaces/default/pods", pod).await;
    assert_eq!(code, StatusCode::CREATED, "{pod}");
    assert_eq!(pod["spec"]["serviceAccountName"], "default");
    let mut code = StatusCode::FORBIDDEN;
    while code != StatusCode::OK {
        code = node.get(path).await.0;
    }
    assert_eq!(node.get("/api/v1/pods").await.0, StatusCode::FORBIDDEN);
    assert_eq!(node.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1").await.0, StatusCode::OK);

    // It evicts its own pods, and no others.
    admin.post("/api/v1/nodes", json!({"metadata": {"name": "n2"}})).await;
    for (name, of, expected) in [("own", "n1", StatusCode::CREATED), ("other", "n2", StatusCode::FORBIDDEN)] {
        let pod = json!({"metadata": {"name": name}, "spec": {"nodeName": of, "containers": [{"name": "c", "image": "i"}]}});
        assert_eq!(admin.post("/api/v1/namespaces/default/pods", pod).await.0, StatusCode::CREATED);
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}});
        let (code, answer) = node.post(&format!("/api/v1/namespaces/default/pods/{name}/eviction"), eviction).await;
        assert_eq!(code, expected, "{answer}");
    }

    let bound = json!({"spec": {"expirationSeconds": 3607, "boundObjectRef":
        {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": pod["metadata"]["uid"]}}});
    let token = |account: &str| format!("/api/v1/namespaces/default/serviceaccounts/{account}/token");
    let (code, issued) = node.post(&token("default"), bound.clone()).await;
    assert_eq!(code, StatusCode::CREATED, "{issued}");
    let (code, refused) = node.post(&token("default"), json!({"spec": {}})).await;
    assert_eq!(code, StatusCode::FORBIDDEN, "{refused}");
    assert_eq!(node.post(&token("robot"), bound).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_is_proxied_to_the_servers_own_loopback() {
    let cluster = Cluster::new().await;
    let admin = cluster.with_certificate(Leaf::admin());
    let secret = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = secret.local_addr().expect("address").port();
    let addresses = [("InternalIP", "127.0.0.1"), ("InternalIP", "::ffff:127.0.0.1"), ("Hostname", "localhost"), ("InternalIP", "169.254.169.254")];
    for (i, (sort, address)) in addresses.into_iter().enumerate() {
        let status = json!({"addresses": [{"type": sort, "address": address}]});
        let node = json!({"metadata": {"name": format!("n{i}")}, "status": status});
        assert_eq!(admin.post("/api/v1/nodes", node).await.0, StatusCode::CREATED);
        let (code, answer) = admin.get(&format!("/api/v1/nodes/n{i}:{port}/proxy/")).await;
        assert!(code.is_client_error() || code.is_server_error(), "{address}: {code}");
        assert!(answer.contains("address not allowed"), "{address}: {answer}");
    }
    let account = json!({"metadata": {"name": "default"}});
    assert_eq!(admin.post("/api/v1/namespaces/default/serviceaccounts", account).await.0, StatusCode::CREATED);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n0", "containers": [{"name": "c", "image": "i"}]}});
    assert_eq!(admin.post("/api/v1/namespaces/default/pods", pod).await.0, StatusCode::CREATED);
    let (code, answer) = admin.get(&format!("/api/v1/namespaces/default/pods/p:{port}/proxy/")).await;
    assert_eq!((code, answer.contains("address not allowed")), (StatusCode::BAD_REQUEST, true), "{answer}");
}
