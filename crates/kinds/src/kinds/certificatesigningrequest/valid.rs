//! What is wrong with a request, and with a change of one (upstream: `pkg/apis/certificates/validation`).

use std::collections::HashSet;

use meta::field::{Error, Errors, Path};
use meta::{Object, text};

use super::request::{bytes, certificate, check};
use super::{APPROVED, DENIED, FAILED, named};
use crate::validate::{own_metadata, own_metadata_update};
use crate::view::View;

/// The oldest API let requests come without a signer, and called it so.
const LEGACY: &str = "kubernetes.io/legacy-unknown";
/// The shortest life that can be asked for, in seconds.
const SHORTEST: i64 = 600;
/// The longest domain, and the longest name behind it.
const DOMAIN: usize = 253;
const LONGEST: usize = DOMAIN + 1 + 253 + 63 + 1;

/// Usages that there are, in the order of the alphabet.
const USAGES: [&str; 23] = [
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
];

/// What of an object that is there already is taken as it is, and what a change may do.
#[derive(Default)]
struct Taken {
    /// A condition may say that it is approved or denied.
    approval: bool,
    /// A certificate may come.
    certificate: bool,
    both: bool,
    legacy: bool,
    duplicate_types: bool,
    empty_type: bool,
    any_certificate: bool,
    unknown_usages: bool,
    duplicate_usages: bool,
}

impl Taken {
    fn of(new: &Object, old: &Object) -> Taken {
        let types: Vec<&str> = View::of(old, "status").each("conditions").map(|condition| condition.text("type")).collect();
        let usages: Vec<&str> = View::of(old, "spec").at("usages").strings().collect();
        let twice = |all: &[&str]| all.iter().collect::<HashSet<_>>().len() < all.len();
        let issued = bytes(old, "status.certificate");
        Taken {
            approval: false,
            certificate: false,
            both: types.contains(&APPROVED) && types.contains(&DENIED),
            legacy: old.str_at("spec.signerName") == LEGACY,
            duplicate_types: twice(&types),
            empty_type: types.contains(&""),
            any_certificate: bytes(new, "status.certificate") == issued || certificate(&issued).is_err(),
            unknown_usages: usages.iter().any(|usage| !USAGES.contains(usage)),
            duplicate_usages: twice(&usages),
        }
    }
}

/// What is wrong with a new one.
pub(super) fn create(object: &Object) -> Errors {
    content(object, &Taken::default())
}

/// What is wrong with a change of it (empty), of its status or of its approval.
pub(super) fn update(subresource: &str, new: &Object, old: &Object) -> Errors {
    let mut taken = Taken::of(new, old);
    taken.approval = subresource == "approval";
    taken.certificate = subresource == "status";
    let mut errors = own_metadata(new, false, &|_, _| Vec::new());
    errors.extend(content(new, &taken));
    let status = Path::new("status");
    let conditions = status.child("conditions");
    for kind in [APPROVED, DENIED, FAILED] {
        if named(new, kind).len() < named(old, kind).len() {
            errors.push(Error::forbidden(&conditions, format!("updates may not remove a condition of type {kind:?}")));
        }
    }
    for kind in [APPROVED, DENIED].into_iter().filter(|_| !taken.approval) {
        if named(new, kind).len() > named(old, kind).len() {
            errors.push(Error::forbidden(&conditions, format!("updates may not add a condition of type {kind:?}")));
        }
    }
    let (is, was) = (new.str_at("status.certificate"), old.str_at("status.certificate"));
    if is != was && !taken.certificate {
        errors.push(Error::forbidden(&status.child("certificate"), "updates may not set certificate content"));
    } else if is != was && !was.is_empty() {
        errors.push(Error::forbidden(&status.child("certificate"), "updates may not modify existing certificate content"));
    }
    errors.extend(own_metadata_update(new, old));
    errors
}

