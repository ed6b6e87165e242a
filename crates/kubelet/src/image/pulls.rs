//! The node's pulls as they go on: an image that was pulled with a Secret is run by no pod that has none.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use runtime::{Image, Runtime};

use super::keyring::Known;
use super::records::{Access, Answer, Files, PullSecret};

/// See the module.
#[derive(Debug)]
pub struct Pulls {
    files: Files,
    state: Mutex<State>,
}

/// By name: who pulls it now, and whether somebody left while it was pulled. What he began may still come.
type State = HashMap<String, (usize, bool)>;

/// A pull under way. Who drops it without a word may leave an image behind, so its intent stays.
pub struct Pull {
    pulls: Arc<Pulls>,
    image: String,
    told: bool,
}

impl Pulls {
    /// The pulls of the node with this data directory.
    pub fn new(data: &Path) -> Arc<Self> {
        Arc::new(Self { files: Files::new(&data.join("image_manager")), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an agent before this one began: an image that came of it is known, and nobody may run it unverified.
    pub async fn settle(self: &Arc<Self>, runtime: &dyn Runtime) {
        for name in self.names().await {
            let Ok(found) = runtime.image(&name).await else { continue };
            self.on_disk(move |pulls| {
                if let Some(image) = found {
                    pulls.files.add(&image.id, &name, None)?;
                }
                pulls.files.forget_intent(&name)
            })
            .await;
        }
    }

    /// Says durably that an image is about to be pulled.
    pub async fn begin(self: &Arc<Self>, image: &str) -> io::Result<Pull> {
        let (pulls, name) = (self.clone(), image.to_owned());
        let begin = move || {
            let mut state = pulls.state();
            pulls.files.intend(&name)?;
            state.entry(name).or_default().0 += 1;
            Ok::<_, io::Error>(())
        };
        tokio::task::spawn_blocking(begin).await.map_err(io::Error::other)??;
        Ok(Pull { pulls: self.clone(), image: image.to_owned(), told: false })
    }

    /// Whether a pod with these credentials may run an image that is there.
    pub async fn allows(self: &Arc<Self>, runtime: &dyn Runtime, image: &Image, name: &str, has: &[Known]) -> bool {
        // What the node's owner brought from a file is for everybody, whoever has pulled the same since.
        if image.pinned {
            return true;
        }
        let (pulls, id) = (self.clone(), image.id.clone());
        let record = tokio::task::spawn_blocking(move || {
            let _state = pulls.state();
            pulls.files.record(&id)
        });
        let record = match record.await {
            Ok(Ok(record)) => record,
            other => {
                tracing::warn!(image = name, error = ?other, "the record of a pull cannot be read");
                return false;
            }
        };
        let Some(record) = record else { return !self.intended(runtime, &image.id).await };
        let secrets: Vec<PullSecret> = has.iter().filter_map(|known| known.source.clone()).collect();
        match record.access(name).allows(&secrets) {
            Answer::Yes => true,
            Answer::No => false,
            Answer::Remember(secret) => {
                let access = Access { kubernetes_secrets: vec![secret], ..Access::default() };
                let (id, name) = (image.id.clone(), name.to_owned());
                self.on_disk(move |pulls| pulls.files.add(&id, &name, Some(&access))).await;
                true
            }
        }
    }

    /// Removes records of images that are gone.
    pub async fn prune(self: &Arc<Self>, images: &[Image], listed: Timestamp) {
        let ids: Vec<String> = images.iter().map(|image| image.id.clone()).collect();
        self.on_disk(move |pulls| pulls.files.prune(&ids, listed)).await;
    }

    /// Whether an image is what somebody began to pull, by whatever name.
    async fn intended(self: &Arc<Self>, runtime: &dyn Runtime, id: &str) -> bool {
        for name in self.names().await {
            match runtime.image(&name).await {
                Ok(Some(found)) if found.id != id => {}
                Ok(None) => {}
                // It is this one, or nobody can tell.
                _ => return true,
            }
        }
        false
    }

    async fn names(self: &Arc<Self>) -> Vec<String> {
        let pulls = self.clone();
        tokio::task::spawn_blocking(move || pulls.files.intents()).await.unwrap_or_default()
    }

    /// Does something with the files; tells of what went wrong.
    async fn on_disk(self: &Arc<Self>, work: impl FnOnce(&Self) -> io::Result<()> + Send + 'static) {
        let pulls = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _state = pulls.state();
            work(&pulls)
        });
        if let Err(error) = done.await.map_err(io::Error::other).and_then(|done| done) {
            tracing::warn!(%error, "a record of a pull cannot be written");
        }
    }
}

impl Pull {
    /// It has come, with these credentials. What cannot be written down stays an intent.
    pub async fn came(mut self, id: &str, with: Option<&Known>) {
        let access = match with.and_then(|known| known.source.clone()) {
            Some(secret) => Access { kubernetes_secrets: vec![secret], node_pods_accessible: false },
            None => Access { kubernetes_secrets: Vec::new(), node_pods_accessible: true },
        };
        self.told = true;
        let (id, name) = (id.to_owned(), self.image.clone());
        let pulls = self.pulls.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut state = pulls.state();
            let added = pulls.files.add(&id, &name, Some(&access));
            if added.is_ok() {
                // What others have left behind is known now.
                state.entry(name.clone()).or_default().1 = false;
            }
            let ended = pulls.end(&mut state, &name, added.is_err());
            added.and(ended)
        });
        if let Err(error) = done.await.map_err(io::Error::other).and_then(|done| done) {
            tracing::warn!(image = self.image, %error, "failed to write image pulled record");
        }
    }

    /// It has not.
    pub async fn failed(mut self) {
        self.told = true;
        let (pulls, name) = (self.pulls.clone(), self.image.clone());
        let done = tokio::task::spawn_blocking(move || pulls.end(&mut pulls.state(), &name, false)).await;
        if let Err(error) = done.map_err(io::Error::other).and_then(|done| done) {
            tracing::warn!(image = self.image, %error, "failed to remove image pull intent");
        }
    }
}

