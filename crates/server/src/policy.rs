//! Keeps the authorizers current: they are told of every change of the objects that policy depends upon.

use std::sync::Arc;
use std::time::Duration;

use auth::Authorization;
use auth::authz::{Event, OBSERVED};
use futures::StreamExt;
use meta::{Attributes, Encoded, Object, Status};
use registry::Registry;
use registry::api::{ListOptions, Scope, WatchEvent, WatchOptions};
use tasks::Tasks;
use tracing::Instrument;

/// Pause before a broken watch is begun anew.
const PAUSE: Duration = Duration::from_millis(200);

/// Loads the policy, then follows its changes in named tasks. When this returns, the
/// authorizers know everything that was there at the call.
pub async fn follow(
    registry: &Arc<Registry>,
    authorization: &Arc<Authorization>,
    tasks: &Tasks,
) -> Result<(), Status> {
    for (group, resource) in OBSERVED {
        let Some(source) = Source::find(registry, authorization, group, resource) else { continue };
        let revision = source.load().await?;
        // After a panic all is loaded anew.
        let (source, mut loaded) = (Arc::new(source), Some(revision));
        tasks.keep(format!("the policy of {resource}"), move |_| {
            let run = source.clone().run(loaded.take());
            run.instrument(tracing::debug_span!("policy", resource))
        });
    }
    Ok(())
}

/// One observed resource.
struct Source {
    registry: Arc<Registry>,
    authorization: Arc<Authorization>,
    attributes: Attributes,
}

impl Source {
    /// `None` when the kind is not served.
    fn find(registry: &Arc<Registry>, authorization: &Arc<Authorization>, group: &str, resource: &str) -> Option<Self> {
        let kinds = registry.kinds();
        let kind = kinds.iter().find(|k| &*k.gvk.group == group && &*k.resource == resource)?;
        let attributes = Attributes {
            verb: "list".to_owned(),
            group: group.to_owned(),
            version: kind.gvk.version.to_string(),
            resource: resource.to_owned(),
            ..Attributes::default()
        };
        Some(Source { registry: registry.clone(), authorization: authorization.clone(), attributes })
    }

    async fn load(&self) -> Result<u64, Status> {
        let page = self.registry.list(&self.attributes, &Scope::default(), &ListOptions::default()).await?;
        let objects: Vec<Object> = page.items.iter().filter_map(|o| read(o)).collect();
        self.authorization.replace(&self.attributes.group, &self.attributes.resource, &objects);
        Ok(page.revision)
    }

    /// Watches, and loads everything again whenever the watch breaks.
    async fn run(self: Arc<Self>, mut loaded: Option<u64>) {
        loop {
            if let Some(revision) = loaded {
                if let Err(error) = self.watch(revision).await {
                    tracing::debug!(resource = %self.attributes.resource, %error, "the policy is loaded anew");
                }
                tokio::time::sleep(PAUSE).await;
            }
            match self.load().await {
                Ok(revision) => loaded = Some(revision),
                Err(error) => {
                    tracing::warn!(resource = %self.attributes.resource, %error, "the policy was not loaded");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn watch(&self, revision: u64) -> Result<(), Status> {
        let options = WatchOptions { resource_version: revision.to_string(), ..WatchOptions::default() };
        let mut events = self.registry.watch(&self.attributes, Scope::default(), options).await?;
        while let Some(event) = events.next().await {
            self.observe(event)?;
        }
        Ok(())
    }

    fn observe(&self, event: WatchEvent) -> Result<(), Status> {
        let (group, resource) = (&*self.attributes.group, &*self.attributes.resource);
        match event {
            WatchEvent::Added(encoded) | WatchEvent::Modified(encoded) => {
                if let Some(object) = read(&encoded) {
                    self.authorization.observe(group, resource, Event::Put(&object));
                }
            }
            WatchEvent::Deleted(encoded) => self.authorization.observe(group, resource, Event::Gone(&encoded.key)),
            WatchEvent::Bookmark { .. } => {}
            WatchEvent::Error(status) => return Err(status),
        }
        Ok(())
    }
}

fn read(encoded: &Encoded) -> Option<Object> {
    encoded.object().ok()
}
