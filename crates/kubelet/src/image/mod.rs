//! Has images on the node before containers start (upstream: `images/image_manager.go`).

pub mod gc;
mod glob;
mod keyring;
pub mod provider;
mod pulls;
mod records;
pub mod reference;

pub use pulls::Pulls;

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use runtime::{Error, Image, Pulled, Reference};

use keyring::Known;

use crate::agent::Agent;
use crate::container::env::Sources;
use crate::events::Kind;
use crate::pod::backoff::Backoff;

const _: () = assert!(runtime::limits::DOCUMENT == meta::limits::MANIFEST as u64, "limits agree");

/// Why an image cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Reason of the container's waiting state.
    pub reason: &'static str,
    /// Its message.
    pub message: String,
    /// A pull was tried and failed: the next one waits longer.
    pub pulled: bool,
}

/// How pulling one image went before.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Delay before the next pull.
    pub pulls: Backoff,
    /// When the last one failed.
    pub failed_at: Option<Timestamp>,
    /// `Reason: message` of the last failure.
    pub error: String,
}

fn refused(reason: &'static str, message: String, pulled: bool) -> Refused {
    Refused { reason, message, pulled }
}

/// The policy, with upstream's default by tag.
pub fn policy(container: &Container) -> &str {
    let image = container.image.as_deref().unwrap_or("");
    let latest = || {
        let name = image.rsplit('/').next().unwrap_or("");
        !name.contains('@') && (!name.contains(':') || name.ends_with(":latest"))
    };
    match container.image_pull_policy.as_deref() {
        Some(policy) if !policy.is_empty() => policy,
        _ if latest() => "Always",
        _ => "IfNotPresent",
    }
}

/// Makes sure that the container's image is there.
pub async fn ensure(
    agent: &Arc<Agent>, pod: &Pod, container: &Container, sources: &Sources, history: &History,
) -> Result<Image, Refused> {
    let name = container.image.as_deref().unwrap_or("");
    let say = |kind, reason, text: &str| agent.events.container(pod, &container.name, kind, reason, text);
    let policy = policy(container);
    if let Err(error) = Reference::parse(name) {
        let text = format!("Failed to apply default image tag {name:?}: {error}");
        say(Kind::Warning, "InspectFailed", &text);
        return Err(refused("InvalidImageName", text, false));
    }
    let present = agent.runtime.image(name).await.map_err(|error| {
        let text = format!("Failed to inspect image {name:?}: {error}");
        say(Kind::Warning, "InspectFailed", &text);
        refused("ImageInspectError", text, false)
    })?;
    let known = keyring::for_image(pod, sources, name);
    if let Some(image) = present.filter(|_| policy != "Always")
        && agent.pulls.allows(&*agent.runtime, &image, name, &known).await
    {
        let text = format!("Container image {name:?} already present on machine and can be accessed by the pod");
        say(Kind::Normal, "Pulled", &text);
        return Ok(image);
    }
    if policy == "Never" {
        // An image that the pod may not run is for it as if it were not there.
        let text = format!("Container image {name:?} is not present with pull policy of Never");
        say(Kind::Warning, "ErrImageNeverPull", &text);
        return Err(refused("ErrImageNeverPull", text, false));
    }
    let waits = history.failed_at.and_then(|at| history.pulls.until(at)).is_some_and(|until| crate::clock::now() < until);
    if waits {
        let text = format!("Back-off pulling image {name:?}");
        say(Kind::Normal, "BackOff", &text);
        return Err(refused("ImagePullBackOff", format!("{text}: {}", history.error), false));
    }
    // Programs are asked last, and only for what is pulled.
    let known = [known, agent.config.credential_providers.for_image(name).await].concat();
    pull(agent, pod, container, &known).await
}

/// Pulls with each of these credentials until one will do; without any where there are none. Before it begins, it is
/// written down that it does; after it, with whose credentials.
async fn attempt(agent: &Arc<Agent>, name: &str, known: &[Known]) -> Result<Pulled, Error> {
    let begun = agent.pulls.begin(name).await.map_err(|e| Error::Image {
        reason: "ErrImagePull",
        message: format!("Failed to record image pull intent for container image {name:?}: failed to record image pull intent: {e}"),
    })?;
    let tries = if known.is_empty() { vec![None] } else { known.iter().map(Some).collect() };
    let mut errors: Vec<Error> = Vec::new();
    for with in tries {
        match agent.runtime.pull(name, with.map(|known| &known.credentials)).await {
            Ok(pulled) => {
                begun.came(&pulled.image.id, with).await;
                return Ok(pulled);
            }
            Err(error) => {
                // Who does not answer does not answer others either.
                let silent = matches!(error, Error::Image { reason: "RegistryUnavailable", .. });
                errors.push(error);
                if silent {
                    break;
                }
            }
        }
    }
    begun.failed().await;
    Err(aggregate(errors))
}

/// All of them as one (upstream: `errors.NewAggregate`).
fn aggregate(mut errors: Vec<Error>) -> Error {
    let mut texts: Vec<String> = Vec::new();
    for text in errors.iter().map(Error::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.len() {
        0 | 1 => errors.pop().unwrap_or_else(|| Error::System("nothing was tried".to_owned())),
        _ => Error::Image { reason: "ErrImagePull", message: format!("[{}]", texts.join(", ")) },
    }
}

async fn pull(agent: &Arc<Agent>, pod: &Pod, container: &Container, known: &[Known]) -> Result<Image, Refused> {
    let name = container.image.as_deref().unwrap_or("");
    let say = |kind, reason, text: &str| agent.events.container(pod, &container.name, kind, reason, text);
    say(Kind::Normal, "Pulling", &format!("Pulling image {name:?}"));
    let begun = Instant::now();
    match attempt(agent, name, known).await {
        Ok(Pulled { image, waited }) => {
            let all = begun.elapsed();
            let (own, all) = (all.saturating_sub(waited).as_millis(), all.as_millis());
            say(Kind::Normal, "Pulled", &format!(
                "Successfully pulled image {name:?} in {} ({} including waiting). Image size: {} bytes.",
                print_millis(own), print_millis(all), image.size
            ));
            Ok(image)
        }
        Err(error) => {
            say(Kind::Warning, "Failed", &format!("Failed to pull image {name:?}: {error}"));
            let reason = match &error {
                // Upstream's reason for signatures; a registry that is away is a failed pull.
                Error::Image { reason: reason @ "SignatureValidationFailed", .. } => reason,
                _ => "ErrImagePull",
            };
            Err(refused(reason, error.to_string(), true))
        }
    }
}

/// A duration as Go prints it, in whole milliseconds.
fn print_millis(millis: u128) -> String {
    if millis < 1000 { format!("{millis}ms") } else { format!("{}s", millis as f64 / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_policy_follows_the_tag() {
        for (image, want) in [
            ("nginx", "Always"), ("nginx:latest", "Always"), ("nginx:1", "IfNotPresent"), ("r:5000/nginx", "Always"),
            ("nginx@sha256:ab", "IfNotPresent"),
        ] {
            let container = Container { image: Some(image.to_owned()), ..Container::default() };
            assert_eq!(policy(&container), want, "{image}");
        }
    }
}
