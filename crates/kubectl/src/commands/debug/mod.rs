//! `kubectl debug`: a container beside those of a pod, a copy of a pod, or a pod on a node.

mod follow;
mod pod;
mod profile;

use std::collections::BTreeMap;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use futures::FutureExt;
use meta::Object;
use regex::Regex;
use serde_json::{Value, json};

use super::Member;
use crate::attaching::Attaching;
use crate::failure::Failure;
use crate::flags::{files, on, rest, several, switch, text, value, values};
use crate::manifest;
use crate::selection::{self, Target};
use crate::session::{JSON, STRATEGIC, Session};
use profile::{Keep, Profile};

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("debug")
        .about("Create debugging sessions for troubleshooting workloads and nodes")
        .arg(rest("object"))
        .arg(Arg::new("command").last(true).num_args(0..).allow_hyphen_values(true))
        .arg(files())
        .arg(switch("arguments-only", false, "What follows -- are arguments, not a command"))
        .arg(switch("attach", false, "Wait for the container, then attach; by default if -i is given"))
        .arg(text("container", "Name of the debugging container").short('c'))
        .arg(text("copy-to", "Debug a copy of the pod, of this name"))
        .arg(switch("replace", false, "With --copy-to: delete the original"))
        .arg(several("env", "Variables of the container: name=value").value_parser(pair).value_delimiter(','))
        .arg(text("image", "Image of the debugging container"))
        .arg(switch("keep-labels", false, "With --copy-to: with the original's labels"))
        .arg(switch("keep-annotations", false, "With --copy-to: with the original's annotations"))
        .arg(switch("keep-liveness", false, "With --copy-to: with liveness probes"))
        .arg(switch("keep-readiness", false, "With --copy-to: with readiness probes"))
        .arg(switch("keep-startup", false, "With --copy-to: with startup probes"))
        .arg(switch("keep-init-containers", true, "With --copy-to: with init containers"))
        .arg(several("set-image", "With --copy-to: new images: name=image").value_parser(pair).value_delimiter(','))
        .arg(text("image-pull-policy", "Always, IfNotPresent or Never"))
        .arg(switch("stdin", false, "The container has a standard input").short('i'))
        .arg(switch("quiet", false, "Without messages").short('q'))
        .arg(switch("same-node", false, "With --copy-to: on the original's node"))
        .arg(switch("share-processes", true, "With --copy-to: containers see each other's processes"))
        .arg(text("target", "The container whose processes an ephemeral one sees"))
        .arg(switch("tty", false, "The container has a terminal").short('t'))
        .arg(text("profile", "general, baseline, restricted, netadmin, sysadmin or legacy").default_value("general"))
        .arg(text("custom", "File with a part of a container's specification, over the profile's"))
}

fn pair(text: &str) -> Result<String, String> {
    if text.contains('=') { Ok(text.to_owned()) } else { Err(format!("{text} must be formatted as key=value")) }
}

/// What the flags say.
pub struct Options {
    args: Vec<String>,
    arguments_only: bool,
    attach: bool,
    container: String,
    copy_to: String,
    custom: Option<Value>,
    env: BTreeMap<String, String>,
    image: String,
    keep: Keep,
    profile: Profile,
    pull_policy: String,
    quiet: bool,
    same_node: bool,
    set_images: BTreeMap<String, String>,
    share_processes: Option<bool>,
    stdin: bool,
    target: String,
    tty: bool,
}

