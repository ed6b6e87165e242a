//! Where the cluster is, and as whom: the flags over the files (upstream: `client-go/tools/clientcmd`).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use http::{HeaderName, HeaderValue};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::failure::Failure;
use crate::flags;
use crate::units;
use crate::verbosity::Verbosity;

/// What the client adds to each request, credentials without their content.
pub fn added(config: &Config) -> http::HeaderMap {
    let mut out: http::HeaderMap = config.headers.iter().cloned().collect();
    let who = &config.auth_info;
    let bearer = who.token.is_some() || who.token_file.is_some() || who.exec.is_some() || who.auth_provider.is_some();
    let hidden = match (bearer, who.username.is_some()) {
        (true, _) => Some("Bearer hidden"),
        (false, true) => Some("Basic hidden"),
        (false, false) => None,
    };
    if let Some(hidden) = hidden {
        out.insert(http::header::AUTHORIZATION, HeaderValue::from_static(hidden));
    }
    let groups = who.impersonate_groups.iter().flatten().map(|group| ("impersonate-group", group));
    for (name, value) in who.impersonate.iter().map(|user| ("impersonate-user", user)).chain(groups) {
        if let Ok(value) = HeaderValue::from_str(value) {
            out.append(HeaderName::from_static(name), value);
        }
    }
    out
}

/// Host and port of the server.
pub fn address(config: &Config) -> String {
    let uri = &config.cluster_url;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    format!("{}:{port}", uri.host().unwrap_or("localhost"))
}

/// The connection that the flags and the files say.
pub async fn config(matches: &ArgMatches, local: Option<&Path>) -> Result<Config, Failure> {
    let options = KubeConfigOptions {
        context: flags::value(matches, "context").map(str::to_owned),
        cluster: flags::value(matches, "cluster").map(str::to_owned),
        user: flags::value(matches, "user").map(str::to_owned),
    };
    let fail = |e: kube::config::KubeconfigError| Failure::message(e.to_string());
    let level = flags::number_of(matches, "v").unwrap_or(0);
    let read = |path: &Path| read(path).inspect(|_| Verbosity::loaded(level, path));
    let kubeconfig = match flags::value(matches, "kubeconfig") {
        Some(path) => Some(read(Path::new(path))?),
        None => match from_env(&read)? {
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
fn from_env(read: &impl Fn(&Path) -> Result<Kubeconfig, Failure>) -> Result<Option<Kubeconfig>, Failure> {
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
