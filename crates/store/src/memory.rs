//! The engine without a disk: for tests and simulations.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::core::{Core, Staged};
use crate::{Entry, Error, Page, Revision, Store, Watch, Write};

/// Keeps everything in memory; nothing survives it.
pub struct Memory {
    core: Core,
    /// Makes check and publication of a write one step.
    writing: Mutex<()>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Memory { core: Core::new(Vec::new(), 1), writing: Mutex::new(()) }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Memory::new()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.core.close();
    }
}

#[async_trait]
impl Store for Memory {
    fn revision(&self) -> Revision {
        self.core.revision()
    }

    fn oldest(&self) -> Revision {
        self.core.oldest()
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        Ok(self.core.get(key))
    }

    async fn range(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        at: Option<Revision>,
    ) -> Result<Page, Error> {
        self.core.range(prefix, after, limit, at)
    }

    async fn commit(&self, write: Write) -> Result<(Revision, Entry), Error> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = self.core.revision() + 1;
        let mut staged = Staged::default();
        let entry = self.core.stage(&mut staged, write, revision)?;
        self.core.publish(staged);
        Ok((revision, entry))
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        self.core.watch(prefix, after)
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.core.compact(revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn conforms() {
        crate::suite::run(Memory::new).await;
    }
}
