//! The connection of one command: where the cluster is, as whom, and in which namespace.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use clap::ArgMatches;
use http::Request;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::config::{added, address, config};
use crate::discovery::Discovery;
use crate::failure::Failure;
use crate::flags;
use crate::verbosity::Verbosity;

/// The plain form of every document.
pub const JSON: &str = "application/json";

/// A patch that knows how the lists of a kind are merged.
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// Objects in one answer to a list.
pub const CHUNK: u32 = 500;

/// An open connection.
pub struct Session {
    client: Client,
    /// The namespace of the command: `-n`, or the context's, or `default`.
    pub namespace: String,
    /// `-A`.
    pub everywhere: bool,
    /// Whether `-n` was given.
    pub namespace_given: bool,
    address: String,
    discovery: OnceCell<Discovery>,
    warned: Mutex<BTreeSet<String>>,
    verbosity: Verbosity,
}

impl Session {
    /// Opens a connection as the flags say; nothing is sent yet.
    pub async fn open(matches: &ArgMatches, local: Option<&Path>) -> Result<Session, Failure> {
        let config = config(matches, local).await?;
        let address = address(&config);
        let level = flags::number_of(matches, "v").unwrap_or(0);
        let verbosity = Verbosity::new(level, &config.cluster_url.to_string(), added(&config));
        let given = flags::value(matches, "namespace").filter(|n| !n.is_empty());
        let namespace = given.map_or_else(|| config.default_namespace.clone(), str::to_owned);
        let client = Client::try_from(config).map_err(|e| Failure::message(e.to_string()))?;
        Ok(Session {
            client,
            namespace: if namespace.is_empty() { "default".to_owned() } else { namespace },
            everywhere: flags::on(matches, "all-namespaces"),
            namespace_given: given.is_some(),
            address,
            discovery: OnceCell::new(),
            warned: Mutex::default(),
            verbosity,
        })
    }

    /// What the server has; asked once.
    pub async fn discovery(&self) -> Result<&Discovery, Failure> {
        self.discovery.get_or_try_init(|| Discovery::fetch(self)).await
    }

    /// The namespace of a list: empty with `-A`.
    pub fn list_namespace(&self) -> &str {
        if self.everywhere { "" } else { &self.namespace }
    }

