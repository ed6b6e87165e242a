//! The image for this machine, in an index that may hold others: what to read next. Pure: a registry and a file are
//! searched alike.

use super::manifest::{ConfigFile, Descriptor, Manifest};
use super::platform::{self, Platform};
use super::reference::is_digest;
use crate::limits;

/// What is left to read, best last. Each document is read once, and so many in all.
pub(super) struct Search {
    machine: Platform,
    todo: Vec<Step>,
    read: usize,
}

/// A document to read.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Which.
    pub descriptor: Descriptor,
    /// How many indexes it is in.
    depth: usize,
    /// Whether somebody has said that it is for this machine: else its configuration must.
    chosen: bool,
}

/// What a document is.
pub(super) enum Seen {
    /// An image that this machine may run.
    Image(Manifest),
    /// Something else; what it leads to is next.
    Other,
}

impl Search {
    /// Begins with what a name stands for: if that is an image, it is taken whatever it is for.
    pub(super) fn named(descriptor: Descriptor) -> Self {
        Self::with(descriptor, true)
    }

    /// Begins with an entry of a layout's list.
    pub(super) fn listed(descriptor: Descriptor) -> Self {
        let chosen = descriptor.platform.is_some();
        Self::with(descriptor, chosen)
    }

    fn with(descriptor: Descriptor, chosen: bool) -> Self {
        Self { machine: platform::here(), todo: vec![Step { descriptor, depth: 0, chosen }], read: 0 }
    }

    /// What to read next; `None` when there is no image for this machine.
    pub(super) fn next(&mut self) -> Result<Option<Step>, String> {
        let Some(step) = self.todo.pop() else { return Ok(None) };
        self.read += 1;
        if self.read > limits::DOCUMENTS {
            return Err(format!("its index leads to more than {} documents", limits::DOCUMENTS));
        }
        Ok(Some(step))
    }

    /// Takes what was read.
    pub(super) fn take(&mut self, step: &Step, bytes: &[u8]) -> Result<Seen, String> {
        let manifest = Manifest::parse(bytes)?;
        if manifest.manifests.is_empty() {
            let image = manifest.config.is_some() && (step.depth == 0 && step.chosen || manifest.is_image());
            return Ok(if image { Seen::Image(manifest) } else { Seen::Other });
        }
        if step.depth == limits::NESTED {
            return Err(format!("its index holds indexes more than {} deep", limits::NESTED));
        }
        let mut fit: Vec<(usize, Descriptor)> =
            manifest.manifests.into_iter().filter_map(|entry| Some((rank(&self.machine, &entry)?, entry))).collect();
        // The best is read first, of equals that which is named first.
        fit.sort_by_key(|(rank, _)| *rank);
        for (_, descriptor) in fit.into_iter().rev() {
            if !is_digest(&descriptor.digest) {
                return Err(format!("{:?} is no digest", descriptor.digest));
            }
            let chosen = descriptor.platform.is_some();
            self.todo.push(Step { descriptor, depth: step.depth + 1, chosen });
        }
        Ok(Seen::Other)
    }

    /// Whether an image that was found runs here, by its own words where nobody else has said so.
    pub(super) fn runs(&self, step: &Step, config: &ConfigFile) -> bool {
        step.chosen || config.architecture.is_empty() || self.machine.rank(&config.platform()).is_some()
    }
}

