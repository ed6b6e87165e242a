//! A command on upstream's control plane: what a client sees there is how Kubernetes behaves.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::compare::scheduling;
use crate::https;
use crate::target::Target;
use crate::upstream::Upstream;

/// The one node, which exists as an object alone: clients that look for a ready node find it. Nothing runs on it.
const NODE: &str = "node-1";

/// Starts upstream's control plane, runs the command with its kubeconfig, and ends it.
pub async fn run(programs: &Path, command: &[OsString]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no command")?;
    let target = Target::Upstream(Upstream::start(programs)?);
    let mut client = target.ready().await?;
    let Target::Upstream(mut upstream) = target else { unreachable!("made above") };
    // Nobody keeps the node alive, and nobody is to mind that.
    upstream.start_actors(&["--controllers=*,-node-lifecycle-controller"])?;
    client.post("/api/v1/nodes", scheduling::node(NODE).to_string().as_bytes()).await?;
    // Whoever creates a node gets it with a taint, which the controller that is off would take away.
    let (path, patch) = (format!("/api/v1/nodes/{NODE}"), br#"{"spec":{"taints":null}}"#);
    client.send(&https::request("PATCH", &path, "application/merge-patch+json", patch)).await?;
    let status = Command::new(program).args(arguments).env("KUBECONFIG", upstream.kubeconfig()).status();
    drop(upstream);
    ensure!(status?.success(), "the command on upstream's control plane failed");
    Ok(())
}
