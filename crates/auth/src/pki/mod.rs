//! The cluster's certificate authorities and signing key, made at first start and kept in
//! `<data-dir>/pki`, and the certificates of every part of the cluster, made when they are needed.
//!
//! The names of the files are kubeadm's: `ca.crt`, `ca.key`, `front-proxy-ca.crt`,
//! `front-proxy-ca.key`, `sa.key`, `sa.pub`. Leaf certificates are not kept: a key of the curve P-256
//! takes less than a millisecond to make, so each start issues fresh ones, and [`tls`] replaces them
//! in the running process when a third of their life is left.
//!
//! The service-account key is RSA with 2048 bits: RS256 is the one algorithm that every OpenID Connect
//! client has to support (OpenID Connect Discovery 1.0, section 3), and kubeadm's choice.

mod authority;
pub mod bundle;
mod files;
mod kubeconfig;
pub mod leaf;
pub mod tls;
pub mod unverified;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jiff::{Span, Timestamp};

pub use authority::{Authority, Issued, Term};
pub use files::write as write_private;
pub use kubeconfig::kubeconfig;
pub use leaf::{Leaf, Signer};

/// What can go wrong with keys and certificates.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// One of a pair of files is there and the other is not. Making a new one would cut off everybody
    /// who trusts the old one.
    #[error("{} is missing although {} exists: restore it, or remove both to make a new pair", missing.display(), present.display())]
    HalfPair {
        /// The absent file.
        missing: PathBuf,
        /// The present file.
        present: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or key could not be made.
    #[error("cannot make {what}: {reason}")]
    Make {
        /// What was to be made.
        what: String,
        /// Why not.
        reason: String,
    },
}

/// A key that may still be in the making.
type Pending = LazyLock<Result<String, Error>, Box<dyn FnOnce() -> Result<String, Error> + Send + Sync>>;

/// The secrets of a cluster. Everything else is derived from them.
pub struct Pki {
    cluster: Authority,
    front_proxy: Authority,
    signing_key: Pending,
}

impl Pki {
    /// Reads the files in the directory, and makes those that are missing. Finding an RSA key takes some
    /// tenths of a second, once in a cluster's life: a thread does it meanwhile.
    pub fn open(directory: &Path, now: Timestamp) -> Result<Pki, Error> {
        files::make_directory(directory)?;
        let signing_key: Pending = match files::signing_key(directory)? {
            Some(key) => LazyLock::new(Box::new(move || Ok(key))),
            None => {
                let directory = directory.to_owned();
                let making = std::thread::spawn(move || files::make_signing_key(&directory));
                LazyLock::new(Box::new(move || making.join().unwrap_or_else(|p| std::panic::resume_unwind(p))))
            }
        };
        let cluster = files::authority(directory, "ca", "kubernetes", now)?;
        let front_proxy = files::authority(directory, "front-proxy-ca", "front-proxy-ca", now)?;
        Ok(Pki { cluster, front_proxy, signing_key })
    }

    /// Secrets that end with the process: nothing is written. The signing key is made when it is first needed.
    pub fn in_memory(now: Timestamp) -> Result<Pki, Error> {
        let authority = |subject: &str| {
            let make = |reason: String| Error::Make { what: format!("the authority {subject}"), reason };
            let (certificate, key) = authority::create(subject, now).map_err(|e| make(e.to_string()))?;
            Authority::read(&certificate, &key).map_err(make)
        };
        let signing_key: Pending = LazyLock::new(Box::new(files::new_signing_key));
        Ok(Pki { cluster: authority("kubernetes")?, front_proxy: authority("front-proxy-ca")?, signing_key })
    }

    /// A certificate and its key, signed now and valid for a year (or as long as the authority).
    pub fn issue(&self, leaf: &Leaf, now: Timestamp) -> Result<Issued, Error> {
        match leaf.signer {
            Signer::Cluster => self.cluster.issue(leaf, now),
            Signer::FrontProxy => self.front_proxy.issue(leaf, now),
        }
    }

    /// The authority that everybody in the cluster trusts.
    pub fn cluster(&self) -> &Authority {
        &self.cluster
    }

    /// The authority of proxies that assert an identity in headers, and of the API server towards
    /// extension API servers.
    pub fn front_proxy(&self) -> &Authority {
        &self.front_proxy
    }

    /// The private key that signs service-account tokens, as PEM. Blocks while it is being made. Empty, and so
    /// no key, if that failed: [`Pki::signing_key_made`] says why.
    pub fn signing_key(&self) -> &str {
        self.signing_key_made().unwrap_or("")
    }

    /// The same, or why there is none.
    pub fn signing_key_made(&self) -> Result<&str, &Error> {
        self.signing_key.as_deref()
    }

    /// A kubeconfig for an identity, with a fresh certificate in it; and when that is to be used.
    pub fn kubeconfig(&self, server: &str, leaf: &Leaf, now: Timestamp) -> Result<(String, Term), Error> {
        let issued = self.issue(leaf, now)?;
        Ok((kubeconfig(server, self.cluster.certificate_pem(), &leaf.common_name, &issued), issued.term()))
    }
}

/// How long a leaf certificate lives.
fn leaf_life() -> Span {
    Span::new().hours(365 * 24)
}

/// How long an authority lives.
fn authority_life() -> Span {
    Span::new().hours(3650 * 24)
}

#[cfg(test)]
mod tests;