/// How well an entry fits; after all others one that does not say what it is for. `None` for what runs elsewhere, and
/// for what is no image (an attestation is for the machine "unknown").
pub(super) fn rank(machine: &Platform, entry: &Descriptor) -> Option<usize> {
    match &entry.platform {
        Some(platform) => machine.rank(platform),
        None => Some(usize::MAX),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::image::stage;

    fn named(value: &Value) -> Descriptor {
        let bytes = value.to_string().into_bytes();
        Descriptor { digest: stage::digest(&bytes), size: bytes.len() as i64, ..Descriptor::default() }
    }

    fn entry(value: &Value, platform: Value) -> Value {
        json!({"digest": named(value).digest, "size": 1, "platform": platform})
    }

    fn image(name: &str) -> Value {
        json!({"config": {"digest": format!("sha256:{}", "a".repeat(64)), "size": 1}, "annotations": {"name": name},
               "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}]})
    }

    /// What was read, and how the search ended.
    fn search(documents: &[Value], own: bool) -> (Vec<usize>, Result<bool, String>) {
        let (mut search, mut read) = (Search::named(named(&documents[0])), Vec::new());
        let Platform { architecture, os, variant } = if own { platform::here() } else { alien() };
        let config = ConfigFile { architecture, os, variant, ..ConfigFile::default() };
        loop {
            let step = match search.next() {
                Ok(Some(step)) => step,
                Ok(None) => return (read, Ok(false)),
                Err(why) => return (read, Err(why)),
            };
            let at = documents.iter().position(|value| named(value).digest == step.descriptor.digest).unwrap();
            read.push(at);
            match search.take(&step, documents[at].to_string().as_bytes()) {
                Ok(Seen::Image(_)) if search.runs(&step, &config) => return (read, Ok(true)),
                Ok(_) => {}
                Err(why) => return (read, Err(why)),
            }
        }
    }

    fn alien() -> Platform {
        Platform { os: "linux".into(), architecture: "s390x".into(), variant: String::new() }
    }

    #[test]
    fn the_best_is_read_first_and_foreign_ones_never() {
        let (here, foreign, none) = (image("here"), image("foreign"), image("none"));
        let unknown = json!({"os": "unknown", "architecture": "unknown"});
        let list = [
            entry(&none, Value::Null),
            entry(&foreign, json!(alien())),
            entry(&json!("attestation"), unknown),
            entry(&here, json!(platform::here())),
        ];
        let index = json!({"manifests": list});
        assert_eq!(search(&[index, foreign, none, here], false), (vec![0, 3], Ok(true)));
    }

    #[test]
    fn an_index_in_an_index_is_read_and_what_leads_nowhere_left() {
        let (foreign, here) = (image("foreign"), image("here"));
        let nowhere = json!({"manifests": [entry(&foreign, json!(alien()))]});
        let inner = json!({"manifests": [entry(&here, json!(platform::here()))]});
        let outer = json!({"manifests": [entry(&nowhere, Value::Null), entry(&inner, Value::Null)]});
        assert_eq!(search(&[outer, nowhere, inner, here, foreign], false), (vec![0, 1, 2, 3], Ok(true)));
    }

    #[test]
    fn who_does_not_say_what_he_is_for_is_asked() {
        let (one, signature) = (image("one"), json!({"config": {}, "layers": [{"mediaType": "application/vnd.in-toto+json"}]}));
        let index = json!({"manifests": [entry(&signature, Value::Null), entry(&one, Value::Null)]});
        let documents = [index, signature, one.clone()];
        assert_eq!(search(&documents, true), (vec![0, 1, 2], Ok(true)));
        assert_eq!(search(&documents, false), (vec![0, 1, 2], Ok(false)));
        assert_eq!(search(&[one], false), (vec![0], Ok(true)), "what is named itself is taken as it is");
    }

    #[test]
    fn depth_and_number_have_an_end() {
        let mut documents = vec![image("deep")];
        for _ in 0..=limits::NESTED {
            documents.insert(0, json!({"manifests": [entry(&documents[0], Value::Null)]}));
        }
        let (read, end) = search(&documents, true);
        assert_eq!((read.len(), end), (limits::NESTED + 1, Err("its index holds indexes more than 4 deep".to_owned())));
        assert_eq!(search(&documents[1..], true).1, Ok(true));
        let nothing = json!({"layers": []});
        let many = json!({"manifests": vec![entry(&nothing, Value::Null); limits::DOCUMENTS]});
        let (read, end) = search(&[many, nothing], true);
        assert_eq!((read.len(), end), (limits::DOCUMENTS, Err("its index leads to more than 64 documents".to_owned())));
        let wrong = json!({"manifests": [{"digest": "../x"}]});
        assert_eq!(search(&[wrong], true).1, Err("\"../x\" is no digest".to_owned()));
    }
}
