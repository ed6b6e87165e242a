//! The means of speaking to hosts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use reqwest::{Certificate, Client, Identity, redirect};

use super::hosts::Tls;
use super::{Trouble, answer};
use crate::limits::{self, Waits};

/// One for each way to trust, as long as somebody speaks: trusted authorities take memory.
#[derive(Debug, Default)]
pub(in crate::image) struct Clients(Mutex<HashMap<Tls, Weak<Client>>>);

impl Clients {
    /// One for all that speak like this now.
    pub(super) fn get(&self, waits: &Waits, tls: &Tls) -> Result<Arc<Client>, Trouble> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.get(tls).and_then(Weak::upgrade) {
            return Ok(client);
        }
        known.retain(|_, client| client.strong_count() > 0);
        let client = Arc::new(make(waits, tls)?);
        known.insert(tls.clone(), Arc::downgrade(&client));
        Ok(client)
    }
}

fn make(waits: &Waits, tls: &Tls) -> Result<Client, Trouble> {
    let mut builder = Client::builder()
        .user_agent(concat!("ironclad/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(tls.dial_timeout.unwrap_or(waits.connect))
        // What may be sent along is decided here, redirect by redirect.
        .redirect(redirect::Policy::none())
        .referer(false)
        .http1_max_headers(limits::HEADERS)
        .pool_idle_timeout(Duration::from_secs(30))
        .tls_danger_accept_invalid_certs(tls.skip_verify);
    for path in &tls.ca {
        let fail = |why: &dyn std::fmt::Display| Trouble::Local(format!("unable to load CA cert {:?}: {why}", path));
        let found = Certificate::from_pem_bundle(&read(path)?).map_err(|e| fail(&answer::innermost(&e)))?;
        if found.is_empty() {
            return Err(fail(&"it has no certificate"));
        }
        builder = builder.tls_certs_merge(found);
    }
    if let Some((certificate, key)) = &tls.client {
        let mut pem = read(certificate)?;
        if let Some(key) = key {
            pem.push(b'\n');
            pem.extend(read(key)?);
        }
        let identity = Identity::from_pem(&pem)
            .map_err(|e| Trouble::Local(format!("failed to load X509 key pair {certificate:?}: {}", answer::innermost(&e))))?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|e| Trouble::Local(answer::innermost(&e)))
}

fn read(path: &Path) -> Result<Vec<u8>, Trouble> {
    std::fs::read(path).map_err(|e| Trouble::Local(format!("unable to read {path:?}: {e}")))
}
