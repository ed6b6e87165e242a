//! This side's streams at a container that runs (upstream: `kubectl/pkg/cmd/attach`, `AttachOptions.Run`).

use std::io::IsTerminal;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use serde_json::Value;

use crate::detaching::Keys;
use crate::failure::Failure;
use crate::session::Session;
use crate::streams::{self, Raw};

/// How to attach.
#[derive(Clone, Debug)]
pub struct Attaching {
    /// With standard input.
    pub stdin: bool,
    /// With a terminal, if there is one on both sides.
    pub tty: bool,
    /// Without a word besides the container's.
    pub quiet: bool,
    /// What is typed on a terminal to leave; empty: the usual keys.
    pub detach_keys: String,
}

impl Attaching {
    /// Carries the streams until the container ends, or this side's input.
    pub async fn run(self, session: &Session, pod: &Value, container: &str) -> Result<(), Failure> {
        let raw = self.terminal(named(pod, container));
        let keys = raw.then(|| Keys::parse(&self.detach_keys)).transpose();
        let keys = keys.map_err(|e| Failure::message(format!("could not bind detach keys: {e}")))?;
        if !self.quiet {
            eprintln!(
                "All commands and output from this session will be recorded in container logs, including credentials and \
                 sensitive information passed through the command prompt."
            );
            eprintln!("If you don't see a command prompt, try pressing enter.");
        }
        let params = AttachParams::default().stdin(self.stdin).stdout(true).stderr(!raw).tty(raw).container(container);
        let field = |key: &str| pod["metadata"][key].as_str().unwrap_or("");
        let (namespace, name) = (field("namespace"), field("name"));
        let api: Api<Pod> = Api::namespaced(session.client().clone(), namespace);
        let path = streams::path(namespace, name, "attach", &params);
        let process = session.upgraded(&path, api.attach(name, &params)).await;
        let process = process.map_err(|e| streams::refused(session, &e))?;
        let terminal = if raw { Raw::set() } else { None };
        streams::pump(process, raw, keys).await?;
        drop(terminal);
        if raw && !self.quiet {
            println!("{}", again(pod, namespace, name, container));
        }
        Ok(())
    }

    /// Whether the terminal is to be the container's; if it cannot be, that is said.
    fn terminal(&self, container: &Value) -> bool {
        let its_own = container["tty"] == true;
        if self.tty && !its_own && !self.quiet {
            eprintln!(
                "error: Unable to use a TTY - container {} did not allocate one",
                container["name"].as_str().unwrap_or("")
            );
        }
        if !its_own || !self.stdin {
            return false;
        }
        let here = std::io::stdin().is_terminal();
        if !here && !self.quiet {
            eprintln!("Unable to use a TTY - input is not a terminal or the right kind of file");
        }
        here
    }
}

/// The container's entry in the pod, in whichever list.
fn named<'v>(pod: &'v Value, name: &str) -> &'v Value {
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    let mut all = lists.iter().flat_map(|list| pod["spec"][list].as_array().into_iter().flatten());
    all.find(|container| container["name"] == name).unwrap_or(&Value::Null)
}

/// How to come back.
fn again(pod: &Value, namespace: &str, name: &str, container: &str) -> String {
    let command = format!("'kubectl attach {name} -c {container} -n {namespace} -i -t'");
    let ephemeral = pod["spec"]["ephemeralContainers"].as_array().into_iter().flatten().any(|c| c["name"] == container);
    match ephemeral {
        true => format!(
            "Session ended, the ephemeral container will not be restarted but may be reattached using {command} if it is \
             still running"
        ),
        false => format!("Session ended, resume using {command} command"),
    }
}
