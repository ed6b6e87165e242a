//! The resolver configuration of a pod.

use meta::field::{Error, Errors};
use meta::text;

use crate::validate::ip;
use crate::view::View;

/// Limits of the resolver.
const SERVERS: usize = 3;
const SEARCHES: usize = 32;
const SEARCH_LENGTH: usize = 2048;

/// `dnsConfig`, which `dnsPolicy: None` needs.
pub(super) fn config(spec: &View<'_>, errors: &mut Errors) {
    let config = spec.at("dnsConfig");
    let (servers, searches) = (config.at("nameservers"), config.at("searches"));
    if spec.text("dnsPolicy") == "None" {
        if !config.exists() {
            errors.push(config.required("must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        }
        if servers.is_empty() {
            errors.push(servers.required("must provide at least one DNS nameserver when `dnsPolicy` is None"));
            return;
        }
    }
    if servers.list().len() > SERVERS {
        errors.push(servers.invalid(format!("must not have more than {SERVERS} nameservers")));
    }
    for server in servers.items() {
        ip::address(&server, false, errors);
    }
    if searches.list().len() > SEARCHES {
        errors.push(searches.invalid(format!("must not have more than {SEARCHES} search paths")));
    }
    if searches.strings().map(|s| s.len() + 1).sum::<usize>() > SEARCH_LENGTH + 1 {
        let detail = format!("must not have more than {SEARCH_LENGTH} characters (including spaces) in the search list");
        errors.push(searches.invalid(detail));
    }
    for search in searches.items().filter(|s| s.str() != ".") {
        let name = search.str().strip_suffix('.').unwrap_or(search.str());
        let wrong = text::dns1123_subdomain_underscore(name).into_iter();
        errors.extend(wrong.map(|m| Error::invalid(&search.path, name, m)));
    }
    for option in config.each("options").filter(|o| o.text("name").is_empty()) {
        errors.push(option.required("must not be empty"));
    }
}
