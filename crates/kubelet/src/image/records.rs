//! What the node remembers of its pulls (upstream: `images/pullmanager`, gate `KubeletEnsureSecretPulledImages`).
//!
//! ```text
//! <data>/image_manager/pulling/sha256-<hex of the name>   ImagePullIntent: written before a pull begins
//!                      pulled/sha256-<hex of the id>      ImagePulledRecord: with whose credentials it was pulled
//! ```
//!
//! An image of which neither tells came otherwise: everybody may run it (`NeverVerifyPreloadedImages`).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keyring::hex;
use crate::durable;

const VERSION: &str = "kubelet.config.k8s.io/v1beta1";
/// Secrets of one repository that are added while nothing is pulled (upstream: `writeRecordWhileMatchingLimit`).
const MATCHED: usize = 100;

/// A Secret that an image was pulled with, and what was in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullSecret {
    /// Which.
    pub namespace: String,
    /// Which.
    pub name: String,
    /// Which.
    pub uid: String,
    /// SHA-256 of the credentials.
    pub credential_hash: String,
}

impl PullSecret {
    fn is(&self, other: &Self) -> bool {
        (&self.namespace, &self.name, &self.uid) == (&other.namespace, &other.name, &other.uid)
    }
}

/// Who may run an image that was pulled by a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Access {
    /// Who has one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kubernetes_secrets: Vec<PullSecret>,
    /// Everybody: no credentials were needed, or the node's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub node_pods_accessible: bool,
}

/// Whether a pod may run an image that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may.
    Yes,
    /// It may, and this is to be remembered: another Secret with the same in it, or other credentials in a known Secret.
    Remember(PullSecret),
    /// Only if it can pull it.
    No,
}

impl Access {
    /// Whether who has these secrets may.
    pub fn allows(&self, secrets: &[PullSecret]) -> Answer {
        if self.node_pods_accessible {
            return Answer::Yes;
        }
        let room = self.kubernetes_secrets.len() < MATCHED;
        for secret in secrets {
            for known in &self.kubernetes_secrets {
                let same_hash = !known.credential_hash.is_empty() && known.credential_hash == secret.credential_hash;
                match (same_hash, known.is(secret)) {
                    (true, true) => return Answer::Yes,
                    (true, false) if !room => return Answer::Yes,
                    (true, false) => return Answer::Remember(secret.clone()),
                    (false, true) if room => return Answer::Remember(secret.clone()),
                    _ => {}
                }
            }
        }
        Answer::No
    }

    /// Adds what another pull was allowed by. Whether that changed anything.
    fn add(&mut self, new: &Self) -> bool {
        if self.node_pods_accessible {
            return false;
        }
        if new.node_pods_accessible {
            *self = new.clone();
            return true;
        }
        let before = self.clone();
        for secret in &new.kubernetes_secrets {
            self.kubernetes_secrets.retain(|known| !known.is(secret));
            self.kubernetes_secrets.push(secret.clone());
        }
        self.kubernetes_secrets.sort();
        *self != before
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Intent {
    api_version: String,
    kind: String,
    image: String,
}

/// `ImagePulledRecord`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    api_version: String,
    kind: String,
    last_updated_time: String,
    image_ref: String,
    /// By the name that pods have for the image, without tag and digest.
    #[serde(default)]
    credential_mapping: BTreeMap<String, Access>,
}

impl Record {
    fn new(id: &str) -> Self {
        Self {
            api_version: VERSION.to_owned(),
            kind: "ImagePulledRecord".to_owned(),
            last_updated_time: now(),
            image_ref: id.to_owned(),
            credential_mapping: BTreeMap::new(),
        }
    }

    /// Who may run it by this name. A name that it was never pulled by is nobody's.
    pub fn access(&self, image: &str) -> Access {
        self.credential_mapping.get(repository(image)).cloned().unwrap_or_default()
    }
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The name as the pod has it, without tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    let slash = image.rfind('/').map_or(0, |at| at + 1);
    image[slash..].find(':').map_or(image, |colon| &image[..slash + colon])
}

/// The files. Calls are from one place at a time.
#[derive(Debug)]
pub(super) struct Files {
    pulling: PathBuf,
    pulled: PathBuf,
}

impl Files {
    pub(super) fn new(dir: &Path) -> Self {
        Self { pulling: dir.join("pulling"), pulled: dir.join("pulled") }
    }

    /// Says durably that an image is about to be pulled.
    pub(super) fn intend(&self, image: &str) -> io::Result<()> {
        let intent = Intent { api_version: VERSION.to_owned(), kind: "ImagePullIntent".to_owned(), image: image.to_owned() };
        write(&self.pulling, image, &intent)
    }

    /// Takes that back.
    pub(super) fn forget_intent(&self, image: &str) -> io::Result<()> {
        remove(&self.pulling, image)
    }

    /// Names of the images of which somebody has said so. Files that are unreadable are passed over.
    pub(super) fn intents(&self) -> Vec<String> {
        list::<Intent>(&self.pulling).into_iter().map(|intent| intent.image).collect()
    }

    /// What is known of an image. A record that cannot be read is an error: it must not open the image to everybody.
    pub(super) fn record(&self, id: &str) -> io::Result<Option<Record>> {
        Ok(read::<Record>(&self.pulled.join(name(id)))?.filter(|record| record.image_ref == id))
    }

