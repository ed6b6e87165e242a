//! The connection of one command: where the cluster is, as whom, and in which namespace.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use clap::ArgMatches;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::discovery::Discovery;
use crate::failure::Failure;
use crate::flags;
use crate::units;

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
}

impl Session {
    /// Opens a connection as the flags say; nothing is sent yet.
    pub async fn open(matches: &ArgMatches, local: Option<&Path>) -> Result<Session, Failure> {
        let config = config(matches, local).await?;
        let address = address(&config);
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
        let request = request.body(Body::from(bytes)).map_err(|e| Failure::message(e.to_string()))?;
        let response = self.client.send(request).await.map_err(|e| self.unreachable(&e))?;
        self.warn(response.headers());
        let status = response.status();
        let body = response.into_body();
        if status.is_success() {
            return Ok(body);
        }
        let bytes = body.collect().await.map_err(|e| Failure::message(e.to_string()))?.to_bytes();
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
        Ok(body.collect().await.map_err(|e| Failure::message(e.to_string()))?.to_bytes().to_vec())
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

fn address(config: &Config) -> String {
    let uri = &config.cluster_url;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    format!("{}:{port}", uri.host().unwrap_or("localhost"))
}

async fn config(matches: &ArgMatches, local: Option<&Path>) -> Result<Config, Failure> {
    let options = KubeConfigOptions {
        context: flags::value(matches, "context").map(str::to_owned),
        cluster: flags::value(matches, "cluster").map(str::to_owned),
        user: flags::value(matches, "user").map(str::to_owned),
    };
    let fail = |e: kube::config::KubeconfigError| Failure::message(e.to_string());
    let kubeconfig = match flags::value(matches, "kubeconfig") {
        Some(path) => Some(read(Path::new(path))?),
        None => match from_env()? {
            Some(kubeconfig) => Some(kubeconfig),
            None => match fallback(local) {
                Some(path) => Some(read(&path)?),
                None => None,
            },
        },
    };
    let mut config = match kubeconfig {
        Some(kubeconfig) => {
            missing(matches, &kubeconfig)?;
            impersonated(matches, &kubeconfig)?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(fail)?
        }
        None => Config::incluster().map_err(|_| {
            Failure::Text(
                "The connection to the server localhost:8080 was refused - did you specify the right host or port?"
                    .to_owned(),
            )
        })?,
    };
    let path = |flag: &str| flags::value(matches, flag).map(str::to_owned);
    config.auth_info.client_certificate = path("client-certificate").or(config.auth_info.client_certificate);
    config.auth_info.client_key = path("client-key").or(config.auth_info.client_key);
    config.auth_info.token = path("token").map(Into::into).or(config.auth_info.token);
    config.auth_info.impersonate = path("as").or(config.auth_info.impersonate);
    config.tls_server_name = path("tls-server-name").or(config.tls_server_name);
    config.accept_invalid_certs |= flags::on(matches, "insecure-skip-tls-verify");
    let groups = flags::values(matches, "as-group");
    if !groups.is_empty() {
        config.auth_info.impersonate_groups = Some(groups);
    }
    config.headers.extend(impersonation(matches)?);
    if let Some(limit) = request_timeout(matches)? {
        config.read_timeout = Some(limit);
        config.connect_timeout = Some(limit);
    }
    if let Some(server) = flags::value(matches, "server") {
        config.cluster_url = server.parse().map_err(|e| Failure::message(format!("invalid server: {e}")))?;
    }
    Ok(config)
}

/// `--request-timeout`: a duration or seconds; `None` for no limit.
fn request_timeout(matches: &ArgMatches) -> Result<Option<Duration>, Failure> {
    let text = flags::value(matches, "request-timeout").unwrap_or("0");
    let seconds = text.parse::<u32>().map(f64::from).or_else(|_| units::duration(text));
    let seconds = seconds.map_err(|_| {
        Failure::message(format!(
            "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding \
             time unit (e.g. 1s | 2m | 3h)"
        ))
    })?;
    Ok((seconds > 0.0).then(|| Duration::from_secs_f64(seconds)))
}

/// Who acts as somebody says as whom.
fn impersonated(matches: &ArgMatches, file: &Kubeconfig) -> Result<(), Failure> {
    let more = ["as-group", "as-uid", "as-user-extra"].iter().any(|flag| !flags::values(matches, flag).is_empty());
    if !more || flags::value(matches, "as").is_some() {
        return Ok(());
    }
    let context = flags::value(matches, "context").or(file.current_context.as_deref());
    let context = file.contexts.iter().find(|c| Some(c.name.as_str()) == context).and_then(|c| c.context.as_ref());
    let user = flags::value(matches, "user").or(context.and_then(|context| context.user.as_deref())).unwrap_or_default();
    Err(Failure::message(format!("requesting uid, groups or user-extra for {user} without impersonating a user")))
}

/// What the client has no names for (upstream: `transport.NewImpersonatingRoundTripper`).
fn impersonation(matches: &ArgMatches) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let header = |name: &str, value: &str| {
        let name = HeaderName::try_from(name).map_err(|e| Failure::message(e.to_string()))?;
        Ok((name, HeaderValue::from_str(value).map_err(|e| Failure::message(e.to_string()))?))
    };
    let uid = flags::value(matches, "as-uid").map(|uid| header("impersonate-uid", uid));
    let extra = flags::values(matches, "as-user-extra");
    let extra = extra.iter().filter_map(|pair| pair.split_once('='));
    let extra = extra.map(|(key, value)| header(&format!("impersonate-extra-{}", in_header(key)), value));
    uid.into_iter().chain(extra).collect()
}

/// A key as the name of a header: what cannot stand there, and a percent sign, is escaped.
fn in_header(key: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&'*+-.^_`|~".contains(&b);
    let escaped = |b: u8| if is_plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    key.bytes().map(escaped).collect()
}

/// Names in the flags that the file does not have, in upstream's words.
fn missing(matches: &ArgMatches, file: &Kubeconfig) -> Result<(), Failure> {
    let has = |name: &str, names: Vec<&String>| names.iter().any(|n| *n == name);
    if let Some(name) = flags::value(matches, "context")
        && !has(name, file.contexts.iter().map(|c| &c.name).collect())
    {
        return Err(Failure::Text(format!("Error in configuration: context was not found for specified context: {name}")));
    }
    if let Some(name) = flags::value(matches, "user")
        && !has(name, file.auth_infos.iter().map(|u| &u.name).collect())
    {
        return Err(Failure::message(format!("auth info \"{name}\" does not exist")));
    }
    if let Some(name) = flags::value(matches, "cluster")
        && !has(name, file.clusters.iter().map(|c| &c.name).collect())
    {
        return Err(Failure::message(format!("cluster \"{name}\" does not exist")));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Kubeconfig, Failure> {
    if !path.exists() {
        return Err(Failure::message(format!("stat {}: no such file or directory", path.display())));
    }
    readable(path)?;
    Kubeconfig::read_from(path).map_err(|e| Failure::message(e.to_string()))
}

/// The files of `KUBECONFIG`, as one; those that are not there are left out, unless none is.
fn from_env() -> Result<Option<Kubeconfig>, Failure> {
    let value = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let named: Vec<PathBuf> = std::env::split_paths(&value).filter(|path| !path.as_os_str().is_empty()).collect();
    let there: Vec<&PathBuf> = named.iter().filter(|path| path.exists()).collect();
    let files = if there.is_empty() { named.iter().take(1).collect() } else { there };
    let merge = |all: Option<Kubeconfig>, path: &PathBuf| match all {
        None => read(path).map(Some),
        Some(all) => all.merge(read(path)?).map(Some).map_err(|e| Failure::message(e.to_string())),
    };
    files.into_iter().try_fold(None, merge)
}

/// Who may not read a file is told so, and what to do where it is the one that `up` has written.
fn readable(path: &Path) -> Result<(), Failure> {
    match std::fs::File::open(path) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            let is_ours = path.file_name().is_some_and(|name| name == "admin.conf");
            let advice = "; run this as root (sudo), or have the cluster started with --write-kubeconfig-mode 644";
            Err(Failure::message(format!(
                "error loading config file \"{path}\": open {path}: permission denied{}",
                if is_ours { advice } else { "" },
                path = path.display()
            )))
        }
        _ => Ok(()),
    }
}

/// This machine's cluster for who may read its file; else the user's own file.
fn fallback(local: Option<&Path>) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
    let all: Vec<PathBuf> = local.map(Path::to_path_buf).into_iter().chain(home).filter(|path| path.exists()).collect();
    all.iter().find(|path| readable(path).is_ok()).or(all.first()).cloned()
}
