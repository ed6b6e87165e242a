//! The files below `<data-dir>/pki`: written once, whole or not at all, readable by the owner alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};

use super::Error;
use super::authority::{self, Authority};

pub(super) fn make_directory(directory: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| Error::File { action: "write", path: directory.to_owned(), source })
}

/// The authority in `<name>.crt` and `<name>.key`; made if neither is there.
pub(super) fn authority(directory: &Path, name: &str, subject: &str, now: Timestamp) -> Result<Authority, Error> {
    let (crt, key) = (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")));
    let (certificate, private) = match (read(&crt)?, read(&key)?) {
        (Some(certificate), Some(private)) => (certificate, private),
        (Some(_), None) => {
            return Err(Error::HalfPair { missing: key, present: crt });
        }
        // A crash after writing the key and before writing the certificate: nobody trusts it yet.
        (None, _) => {
            let made = authority::create(subject, now);
            let (certificate, private) =
                made.map_err(|e| Error::Make { what: format!("the authority {subject}"), reason: e.to_string() })?;
            write(&key, &private)?;
            write(&crt, &certificate)?;
            (certificate, private)
        }
    };
    Authority::read(&certificate, &private).map_err(|reason| Error::Damaged { path: crt, reason })
}

/// The private key in `sa.key`, PEM, if it is there.
pub(super) fn signing_key(directory: &Path) -> Result<Option<String>, Error> {
    let path = directory.join("sa.key");
    let Some(pem) = read(&path)? else { return Ok(None) };
    KeyPair::from_pem(&pem).map_err(|e| Error::Damaged { path, reason: e.to_string() })?;
    Ok(Some(pem))
}

/// Makes the private key in `sa.key`. `sa.pub` is for people.
pub(super) fn make_signing_key(directory: &Path) -> Result<String, Error> {
    let pair = rsa()?;
    write(&directory.join("sa.pub"), &pair.public_key_pem())?;
    let pem = pair.serialize_pem();
    write(&directory.join("sa.key"), &pem)?;
    Ok(pem)
}

/// A private key that is in no file.
pub(super) fn new_signing_key() -> Result<String, Error> {
    Ok(rsa()?.serialize_pem())
}

fn rsa() -> Result<KeyPair, Error> {
    let made = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
    made.map_err(|e| Error::Make { what: "the service-account key".to_owned(), reason: e.to_string() })
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File { action: "read", path: path.to_owned(), source }),
    }
}

/// Writes a file that its owner alone may read (mode 0600): beside, synced, then renamed, so that after a
/// crash it is as before or complete.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    let beside = PathBuf::from(format!("{}.new", path.display()));
    let attempt = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    };
    attempt().map_err(|source| Error::File { action: "write", path: path.to_owned(), source })
}
