//! Projected volumes: several sources in one directory.

use std::collections::HashSet;

use meta::field::{Error, Errors, Path};

use super::volume::{file_mode, key_to_path, local_path};
use super::{elsewhere, env};
use crate::validate::selector::label_selector;
use crate::view::View;

const SORTS: [&str; 6] = ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"];
const KEY_TYPES: [&str; 6] = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];

/// Files so far.
struct Files<'a> {
    taken: HashSet<&'a str>,
    at: Path,
}

impl<'a> Files<'a> {
    fn take(&mut self, path: &'a str, shown: &str, errors: &mut Errors) {
        if !path.is_empty() && !self.taken.insert(path) {
            errors.push(Error::invalid(&self.at, shown, "conflicting duplicate paths"));
        }
    }
}

/// All sources.
pub(super) fn sources(volume: &View<'_>, errors: &mut Errors) {
    file_mode(&volume.at("defaultMode"), errors);
    let mut files = Files { taken: HashSet::new(), at: volume.path.clone() };
    for source in volume.each("sources") {
        for part in ["secret", "configMap"].into_iter().filter_map(|s| source.get(s)) {
            if part.text("name").is_empty() {
                errors.push(part.at("name").required(""));
            }
            for item in part.each("items") {
                key_to_path(&item, errors);
                files.take(item.text("path"), part.text("name"), errors);
            }
        }
        if let Some(part) = source.get("downwardAPI") {
            for file in part.each("items") {
                env::downward_file(&file, &part, errors);
                files.take(file.text("path"), file.text("path"), errors);
            }
        }
        if let Some(part) = source.get("serviceAccountToken") {
            token(volume, &part, errors);
        }
        if let Some(part) = source.get("clusterTrustBundle") {
            trust_bundle(&part, errors);
            files.take(part.text("path"), part.text("path"), errors);
        }
        if let Some(part) = source.get("podCertificate") {
            certificate(&part, &mut files, errors);
        }
        if SORTS.into_iter().filter(|s| source.has(s)).count() > 1 {
            errors.push(source.forbidden("may not specify more than 1 volume type per source"));
        }
    }
}

fn token(volume: &View<'_>, token: &View<'_>, errors: &mut Errors) {
    let seconds = token.at("expirationSeconds");
    if seconds.int().unwrap_or(0) < 600 {
        errors.push(seconds.invalid("may not specify a duration less than 10 minutes"));
    }
    if seconds.int().unwrap_or(0) > 1 << 32 {
        errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds"));
    }
    // Upstream reports the path at the volume.
    let path = elsewhere(&token.at("path"), volume.path.child("path"));
    if path.str().is_empty() {
        errors.push(path.required(""));
    } else {
        local_path(&path, errors);
    }
}

fn trust_bundle(bundle: &View<'_>, errors: &mut Errors) {
    let (name, signer) = (bundle.get("name"), bundle.get("signerName"));
    match (name, signer) {
        (Some(_), Some(_)) => errors.push(bundle.invalid("only one of name and signerName may be used")),
        (Some(name), None) => {
            if name.str().is_empty() {
                errors.push(name.required("must be a valid object name"));
            }
            if let Some(selector) = bundle.get("labelSelector") {
                errors.push(selector.invalid("labelSelector must be unset if name is specified"));
            }
        }
        (None, Some(signer)) => {
            if signer.str().is_empty() {
                errors.push(signer.required("must be a valid signer name"));
            }
            signer_name(&signer, errors);
            label_selector(&bundle.at("labelSelector"), errors);
        }
        (None, None) => errors.push(bundle.required("either name or signerName must be specified")),
    }
    let path = bundle.at("path");
    if path.str().is_empty() {
        errors.push(path.required(""));
    }
    local_path(&path, errors);
}

fn signer_name(signer: &View<'_>, errors: &mut Errors) {
    if signer.str().is_empty() {
        errors.push(signer.required(""));
    } else if signer.str().split('/').count() != 2 {
        errors.push(signer.invalid("must be a fully qualified domain and path of the form 'example.com/signer-name'"));
    }
}

fn certificate<'a>(part: &View<'a>, files: &mut Files<'a>, errors: &mut Errors) {
    signer_name(&part.at("signerName"), errors);
    part.at("keyType").one_of(&KEY_TYPES, errors);
    let seconds = part.at("maxExpirationSeconds");
    if seconds.int().is_some_and(|s| s < 3600) {
        errors.push(seconds.invalid("if provided, maxExpirationSeconds must be >= 3600"));
    }
    let mut any = false;
    for path in ["credentialBundlePath", "keyPath", "certificateChainPath"].into_iter().map(|f| part.at(f)) {
        if !path.str().is_empty() {
            any = true;
            local_path(&path, errors);
            files.take(path.str(), path.str(), errors);
        }
    }
    if !any {
        let detail = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
        errors.push(part.required(detail));
    }
}
