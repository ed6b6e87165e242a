//! The names of a kind, and who may take those of Kubernetes' own groups.

use meta::field::{Error, Errors, Path};
use meta::{Object, text, url};

use crate::view::View;

const APPROVED: &str = "api-approved.kubernetes.io";

/// Names that are wished for, or were accepted.
pub fn validate(names: &View<'_>, errors: &mut Errors) {
    let mut label = |field: View<'_>, value: &str, kind: bool| {
        let wrong = text::dns1035_label(value, false);
        if !wrong.is_empty() {
            let front = if kind { "may have mixed case, but should otherwise match: " } else { "" };
            errors.push(Error::invalid(&field.path, field.str(), format!("{front}{}", wrong.join(","))));
        }
    };
    for (name, kind) in [("plural", false), ("singular", false), ("kind", true), ("listKind", true)] {
        let field = names.at(name);
        let value = if kind { field.str().to_lowercase() } else { field.str().to_owned() };
        if !value.is_empty() {
            label(field, &value, kind);
        }
    }
    for field in names.each("shortNames") {
        let value = field.str();
        label(field, value, false);
    }
    let (kind, list) = (names.text("kind"), names.at("listKind"));
    let same = !kind.is_empty() && kind == list.str();
    let mut categories = Errors::new();
    for field in names.each("categories") {
        let wrong = text::dns1035_label(field.str(), false);
        if !wrong.is_empty() {
            categories.push(Error::invalid(&field.path, field.str(), wrong.join(",")));
        }
    }
    if same {
        errors.push(list.invalid("kind and listKind may not be the same"));
    }
    errors.extend(categories);
}

/// The names in the status.
pub fn status(object: &Object, errors: &mut Errors) {
    validate(&View::of(object, "status").at("acceptedNames"), errors);
}

/// Groups of Kubernetes' own need an annotation. What was let in once stays (upstream: `apihelpers`).
pub fn approval(object: &Object, old: Option<&Object>, errors: &mut Errors) {
    let group = object.str_at("spec.group");
    let own = |domain: &str| group == domain || group.ends_with(&format!(".{domain}"));
    if !own("k8s.io") && !own("kubernetes.io") {
        return;
    }
    let state = Approval::of(object);
    if old.is_some_and(|old| Approval::of(old) == state) {
        return;
    }
    let path = Path::new("metadata").child("annotations").key(APPROVED);
    let needed = format!("protected groups must have approval annotation {APPROVED:?}");
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    match state {
        Approval::Given | Approval::Waived => {}
        Approval::Missing => errors.push(Error::required(&path, format!("{needed}, {see}"))),
        Approval::Invalid => {
            let why = format!("{needed} with either a URL or a reason starting with \"unapproved\", {see}");
            errors.push(Error::invalid(&path, object.annotation(APPROVED).unwrap_or(""), why));
        }
    }
}

#[derive(PartialEq, Eq)]
enum Approval {
    Missing,
    Waived,
    Given,
    Invalid,
}

impl Approval {
    fn of(object: &Object) -> Approval {
        match object.annotation(APPROVED).unwrap_or("") {
            "" => Approval::Missing,
            text if text.starts_with("unapproved") => Approval::Waived,
            text => match url::parse_request(text) {
                Ok(url) if !url.host.is_empty() && !url.scheme.is_empty() => Approval::Given,
                _ => Approval::Invalid,
            },
        }
    }
}
