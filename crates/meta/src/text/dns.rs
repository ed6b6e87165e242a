//! DNS labels, subdomains and the like.

use super::{masked, regex_error};
use crate::limits::{LABEL as LABEL_LENGTH, SUBDOMAIN as SUBDOMAIN_LENGTH};

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const UNDERSCORE: &str = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*";

fn low(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

/// First and last of a class, the rest of it or dashes (or what else `inner` allows).
fn part(text: &str, edge: fn(u8) -> bool, inner: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(|b| edge(*b)) && bytes.last().is_some_and(|b| edge(*b));
    ends && bytes.iter().all(|b| inner(*b))
}

fn is_label(text: &str) -> bool {
    part(text, low, |b| low(b) || b == b'-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn longer(text: &str, max: usize) -> Vec<String> {
    if text.len() > max { vec![format!("must be no more than {max} characters")] } else { Vec::new() }
}

/// What is wrong with `name` as a DNS label: at most 63 of `a-z0-9-`, no dash at an end. With `prefix`
/// a trailing dash is allowed, as in `generateName`.
pub fn dns1123_label(name: &str, prefix: bool) -> Vec<String> {
    let name = &*masked(name, prefix);
    let mut errors = longer(name, LABEL_LENGTH);
    if !is_label(name) {
        errors.push(if is_subdomain(name) {
            "must not contain dots".to_owned()
        } else {
            let rule = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
                        end with an alphanumeric character";
            regex_error(rule, LABEL, &["my-name", "123-abc"])
        });
    }
    errors
}

/// What is wrong with `name` as a DNS label that starts with a letter.
pub fn dns1035_label(name: &str, prefix: bool) -> Vec<String> {
    let name = &*masked(name, prefix);
    let mut errors = longer(name, LABEL_LENGTH);
    if !is_label(name) || name.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        let rule = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
                    character, and end with an alphanumeric character";
        errors.push(regex_error(rule, LABEL_1035, &["my-name", "abc-123"]));
    }
    errors
}

pub(super) const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
                                         '.', and must start and end with an alphanumeric character";

/// What is wrong with `name` as a DNS subdomain: at most 253 bytes of labels with dots between them. With
/// `prefix` a trailing dash is allowed, as in `generateName`.
pub fn dns1123_subdomain(name: &str, prefix: bool) -> Vec<String> {
    let name = &*masked(name, prefix);
    let mut errors = longer(name, SUBDOMAIN_LENGTH);
    if !is_subdomain(name) {
        errors.push(regex_error(SUBDOMAIN_RULE, SUBDOMAIN, &["example.com"]));
    }
    errors
}

/// The same for texts in which capitals are allowed.
pub fn dns1123_subdomain_caseless(name: &str) -> Vec<String> {
    let mut errors = if name.len() > SUBDOMAIN_LENGTH { vec!["must be no more than 253 bytes".to_owned()] } else { Vec::new() };
    if !is_subdomain(&name.to_ascii_lowercase()) {
        let rule = "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an \
                    alphanumeric character";
        errors.push(regex_error(rule, SUBDOMAIN, &["Example.com"]));
    }
    errors
}

/// The same for search domains, which may have underscores.
pub fn dns1123_subdomain_underscore(name: &str) -> Vec<String> {
    let label = |p: &str| part(p.strip_prefix('_').unwrap_or(p), low, |b| low(b) || b == b'-' || b == b'_');
    let mut errors = longer(name, SUBDOMAIN_LENGTH);
    if !name.split('.').all(label) {
        let rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must \
                    start and end with an alphanumeric character";
        errors.push(regex_error(rule, UNDERSCORE, &["example.com"]));
    }
    errors
}

/// What is wrong with `name` as `*.` and a DNS subdomain.
pub fn wildcard_subdomain(name: &str) -> Vec<String> {
    let mut errors = longer(name, SUBDOMAIN_LENGTH);
    if !name.strip_prefix("*.").is_some_and(is_subdomain) {
        let rule = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of \
                    lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
        errors.push(regex_error(rule, &format!("\\*\\.{SUBDOMAIN}"), &["*.example.com"]));
    }
    errors
}

/// What is wrong with `name` as a domain of at least two labels, with or without the root's dot.
pub fn fully_qualified_domain(name: &str) -> Vec<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let errors = dns1123_subdomain(name, false);
    if !errors.is_empty() {
        return errors;
    }
    if !name.contains('.') {
        return vec!["should be a domain with at least two segments separated by dots".to_owned()];
    }
    name.split('.').map(|label| dns1123_label(label, false)).find(|e| !e.is_empty()).unwrap_or_default()
}

pub(super) fn subdomain_in_bytes(name: &str) -> Vec<String> {
    let mut errors = if name.len() > SUBDOMAIN_LENGTH { vec!["must be no more than 253 bytes".to_owned()] } else { Vec::new() };
    if !is_subdomain(name) {
        errors.push(regex_error(SUBDOMAIN_RULE, SUBDOMAIN, &["example.com"]));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "a-b", "0", "a.b-c.d"] {
            assert!(dns1123_subdomain(good, false).is_empty(), "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a..b", "a_b", ".a"] {
            assert_eq!(dns1123_subdomain(bad, false).len(), 1, "{bad}");
        }
        assert!(dns1123_subdomain("web-", true).is_empty());
        assert_eq!(dns1123_label("a.b", false), ["must not contain dots"]);
        assert_eq!(
            dns1035_label("1a", false),
            [
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and \
              end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
              '[a-z]([-a-z0-9]*[a-z0-9])?')"
            ]
        );
        assert_eq!(dns1123_label(&"a".repeat(64), false), ["must be no more than 63 characters"]);
        assert!(dns1123_subdomain_underscore("_sip.a_b.c").is_empty());
        assert!(wildcard_subdomain("*.a.b").is_empty());
    }
}