impl Options {
    fn read(matches: &ArgMatches) -> Result<Options, Failure> {
        let own = |name: &str| value(matches, name).unwrap_or("").to_owned();
        let given = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
        let pairs = |name: &str| {
            let all = values(matches, name).into_iter();
            all.filter_map(|pair| pair.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()))).collect()
        };
        let stdin = on(matches, "stdin");
        Ok(Options {
            args: values(matches, "command"),
            arguments_only: on(matches, "arguments-only"),
            attach: if given("attach") { on(matches, "attach") } else { stdin },
            container: own("container"),
            copy_to: own("copy-to"),
            profile: Profile::named(&own("profile"))?,
            custom: value(matches, "custom").filter(|path| !path.is_empty()).map(custom).transpose()?,
            env: pairs("env"),
            image: own("image"),
            keep: Keep {
                labels: on(matches, "keep-labels"),
                annotations: on(matches, "keep-annotations"),
                liveness: on(matches, "keep-liveness"),
                readiness: on(matches, "keep-readiness"),
                startup: on(matches, "keep-startup"),
                init_containers: on(matches, "keep-init-containers"),
            },
            pull_policy: own("image-pull-policy"),
            quiet: on(matches, "quiet"),
            same_node: on(matches, "same-node"),
            set_images: pairs("set-image"),
            share_processes: given("share-processes").then(|| on(matches, "share-processes")),
            stdin,
            target: own("target"),
            tty: on(matches, "tty"),
        })
    }

    /// Refuses what does not go together, in upstream's order and words.
    fn check(&self, matches: &ArgMatches) -> Result<(), Failure> {
        let no = |why: &str| Err(Failure::message(why));
        let named = !self.image.is_empty() || !self.container.is_empty();
        if self.attach && matches.value_source("attach") == Some(ValueSource::CommandLine) && !named {
            return no("you must specify --container or create a new container using --image in order to attach.");
        }
        if self.copy_to.is_empty() {
            match () {
                () if on(matches, "replace") => return no("--replace may only be used with --copy-to."),
                () if self.same_node => return no("--same-node may only be used with --copy-to."),
                () if !self.set_images.is_empty() => return no("--set-image may only be used with --copy-to."),
                () if self.image.is_empty() => return no("you must specify --image when not using --copy-to."),
                () => {}
            }
        } else {
            if self.image.is_empty() && self.set_images.is_empty() && self.args.is_empty() {
                return no("you must specify --image, --set-image or command arguments.");
            }
            if !self.args.is_empty() && !named {
                return no("you must specify an existing container or a new image when specifying args.");
            }
        }
        let wrong = "invalid reference format";
        if !self.image.is_empty() && !is_image(&self.image) {
            return no(&format!("invalid image name {:?}: {wrong}", self.image));
        }
        if values(matches, "object").is_empty() && values(matches, "filename").is_empty() {
            return no("NAME or filename is required for debug");
        }
        if !matches!(self.pull_policy.as_str(), "" | "Always" | "IfNotPresent" | "Never") {
            return no(&format!("invalid image pull policy: {}", self.pull_policy));
        }
        if let Some((name, image)) = self.set_images.iter().find(|(_, image)| !is_image(image)) {
            return no(&format!("invalid image name {image:?} for container {name:?}: {wrong}"));
        }
        if !self.target.is_empty() {
            if !self.copy_to.is_empty() {
                return no("--target is incompatible with --copy-to. Use --share-processes instead.");
            }
            if !self.quiet {
                println!(
                    "Targeting container {:?}. If you don't see processes from this container it may be because the \
                     container runtime doesn't support this feature.",
                    self.target
                );
            }
        }
        if self.tty && !self.stdin {
            return no("-i/--stdin is required for containers with -t/--tty=true");
        }
        let fixed = ["name", "command", "image", "lifecycle", "volumeDevices"];
        if self.custom.as_ref().is_some_and(|custom| fixed.iter().any(|field| !is_empty(&custom[field]))) {
            return no("name, command, image, lifecycle and volume devices are not modifiable via custom profile");
        }
        if self.profile == Profile::Legacy {
            eprintln!(
                "--profile=legacy is deprecated and planned to be removed in v1.39. It is recommended to specify other \
                 profile, for example \"--profile=general\"."
            );
        }
        Ok(())
    }

    fn environment(&self) -> Value {
        self.env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
    }

    fn new_container(&self, name: &str) -> Value {
        let mut container = json!({"name": name, "image": self.image, "resources": {}, "terminationMessagePolicy": "File"});
        pod::set(&mut container, "imagePullPolicy", &self.pull_policy);
        if !self.env.is_empty() {
            container["env"] = self.environment();
        }
        if !self.args.is_empty() {
            container[if self.arguments_only { "args" } else { "command" }] = json!(self.args);
        }
        for (field, _) in [("stdin", self.stdin), ("tty", self.tty)].iter().filter(|(_, wanted)| *wanted) {
            container[*field] = Value::Bool(true);
        }
        container
    }

    /// Lays what `--custom` says over a container of the pod.
    fn customize(&self, pod: &mut Value, name: &str) -> Result<(), Failure> {
        let (Some(custom), Some(container)) = (&self.custom, container_mut(pod, name)) else { return Ok(()) };
        let schema = schema::Schema::definition("io.k8s.api.core.v1.Container");
        let schema = schema.ok_or_else(|| Failure::message("the schema of containers is missing"))?;
        let original = Object::from_value(container.clone()).unwrap_or_default();
        let merged = schema.strategic_merge(&original, custom);
        let merged = merged.map_err(|e| Failure::message(format!("error creating three way patch to add debug container: {e}")))?;
        *container = merged.into_value();
        Ok(())
    }

    /// `list` is where the last container is the one that debugs, or is named.
    fn warn(&self, pod: &Value, list: &str, name: &str) {
        let mut all = pod["spec"][list].as_array().into_iter().flatten().rev();
        if all.find(|c| c["name"] == name).is_some_and(|container| pod::is_in_vain(pod, container)) {
            eprintln!(
                "Warning: Non-root user is configured for the entire target Pod, and some capabilities granted by debug \
                 profile may not work. Please consider using \"--custom\" with a custom profile that specifies \
                 \"securityContext.runAsUser: 0\"."
            );
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn custom(path: &str) -> Result<Value, Failure> {
    let bytes = std::fs::read(path).map_err(|e| {
        let why = nix::errno::Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)).desc().to_lowercase();
        Failure::message(format!("must pass a container spec json file for custom profile: open {path}: {why}"))
    })?;
    let fields = pod::container_of(&bytes);
    fields.map(Value::Object).map_err(|e| Failure::message(format!("{path} does not contain a valid container spec: {e}")))
}