    /// The client, for connections that change protocol.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for such a connection, whose request is a GET of that path, and tells of it.
    pub async fn upgraded<T>(
        &self,
        path: &str,
        opening: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, kube::Error> {
        let Ok(request) = Request::get(path).body(()) else { return opening.await };
        let asked = self.verbosity.asked(&request, &[]);
        let opened = opening.await;
        let none = http::HeaderMap::new();
        let status = match &opened {
            Ok(_) => Some(http::StatusCode::SWITCHING_PROTOCOLS),
            Err(kube::Error::Api(status)) => http::StatusCode::from_u16(status.code).ok(),
            Err(_) => None,
        };
        self.verbosity.answered(&asked, status.map(|status| (status, &none)));
        opened
    }

    /// Sends a request and gives the answer's body as a stream of bytes; a refusal is a failure.
    pub async fn stream(
        &self,
        method: &str,
        path: &str,
        accept: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Body, Failure> {
        let mut request = Request::builder().method(method).uri(path).header("Accept", accept);
        // The name under which the server keeps account of fields that this program writes.
        request = request.header("User-Agent", concat!("kubectl/v1.36.3 (linux) ironclad/", env!("CARGO_PKG_VERSION")));
        let mut bytes = Vec::new();
        if let Some((kind, value)) = body {
            request = request.header("Content-Type", kind);
            bytes = value.to_string().into_bytes();
        }
        let told = bytes.clone();
        let request = request.body(Body::from(bytes)).map_err(|e| Failure::message(e.to_string()))?;
        let asked = self.verbosity.asked(&request, &told);
        let response = self.client.send(request).await;
        let head = response.as_ref().ok().map(|response| (response.status(), response.headers()));
        self.verbosity.answered(&asked, head);
        let response = response.map_err(|e| self.unreachable(&e))?;
        self.warn(response.headers());
        let status = response.status();
        let body = response.into_body();
        if status.is_success() {
            return Ok(body);
        }
        let bytes = body.collect().await.map_err(|e| Failure::message(e.to_string()))?.to_bytes();
        self.verbosity.body_of_answer(&bytes);
        Err(refused(status, &bytes))
    }

    /// Sends a request and reads the answer whole.
    pub async fn bytes(
        &self,
        method: &str,
        path: &str,
        accept: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Vec<u8>, Failure> {
        let body = self.stream(method, path, accept, body).await?;
        let bytes = body.collect().await.map_err(|e| Failure::message(e.to_string()))?.to_bytes();
        self.verbosity.body_of_answer(&bytes);
        Ok(bytes.to_vec())
    }

    /// Sends a request and reads the answer as JSON.
    pub async fn json(
        &self,
        method: &str,
        path: &str,
        accept: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Value, Failure> {
        let bytes = self.bytes(method, path, accept, body).await?;
        serde_json::from_slice(&bytes).map_err(|e| Failure::message(format!("couldn't read the answer: {e}")))
    }

    /// Reads one object.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.json("GET", path, JSON, None).await
    }

    /// The items of a list, asked for in parts; `path` may have a query.
    pub async fn items(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let joiner = if path.contains('?') { '&' } else { '?' };
        let first = format!("{path}{joiner}limit={CHUNK}");
        let mut next = first.clone();
        let mut all = Vec::new();
        loop {
            let mut page = self.get(&next).await?;
            if let Value::Array(items) = page["items"].take() {
                all.extend(items);
            }
            match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
                Some(token) => next = format!("{first}&continue={}", crate::selection::encode(token)),
                None => return Ok(all),
            }
        }
    }

    /// Sends again what lost a race with another writer, at most five times, if that is `allowed`.
    pub async fn again_on_conflict<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        allowed: bool,
        send: impl Fn() -> F,
    ) -> Result<T, Failure> {
        let mut left = if allowed { 5 } else { 0 };
        loop {
            match send().await {
                Err(failure) if failure.reason() == "Conflict" && left > 0 => left -= 1,
                other => return other,
            }
        }
    }

    /// Prints the server's warnings, each once.
    fn warn(&self, headers: &http::HeaderMap) {
        for header in headers.get_all(http::header::WARNING) {
            // `299 - "text"`: a code, an agent, and the text with quotes and backslashes escaped.
            let Some(text) = header.to_str().ok().and_then(|h| h.split_once('"')) else { continue };
            let text = text.1.trim_end();
            let text = text.strip_suffix('"').unwrap_or(text).replace("\\\"", "\"").replace("\\\\", "\\");
            let mut told = self.warned.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if told.insert(text.clone()) {
                eprintln!("Warning: {text}");
            }
        }
    }

    /// The words for a server that does not answer.
    pub fn unreachable(&self, error: &kube::Error) -> Failure {
        if let kube::Error::Api(status) = error {
            let status = serde_json::to_value(status.as_ref()).unwrap_or_default();
            return Failure::Refused(Box::new(status));
        }
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            text = inner.to_string();
            cause = inner.source();
        }
        if text.contains("onnection refused") {
            let address = &self.address;
            return Failure::Text(format!(
                "The connection to the server {address} was refused - did you specify the right host or port?"
            ));
        }
        Failure::Text(format!("Unable to connect to the server: {text}"))
    }
}

fn refused(status: http::StatusCode, bytes: &[u8]) -> Failure {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) if value["kind"] == "Status" => Failure::Refused(Box::new(value)),
        _ => {
            let text = String::from_utf8_lossy(bytes);
            let message = if status == http::StatusCode::NOT_FOUND {
                "the server could not find the requested resource".to_owned()
            } else {
                text.trim().to_owned()
            };
            let reason = if status == http::StatusCode::NOT_FOUND { "NotFound" } else { "" };
            Failure::Refused(Box::new(serde_json::json!({
                "kind": "Status", "reason": reason, "message": message, "code": status.as_u16(),
            })))
        }
    }
}