    /// Adds to what is known of an image; with nothing to add it is at least known.
    pub(super) fn add(&self, id: &str, image: &str, access: Option<&Access>) -> io::Result<()> {
        // What is unreadable is begun anew: then less is known, and more is verified.
        let known = self.record(id).unwrap_or_default();
        let mut changed = known.is_none();
        let mut record = known.unwrap_or_else(|| Record::new(id));
        if let Some(access) = access {
            changed |= record.credential_mapping.entry(repository(image).to_owned()).or_default().add(access);
        }
        if !changed {
            return Ok(());
        }
        record.last_updated_time = now();
        write(&self.pulled, id, &record)
    }

    /// Removes records of images that are not among these, and that are older than the list.
    pub(super) fn prune(&self, ids: &[String], listed: Timestamp) -> io::Result<()> {
        for record in list::<Record>(&self.pulled) {
            let old = record.last_updated_time.parse::<Timestamp>().map_or(true, |at| at < listed);
            if old && !ids.contains(&record.image_ref) {
                remove(&self.pulled, &record.image_ref)?;
            }
        }
        Ok(())
    }
}

fn name(key: &str) -> String {
    format!("sha256-{}", hex(key.as_bytes()))
}

/// Replaces a record. Only the agent reads it: what hashes of passwords are in it can be tried out.
fn write(dir: &Path, key: &str, value: &impl Serialize) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    durable::replace(&dir.join(name(key)), value)
}

fn remove(dir: &Path, key: &str) -> io::Result<()> {
    match fs::remove_file(dir.join(name(key))) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn list<T: DeserializeOwned>(dir: &Path) -> Vec<T> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().extension().is_none());
    files.filter_map(|entry| read(&entry.path()).ok().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, hash: &str) -> PullSecret {
        let [namespace, name, uid, credential_hash] = ["ns", name, name, hash].map(str::to_owned);
        PullSecret { namespace, name, uid, credential_hash }
    }

    fn with(secrets: &[PullSecret]) -> Access {
        Access { kubernetes_secrets: secrets.to_vec(), node_pods_accessible: false }
    }

    #[test]
    fn who_has_a_secret_of_a_pull_may() {
        let known = with(&[secret("a", "1"), secret("b", "2")]);
        assert_eq!(known.allows(&[]), Answer::No);
        assert_eq!(known.allows(&[secret("c", "3"), secret("b", "2")]), Answer::Yes);
        assert_eq!(known.allows(&[secret("c", "1")]), Answer::Remember(secret("c", "1")), "the same in another Secret");
        assert_eq!(known.allows(&[secret("a", "9")]), Answer::Remember(secret("a", "9")), "the Secret was changed");
        assert_eq!(with(&[secret("a", "")]).allows(&[secret("b", "")]), Answer::No, "no hash is not the same hash");
        assert_eq!(Access { node_pods_accessible: true, ..with(&[]) }.allows(&[]), Answer::Yes);
        let many: Vec<PullSecret> = (0..MATCHED).map(|at| secret(&format!("s{at}"), &format!("h{at}"))).collect();
        assert_eq!(with(&many).allows(&[secret("c", "h7")]), Answer::Yes, "remembered is not without end");
        assert_eq!(with(&many).allows(&[secret("s7", "x")]), Answer::No);
    }

    #[test]
    fn records_grow_and_survive() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Files::new(dir.path());
        files.add("sha256:i", "r.io:5000/a:1", Some(&with(&[secret("a", "1")]))).expect("written");
        files.add("sha256:i", "r.io:5000/a@sha256:d", Some(&with(&[secret("a", "2"), secret("b", "1")]))).expect("written");
        let files = Files::new(dir.path());
        let record = files.record("sha256:i").expect("readable").expect("a record");
        assert_eq!(record.access("r.io:5000/a:2"), with(&[secret("a", "2"), secret("b", "1")]));
        assert_eq!(record.access("r.io:5000/b"), Access::default(), "another name is another matter");
        let all = Access { node_pods_accessible: true, ..Access::default() };
        files.add("sha256:i", "r.io:5000/a", Some(&all)).expect("written");
        files.add("sha256:i", "r.io:5000/a", Some(&with(&[secret("a", "1")]))).expect("written");
        assert_eq!(files.record("sha256:i").expect("readable").expect("a record").access("r.io:5000/a"), all);
        let path = dir.path().join("pulled").join(name("sha256:i"));
        let mode = |path: &Path| std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).expect("is there").permissions());
        assert_eq!((mode(&path) & 0o777, mode(&dir.path().join("pulled")) & 0o777), (0o600, 0o700));
        let text = fs::read_to_string(path).expect("a file");
        assert!(text.starts_with(r#"{"apiVersion":"kubelet.config.k8s.io/v1beta1","kind":"ImagePulledRecord""#), "{text}");
        files.prune(&["sha256:i".to_owned()], Timestamp::MAX).expect("pruned");
        assert!(files.record("sha256:i").expect("readable").is_some());
        files.prune(&[], Timestamp::MIN).expect("pruned");
        assert!(files.record("sha256:i").expect("readable").is_some(), "newer than the list");
        files.prune(&[], Timestamp::MAX).expect("pruned");
        assert!(files.record("sha256:i").expect("readable").is_none());
    }

    #[test]
    fn a_record_that_is_unreadable_opens_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Files::new(dir.path());
        files.add("sha256:i", "a", None).expect("written");
        assert_eq!(files.record("sha256:i").expect("readable").expect("a record").access("a"), Access::default());
        fs::write(dir.path().join("pulled").join(name("sha256:i")), "{").expect("written");
        assert!(files.record("sha256:i").is_err());
        files.add("sha256:i", "a", Some(&with(&[secret("a", "1")]))).expect("written anew");
        assert_eq!(files.record("sha256:i").expect("readable").expect("a record").access("a:1"), with(&[secret("a", "1")]));
    }
}
