//! Identifiers, ports, percentages and other words.

use super::regex_error;
use crate::limits;

fn parent_directory(text: &str) -> Option<&'static str> {
    match text {
        "." => Some("must not be '.'"),
        ".." => Some("must not be '..'"),
        t if t.starts_with("..") => Some("must not start with '..'"),
        _ => None,
    }
}

/// What is wrong with a key of a ConfigMap or Secret.
pub fn config_map_key(key: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if key.len() > limits::SUBDOMAIN {
        errors.push("must be no more than 253 characters".to_owned());
    }
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        let rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        errors.push(regex_error(rule, "[-._a-zA-Z0-9]+", &["key.name", "KEY_NAME", "key-name"]));
    }
    errors.extend(parent_directory(key).map(str::to_owned));
    errors
}

/// What is wrong with the name of an environment variable, by the old, narrow rule.
pub fn env_name(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let good = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if name.is_empty() || !good || name.as_bytes()[0].is_ascii_digit() {
        let rule = "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must \
                    not start with a digit";
        errors.push(regex_error(rule, "[-._a-zA-Z][-._a-zA-Z0-9]*", &["my.env-name", "MY_ENV.NAME", "MyEnvName1"]));
    }
    errors.extend(parent_directory(name).map(str::to_owned));
    errors
}

/// What is wrong with the name of an environment variable: printable ASCII without `=`.
pub fn relaxed_env_name(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if name.is_empty() {
        errors.push("environment variable name must be non-empty".to_owned());
    }
    if !name.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        errors
            .push("a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned());
    }
    errors
}

/// What is wrong with an identifier as in C.
pub fn c_identifier(text: &str) -> Vec<String> {
    let start = text.as_bytes().first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
    if start && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Vec::new();
    }
    let rule = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters \
                or '_'";
    vec![regex_error(rule, "[A-Za-z_][A-Za-z0-9_]*", &["my_name", "MY_NAME", "MyName"])]
}

/// What is wrong with the name of an HTTP header.
pub fn http_header_name(name: &str) -> Vec<String> {
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Vec::new();
    }
    let rule = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![regex_error(rule, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

/// What is wrong with the name of a port.
pub fn port_name(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let mut check = |good: bool, message: &str| {
        if !good {
            errors.push(message.to_owned());
        }
    };
    check(name.len() <= 15, "must be no more than 15 characters");
    let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    check(good, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    check(name.bytes().any(|b| b.is_ascii_lowercase()), "must contain at least one letter (a-z)");
    check(!name.contains("--"), "must not contain consecutive hyphens");
    check(!name.starts_with('-') && !name.ends_with('-'), "must not begin or end with a hyphen");
    errors
}

/// What is wrong with a percentage: `25%`.
pub fn percent(text: &str) -> Vec<String> {
    let good = text.strip_suffix('%').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if good {
        return Vec::new();
    }
    let rule = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![regex_error(rule, "[0-9]+%", &["1%", "93%"])]
}

/// What is wrong with an integer as text: no sign but a minus, no leading zero.
pub fn decimal(text: &str) -> Vec<String> {
    if text.is_empty() {
        return vec!["must be non-empty".to_owned()];
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() && !digits.starts_with('0');
    if text == "0" || canonical { Vec::new() } else { vec!["must be a valid decimal integer in canonical form".to_owned()] }
}

/// What is wrong with a name that only has to fit into a URL path, as those of RBAC objects.
pub fn path_segment(name: &str, prefix: bool) -> Vec<String> {
    if !prefix && matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    let bad = ["/", "%"].into_iter().filter(|part| name.contains(part));
    bad.map(|part| format!("may not contain '{part}'")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert!(config_map_key("a.b_C-1").is_empty());
        assert_eq!(config_map_key(".."), ["must not be '..'"]);
        assert_eq!(env_name("1").len(), 1);
        assert!(relaxed_env_name("1 a").is_empty());
        assert_eq!(port_name("12"), ["must contain at least one letter (a-z)"]);
        assert_eq!(path_segment("a/b%", false), ["may not contain '/'", "may not contain '%'"]);
        assert!(path_segment("system:node", false).is_empty());
        assert!(percent("25%").is_empty() && !percent("%").is_empty());
        assert!(decimal("-5").is_empty() && !decimal("05").is_empty() && !decimal("-0").is_empty());
    }
}