/// Whether it can be an image's name (upstream: `distribution/reference`, `ReferenceRegexp`).
fn is_image(text: &str) -> bool {
    const WORD: &str = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
    const LABEL: &str = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let domain = format!(r"(?:{LABEL}(?:\.{LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?");
    let tag = r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}";
    let digest = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
    let whole = format!("^(?:{domain}/)?{WORD}(?:/{WORD})*(?::{tag})?(?:@{digest})?$");
    Regex::new(&whole).is_ok_and(|regex| regex.is_match(text))
}

/// The container of that name in the pod, in whichever list.
fn container_mut<'v>(pod: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    let lists = pod["spec"].as_object_mut()?.iter_mut();
    let lists = lists.filter(|(field, _)| matches!(field.as_str(), "initContainers" | "containers" | "ephemeralContainers"));
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten().find(|container| container["name"] == name)
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let options = Options::read(matches)?;
    options.check(matches)?;
    let words = values(matches, "object");
    let words: Vec<String> =
        words.into_iter().map(|word| if word.contains('/') { word } else { format!("pods/{word}") }).collect();
    let names = values(matches, "filename");
    if !names.is_empty() && !words.is_empty() {
        // It has the words for that.
        return selection::of_command(session, matches, &words).await.map(drop);
    }
    if names.is_empty() {
        for target in selection::targets(session, &words, false).await? {
            let object = selection::named(session, &target, JSON).await?;
            one(session, matches, &options, &target, object).await?;
        }
        return Ok(());
    }
    // What a file says of an object counts as what the object is.
    for document in manifest::read(&names, false, false).await? {
        let document = document?;
        let (resource, namespace) = document.place(session).await?;
        let (name, source) = (Some(document.name().to_owned()), Some(document.source.clone()));
        let mut object = document.object;
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = Value::from(namespace.as_str());
        }
        one(session, matches, &options, &Target { resource, namespace, name, source }, object).await?;
    }
    Ok(())
}

async fn one(
    session: &Session, matches: &ArgMatches, options: &Options, target: &Target, object: Value,
) -> Result<(), Failure> {
    let pods = |namespace: &str| format!("/api/v1/namespaces/{namespace}/pods");
    let (pod, container) = match target.resource.kind.as_str() {
        "Node" => {
            let (pod, container) = pod::on_node(options, object["metadata"]["name"].as_str().unwrap_or(""))?;
            (session.json("POST", &pods(&session.namespace), JSON, Some((JSON, &pod))).await?, Some(container))
        }
        "Pod" if !options.copy_to.is_empty() => {
            let (copied, container) = pod::copy(options, &object)?;
            if let Some(name) = &container {
                options.warn(&copied, "containers", name);
            }
            let path = pods(&target.namespace);
            let made = session.json("POST", &path, JSON, Some((JSON, &copied))).await?;
            if on(matches, "replace") {
                let now = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0});
                session.json("DELETE", &target.path(), JSON, Some((JSON, &now))).await?;
            }
            (made, container)
        }
        "Pod" => {
            let (changed, patch, name) = pod::ephemeral(options, &object)?;
            options.warn(&changed, "ephemeralContainers", &name);
            let path = format!("{}/ephemeralcontainers", target.path());
            (session.json("PATCH", &path, JSON, Some((STRATEGIC, &patch))).await?, Some(name))
        }
        kind => {
            let (group, version) = (&target.resource.group, &target.resource.version);
            return Err(Failure::message(format!("\"{group}/{version}, Kind={kind}\" not supported by debug")));
        }
    };
    match container.filter(|_| options.attach) {
        Some(container) => {
            let attaching = Attaching { stdin: options.stdin, tty: options.tty, quiet: options.quiet, detach_keys: String::new() };
            follow::attach(session, &pod, &container, attaching).await
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