impl Pulls {
    /// One pull less; with the last one goes the intent, unless something may be left behind.
    fn end(&self, state: &mut State, name: &str, left: bool) -> io::Result<()> {
        let Some((count, behind)) = state.get_mut(name) else { return Ok(()) };
        *count = count.saturating_sub(1);
        *behind |= left;
        if *count > 0 || *behind {
            return Ok(());
        }
        state.remove(name);
        self.files.forget_intent(name)
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        if !self.told {
            // Nothing is written: the intent stays until somebody has pulled the image, or the agent begins again.
            let _ = self.pulls.end(&mut self.pulls.state(), &self.image, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::Credentials;

    use super::*;
    use crate::tests::runtime::Fake;

    fn known(name: &str, hash: &str) -> Known {
        let [namespace, name, uid, credential_hash] = ["ns", name, name, hash].map(str::to_owned);
        Known { credentials: Credentials::default(), source: Some(PullSecret { namespace, name, uid, credential_hash }) }
    }

    /// What the runtime has of that name.
    fn image() -> Image {
        Image { id: "sha256:i".to_owned(), ..Image::default() }
    }

    fn intents(dir: &Path) -> usize {
        std::fs::read_dir(dir.join("image_manager/pulling")).expect("a directory").count()
    }

    #[tokio::test]
    async fn only_who_could_pull_it_may_run_it_also_after_a_restart() {
        let (dir, runtime) = (tempfile::tempdir().expect("a directory"), Fake::new());
        let pulls = Pulls::new(dir.path());
        assert!(pulls.allows(&runtime, &image(), "a:1", &[]).await, "it was there before");
        let (one, same, other) = (known("one", "1"), known("same", "1"), known("other", "2"));
        let begun = pulls.begin("a:1").await.expect("begun");
        assert_eq!(intents(dir.path()), 1);
        assert!(!pulls.allows(&runtime, &image(), "a:1", &[]).await, "it may be what is being pulled");
        begun.came("sha256:i", Some(&one)).await;
        assert_eq!(intents(dir.path()), 0);
        for pulls in [pulls, Pulls::new(dir.path())] {
            assert!(!pulls.allows(&runtime, &image(), "a:1", &[]).await);
            assert!(!pulls.allows(&runtime, &image(), "a:1", std::slice::from_ref(&other)).await);
            assert!(pulls.allows(&runtime, &image(), "a:2", &[other.clone(), one.clone()]).await);
            assert!(!pulls.allows(&runtime, &image(), "b:1", std::slice::from_ref(&one)).await, "by another name");
            let brought = Image { pinned: true, ..image() };
            assert!(pulls.allows(&runtime, &brought, "b:1", &[]).await, "it came from a file, too");
        }
        let pulls = Pulls::new(dir.path());
        assert!(pulls.allows(&runtime, &image(), "a:1", std::slice::from_ref(&same)).await);
        let changed = known("same", "3");
        assert!(pulls.allows(&runtime, &image(), "a:1", &[changed]).await, "a Secret that is known was changed");
        pulls.begin("a:1").await.expect("begun").came("sha256:i", None).await;
        assert!(pulls.allows(&runtime, &image(), "a:1", &[]).await, "it can be had without");
    }

    #[tokio::test]
    async fn what_a_pull_leaves_behind_is_nobodys() {
        let (dir, runtime) = (tempfile::tempdir().expect("a directory"), Fake::new());
        let pulls = Pulls::new(dir.path());
        let (first, second) = (pulls.begin("a").await.expect("begun"), pulls.begin("a").await.expect("begun"));
        second.failed().await;
        assert_eq!(intents(dir.path()), 1, "another goes on");
        drop(first);
        assert!(!pulls.allows(&runtime, &image(), "a", &[]).await, "what was begun may have been done");
        assert!(!pulls.allows(&runtime, &image(), "also-a", &[]).await, "by whatever name");
        pulls.begin("a").await.expect("begun").failed().await;
        assert_eq!(intents(dir.path()), 1);
        let pulls = Pulls::new(dir.path());
        pulls.settle(&runtime).await;
        assert_eq!(intents(dir.path()), 0);
        assert!(!pulls.allows(&runtime, &image(), "a", &[known("one", "1")]).await, "it is there, and nobody's");
        drop(pulls.begin("absent").await.expect("begun"));
        let pulls = Pulls::new(dir.path());
        pulls.settle(&runtime).await;
        assert_eq!(intents(dir.path()), 0, "there is nothing");
        assert!(!pulls.allows(&runtime, &image(), "a", &[]).await);
        pulls.prune(&[], Timestamp::MAX).await;
        assert!(pulls.allows(&runtime, &image(), "a", &[]).await, "what comes after its end came otherwise");
    }
}
