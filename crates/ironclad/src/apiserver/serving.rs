//! The certificate that the API server shows (upstream: `SecureServingOptions`, `MaybeDefaultWithSelfSignedCerts`).

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use auth::pki::{Leaf, Pki, write_private};
use jiff::Timestamp;

use super::DOMAIN;

/// Names of the files in the directory of certificates.
const NAMES: [&str; 2] = ["apiserver.crt", "apiserver.key"];

/// Where the certificate is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Certificate and private key, if they are named.
    pub files: Option<(PathBuf, PathBuf)>,
    /// The directory where they are looked for otherwise, and written if they are not there.
    pub directory: Option<PathBuf>,
}

/// A chain, end entity first, and its key: PEM.
pub struct Pair {
    /// The chain. Whoever trusts its last certificate trusts the server.
    pub chain: String,
    /// The key.
    pub key: String,
}

impl Source {
    /// Reads the certificate; one that nobody has made yet is made, for these addresses, and signed by the server's own
    /// authority.
    pub fn open(&self, pki: &Pki, host: &str, addresses: &[IpAddr]) -> Result<Pair> {
        if let Some((chain, key)) = &self.files {
            return read(chain, key);
        }
        let files = self.directory.as_ref().map(|directory| NAMES.map(|name| directory.join(name)));
        if let Some([chain, key]) = &files {
            match (chain.exists(), key.exists()) {
                (true, true) => return read(chain, key),
                (false, false) => {}
                (has_chain, _) => {
                    let (missing, present) = if has_chain { (key, chain) } else { (chain, key) };
                    ensure!(false, "{} is missing although {} exists", missing.display(), present.display());
                }
            }
        }
        let pair = make(pki, host, addresses)?;
        if let (Some(directory), Some([chain, key])) = (&self.directory, &files) {
            std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
            write_private(key, &pair.key)?;
            write_private(chain, &pair.chain)?;
        }
        Ok(pair)
    }
}

fn make(pki: &Pki, host: &str, addresses: &[IpAddr]) -> Result<Pair> {
    let issued = pki.issue(&Leaf::api_server(host, DOMAIN, addresses), Timestamp::now())?;
    Ok(Pair { chain: issued.certificate_pem + pki.cluster().certificate_pem(), key: issued.key_pem })
}

fn read(chain: &Path, key: &Path) -> Result<Pair> {
    Ok(Pair { chain: text(chain)?, key: text(key)? })
}

/// A text file, by its path where it cannot be read.
pub fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let source = Source { files: None, directory: Some(directory.path().join("certificates")) };
        let open = || {
            let pki = Pki::in_memory(Timestamp::now()).expect("keys");
            source.open(&pki, "host", &[IpAddr::from([10, 0, 0, 1])])
        };
        let (first, second) = (open().expect("made"), open().expect("read"));
        assert_eq!((&first.chain, &first.key), (&second.chain, &second.key));
        assert_eq!(first.chain.matches("BEGIN CERTIFICATE").count(), 2, "with its authority");
        std::fs::remove_file(directory.path().join("certificates/apiserver.key")).expect("removes");
        let why = open().err().expect("refused").to_string();
        assert!(why.ends_with("apiserver.crt exists"), "{why}");
    }
}
