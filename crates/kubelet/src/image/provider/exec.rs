//! One conversation with a plug-in: the request on its standard input, the response on its standard output.

use std::collections::BTreeMap;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use runtime::Credentials;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::config::{Plugin, duration};

/// The longest that it may take (upstream: one minute for all).
const TIME: Duration = Duration::from_secs(60);
/// The longest response, and the longest complaint, in bytes.
const RESPONSE: u64 = 1 << 20;
const COMPLAINT: u64 = 4 << 10;

/// What an answer is remembered under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The image's name without tag and digest.
    Image,
    /// Its registry.
    Registry,
    /// All that the plug-in is asked for.
    Global,
}

/// What a plug-in knows.
#[derive(Debug)]
pub(super) struct Answer {
    /// For what else it holds.
    pub scope: Scope,
    /// How long; zero: not at all.
    pub holds: Duration,
    /// Credentials by the place that they are for.
    pub auth: Vec<(String, Credentials)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Response {
    kind: String,
    api_version: String,
    #[serde(default)]
    cache_key_type: String,
    cache_duration: Option<String>,
    #[serde(default)]
    auth: Option<BTreeMap<String, Auth>>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Auth {
    username: String,
    password: String,
}

/// Asks a plug-in for an image. What it answers is never part of an error.
pub(super) async fn ask(plugin: &Plugin, image: &str) -> Result<Answer, String> {
    let fail = |why: &dyn std::fmt::Display| format!("error execing credential provider plugin {} for image {image}: {why}", plugin.name);
    let (good, out, complaint) = match tokio::time::timeout(TIME, run(plugin, image)).await {
        Ok(done) => done.map_err(|e| fail(&e))?,
        Err(_) => return Err(fail(&"context deadline exceeded")),
    };
    if let Err(status) = good {
        return Err(fail(&format_args!("{status}: {complaint}")));
    }
    decode(plugin, &out)
}

async fn run(plugin: &Plugin, image: &str) -> io::Result<(Result<(), String>, Vec<u8>, String)> {
    let request = json!({"kind": "CredentialProviderRequest", "apiVersion": plugin.version, "image": image}).to_string();
    let mut command = Command::new(&plugin.program);
    command.args(&plugin.args).envs(plugin.env.iter().cloned()).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let say = async {
        if let Some(mut stdin) = stdin {
            // Who does not read it needs no answer to it.
            let _ = stdin.write_all(request.as_bytes()).await;
        }
    };
    let (out, complaint, ()) = tokio::join!(all(stdout, RESPONSE), all(stderr, COMPLAINT), say);
    let status = child.wait().await?;
    let good = if status.success() { Ok(()) } else { Err(status.to_string()) };
    let complaint = String::from_utf8_lossy(&complaint?).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Ok((good, out?, complaint))
}

/// Reads to the end; what is too much is read and forgotten, so that nobody waits.
async fn all(from: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let (mut bytes, Some(mut from)) = (Vec::new(), from) else { return Ok(Vec::new()) };
    (&mut from).take(most).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(bytes)
}

fn decode(plugin: &Plugin, out: &[u8]) -> Result<Answer, String> {
    let unreadable = || "error decoding credential provider plugin response from stdout".to_owned();
    let response: Response = serde_json::from_slice(out).map_err(|_| unreadable())?;
    if response.kind != "CredentialProviderResponse" {
        return Err(unreadable());
    }
    if response.api_version != plugin.version {
        return Err(format!(
            "apiVersion from credential plugin response did not match expected apiVersion:{}, actual apiVersion:{}",
            plugin.version, response.api_version
        ));
    }
    let scope = match response.cache_key_type.as_str() {
        "Image" => Scope::Image,
        "Registry" => Scope::Registry,
        "Global" => Scope::Global,
        other => return Err(format!("credential provider plugin did not return a valid cacheKeyType: {other}")),
    };
    let holds = match response.cache_duration {
        None => plugin.holds,
        Some(text) => duration(&text).ok_or_else(unreadable)?,
    };
    let auth = response.auth.unwrap_or_default().into_iter();
    let auth = auth.map(|(place, auth)| (place, Credentials { username: auth.username, password: auth.password }));
    Ok(Answer { scope, holds, auth: auth.collect() })
}