fn content(object: &Object, taken: &Taken) -> Errors {
    let mut errors = Errors::new();
    let (spec, status) = (View::of(object, "spec"), View::of(object, "status"));
    if let Err(why) = check(object) {
        let request = spec.at("request");
        errors.push(Error::invalid(&request.path, request.value().cloned().unwrap_or_default(), why));
    }
    usages(&spec.at("usages"), taken, &mut errors);
    let signer = spec.at("signerName");
    if signer.str() == LEGACY && !taken.legacy {
        errors.push(signer.invalid("the legacy signerName is not allowed via this API version"));
    } else {
        signer_name(&signer, &mut errors);
    }
    if let Some(seconds) = spec.get("expirationSeconds").filter(|seconds| seconds.int().is_some_and(|n| n < SHORTEST)) {
        errors.push(seconds.invalid("may not specify a duration less than 600 seconds (10 minutes)"));
    }
    conditions(&status.at("conditions"), taken, &mut errors);
    if let Err(why) = certificate(&bytes(object, "status.certificate"))
        && !taken.any_certificate
    {
        errors.push(Error::invalid(&status.path.child("certificate"), "<certificate data>", why));
    }
    errors
}

fn usages(list: &View<'_>, taken: &Taken, errors: &mut Errors) {
    if list.list().is_empty() {
        errors.push(list.required(""));
    }
    if !taken.unknown_usages {
        list.items().for_each(|usage| usage.one_of(&USAGES, errors));
    }
    let mut known = HashSet::new();
    errors.extend(list.items().filter(|usage| !known.insert(usage.str()) && !taken.duplicate_usages).map(|usage| usage.duplicate()));
}

/// Upstream: `core/validation.ValidateSignerName`.
fn signer_name(name: &View<'_>, errors: &mut Errors) {
    if name.str().is_empty() {
        return errors.push(name.required(""));
    }
    let parts: Vec<&str> = name.str().split('/').collect();
    let [domain, path] = parts[..] else {
        return errors.push(name.invalid("must be a fully qualified domain and path of the form 'example.com/signer-name'"));
    };
    if domain.len() > DOMAIN {
        errors.push(Error::too_long(&name.path, DOMAIN));
    }
    let wrong = |part: &str, label: &str, why: String| Error::invalid(&name.path, part, format!("validating label {label:?}: {why}"));
    let labels: Vec<&str> = domain.split('.').collect();
    let first = labels.iter().map(|label| (label, text::dns1123_label(label, false))).find(|(_, why)| !why.is_empty());
    errors.extend(first.into_iter().flat_map(|(label, why)| why.into_iter().map(|why| wrong(domain, label, why))));
    if labels.len() < 2 {
        errors.push(Error::invalid(&name.path, domain, "should be a domain with at least two segments separated by dots"));
    }
    let first = path.split('.').map(|label| (label, text::dns1123_subdomain(label, false))).find(|(_, why)| !why.is_empty());
    errors.extend(first.into_iter().flat_map(|(label, why)| why.into_iter().map(move |why| (label, why))).map(|(label, why)| wrong(path, label, why)));
    if name.str().len() > LONGEST {
        errors.push(Error::too_long(&name.path, LONGEST));
    }
}

fn conditions(list: &View<'_>, taken: &Taken, errors: &mut Errors) {
    let (mut known, mut approved, mut denied) = (HashSet::new(), false, false);
    for condition in list.items() {
        let kind = condition.text("type");
        if kind.is_empty() && !taken.empty_type {
            errors.push(condition.at("type").required(""));
        }
        let status = condition.at("status");
        let allowed: &[&str] = if matches!(kind, APPROVED | DENIED | FAILED) { &["True"] } else { &["False", "True", "Unknown"] };
        if status.str().is_empty() {
            errors.push(status.required(""));
        } else {
            status.one_of(allowed, errors);
        }
        approved |= kind == APPROVED;
        denied |= kind == DENIED;
        if approved && denied && matches!(kind, APPROVED | DENIED) && !taken.both {
            errors.push(Error::invalid(&list.path, kind, "Approved and Denied conditions are mutually exclusive"));
        }
        if !known.insert(kind) && !taken.duplicate_types {
            errors.push(condition.at("type").duplicate());
        }
    }
}
