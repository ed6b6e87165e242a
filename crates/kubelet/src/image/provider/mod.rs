//! Programs that know credentials for registries (upstream: `credentialprovider/plugin`). What they know, all pods of the
//! node may use.

mod config;
mod exec;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use runtime::{Credentials, Reference};
use tokio::sync::Mutex as Turn;

use super::keyring::{self, Known};
use config::Plugin;
use exec::Scope;

/// Answers that are remembered of one plug-in; more than that many images are asked for anew.
const REMEMBERED: usize = 1024;

/// All plug-ins of a node.
#[derive(Clone, Debug, Default)]
pub struct Providers(Vec<Arc<Provider>>);

struct Provider {
    plugin: Plugin,
    answers: Mutex<HashMap<String, (Instant, Auth)>>,
    /// Who asks for an image: others who want the same wait for his answer.
    asking: Mutex<HashMap<String, Arc<Turn<()>>>>,
}

/// Credentials by place.
type Auth = Arc<Vec<(String, Credentials)>>;

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({:?})", self.plugin.name)
    }
}

impl Providers {
    /// What a `CredentialProviderConfig` says of programs in a directory. The error is for the node's owner.
    pub fn load(config: &Path, programs: &Path) -> Result<Self, String> {
        let plugins = config::read(config, programs)?;
        let provider = |plugin| Arc::new(Provider { plugin, answers: Mutex::default(), asking: Mutex::default() });
        Ok(Self(plugins.into_iter().map(provider).collect()))
    }

    /// What they know for an image. One that fails knows nothing.
    pub(super) async fn for_image(&self, image: &str) -> Vec<Known> {
        let Ok(reference) = Reference::parse(image) else { return Vec::new() };
        let mut keys = Vec::new();
        for provider in &self.0 {
            match provider.answer(&reference).await {
                Ok(auth) => keys.extend(auth.iter().cloned()),
                Err(error) => {
                    tracing::error!(provider = provider.plugin.name, image, error, "failed to provide credentials for image");
                }
            }
        }
        let known = |credentials| Known { credentials, source: None };
        keyring::pick(keys.into_iter().map(|(place, credentials)| (place, known(credentials))), &reference)
    }
}

impl Provider {
    async fn answer(&self, reference: &Reference) -> Result<Auth, String> {
        let image = reference.repository();
        if !self.plugin.images.iter().any(|pattern| keyring::matches(pattern, &image)) {
            return Ok(Auth::default());
        }
        if let Some(found) = self.remembered(reference) {
            return Ok(found);
        }
        let turn = self.asking.lock().unwrap_or_else(PoisonError::into_inner).entry(image.clone()).or_default().clone();
        let result = {
            let _turn = turn.lock().await;
            // He who was first may have asked for all.
            match self.remembered(reference) {
                Some(found) => Ok(found),
                None => self.ask(reference, &image).await,
            }
        };
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // This one, and the table's.
        if Arc::strong_count(&turn) == 2 {
            asking.remove(&image);
        }
        result
    }

    async fn ask(&self, reference: &Reference, image: &str) -> Result<Auth, String> {
        let answer = exec::ask(&self.plugin, image).await?;
        let auth: Auth = Arc::new(answer.auth);
        if !answer.holds.is_zero() {
            let now = Instant::now();
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.retain(|_, (until, _)| *until > now);
            if answers.len() < REMEMBERED
                && let Some(until) = now.checked_add(answer.holds)
            {
                answers.insert(key(answer.scope, reference), (until, auth.clone()));
            }
        }
        Ok(auth)
    }

    fn remembered(&self, reference: &Reference) -> Option<Auth> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let scopes = [Scope::Image, Scope::Registry, Scope::Global].into_iter();
        let mut found = scopes.filter_map(|scope| answers.get(&key(scope, reference)));
        found.find(|(until, _)| *until > Instant::now()).map(|(_, auth)| auth.clone())
    }
}

/// What an answer is remembered under. No registry is called like the last one.
fn key(scope: Scope, reference: &Reference) -> String {
    match scope {
        Scope::Image => reference.repository(),
        Scope::Registry => reference.domain.clone(),
        Scope::Global => "<global>".to_owned(),
    }
}

#[cfg(test)]
mod tests;
