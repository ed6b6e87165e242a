//! Formats of names, labels and other short texts, with upstream's messages
//! (`apimachinery/pkg/util/validation`, `apimachinery/pkg/api/validate/content`).
//!
//! Each function returns what is wrong, one message each; nothing wrong allocates nothing.

mod dns;
mod format;
mod ip;
mod label;
mod quote;
mod word;

pub use dns::{
    dns1035_label, dns1123_label, dns1123_subdomain, dns1123_subdomain_caseless, dns1123_subdomain_underscore,
    fully_qualified_domain, wildcard_subdomain,
};
pub use format::{is_base64, is_date, is_date_time, is_uuid};
pub use ip::loose_ip;
pub use label::{label_value, qualified_name};
pub use quote::quoted;
pub use word::{
    c_identifier, config_map_key, decimal, env_name, http_header_name, path_segment, percent, port_name, relaxed_env_name,
};

/// `must be between 1 and 65535, inclusive`.
pub fn between(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

/// What is wrong with a number that must lie in a range.
pub fn in_range(value: i64, low: i64, high: i64) -> Vec<String> {
    if (low..=high).contains(&value) { Vec::new() } else { vec![between(low, high)] }
}

/// What is wrong with a port number.
pub fn port_number(port: i64) -> Vec<String> {
    in_range(port, 1, 65535)
}

/// What is wrong with a user or group id.
pub fn user_or_group_id(id: i64) -> Vec<String> {
    in_range(id, 0, i64::from(i32::MAX))
}

/// A rule, examples of what keeps it, and the regular expression that upstream shows.
fn regex_error(rule: &str, regex: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{rule} (regex used for validation is '{regex}')");
    }
    let examples: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    format!("{rule} (e.g. {}regex used for validation is '{regex}')", examples.join(" or "))
}

/// The form in which a `generateName` is checked: a dash at its end will be followed by something.
fn masked(name: &str, prefix: bool) -> std::borrow::Cow<'_, str> {
    match name.strip_suffix('-') {
        Some(rest) if prefix && !rest.is_empty() => {
            let cut = rest.char_indices().next_back().map_or(0, |(at, _)| at);
            format!("{}a", &rest[..cut]).into()
        }
        _ => name.into(),
    }
}
