//! Options that come in the query string, checked as upstream checks them.

use http::HeaderMap;
use http::header::USER_AGENT;
use meta::field::{Error, Path};
use meta::selector::{Fields, Labels};
use meta::{Attributes, Status, limits};
use registry::api::{Call, FieldValidation, ListOptions, Scope, VersionMatch, WatchOptions};

use crate::query::Query;
use crate::route::Route;

fn invalid(kind: &str, errors: Vec<Error>) -> Result<(), Status> {
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid("meta.k8s.io", kind, "", &errors)) }
}

/// What a list or watch is about. A name in the path counts as a field selector.
pub fn scope(route: &Route) -> Result<Scope, Status> {
    let Attributes { namespace, name, resource, .. } = &route.attributes;
    let labels = Labels::parse(route.query.text("labelSelector")).map_err(|e| Status::bad_request(e.to_string()))?;
    let mut fields =
        Fields::parse(route.query.text("fieldSelector")).map_err(|e| Status::bad_request(e.to_string()))?;
    if !name.is_empty() {
        if !fields.is_empty() && fields.exact("metadata.name") != Some(name) {
            return Err(Status::bad_request("fieldSelector metadata.name doesn't match requested name"));
        }
        if fields.is_empty() {
            fields.terms.push(("metadata.name".to_owned(), name.clone(), true));
        }
    }
    let namespaced = !namespace.is_empty() && resource != "namespaces";
    Ok(Scope { namespace: namespaced.then(|| namespace.clone()), labels, fields })
}

fn version_match(query: &Query) -> Option<VersionMatch> {
    match query.text("resourceVersionMatch") {
        "NotOlderThan" => Some(VersionMatch::NotOlderThan),
        "Exact" => Some(VersionMatch::Exact),
        _ => None,
    }
}

/// How to list.
pub fn list(query: &Query) -> Result<ListOptions, Status> {
    let bad = |e: crate::query::ParseError| Status::bad_request(e.to_string());
    let limit = query.integer("limit").map_err(bad)?.unwrap_or(0);
    query.integer("timeoutSeconds").map_err(bad)?;
    let (chosen, version) = (query.text("resourceVersionMatch"), query.text("resourceVersion"));
    let path = Path::new("resourceVersionMatch");
    let mut errors = Vec::new();
    if !chosen.is_empty() {
        if version.is_empty() {
            errors
                .push(Error::forbidden(&path, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if !query.text("continue").is_empty() {
            errors.push(Error::forbidden(&path, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if version_match(query).is_none() {
            errors.push(Error::not_supported(&path, chosen, &["Exact", "NotOlderThan", ""]));
        }
        if chosen == "Exact" && version == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            errors.push(Error::forbidden(&path, why));
        }
    }
    if query.get("sendInitialEvents").is_some() {
        let path = Path::new("sendInitialEvents");
        errors.push(Error::forbidden(&path, "sendInitialEvents is forbidden for list"));
    }
    invalid("ListOptions", errors)?;
    Ok(ListOptions {
        limit: usize::try_from(limit).unwrap_or(0),
        continue_token: query.text("continue").to_owned(),
        resource_version: version.to_owned(),
        version_match: version_match(query),
    })
}

/// How to watch, and for how many seconds if the client says so.
pub fn watch(query: &Query) -> Result<(WatchOptions, Option<u64>), Status> {
    let timeout = query.integer("timeoutSeconds").map_err(|e| Status::bad_request(e.to_string()))?;
    let (chosen, initial) = (query.text("resourceVersionMatch"), query.boolean("sendInitialEvents"));
    let path = Path::new("resourceVersionMatch");
    let mut errors = Vec::new();
    if initial.is_some() && chosen != "NotOlderThan" {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(Error::forbidden(&path, why));
    }
    if !chosen.is_empty() {
        if initial.is_none() {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(Error::forbidden(&path, why));
        }
        if chosen != "NotOlderThan" {
            errors.push(Error::not_supported(&path, chosen, &["NotOlderThan"]));
        }
        if !query.text("continue").is_empty() {
            errors.push(Error::forbidden(&path, "resourceVersionMatch is forbidden when continue is provided"));
        }
    }
    invalid("ListOptions", errors)?;
    let options = WatchOptions {
        resource_version: query.text("resourceVersion").to_owned(),
        bookmarks: query.boolean("allowWatchBookmarks").unwrap_or(false),
        send_initial_events: initial.unwrap_or(false),
        changes_only: initial == Some(false),
        timeout: None,
    };
    Ok((options, timeout.and_then(|t| u64::try_from(t).ok()).filter(|t| *t > 0)))
}

/// What a writing request carries besides its body. `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`;
/// `apply` tells a server-side apply, which needs a field manager, from other patches.
pub fn call(route: &Route, headers: &HeaderMap, kind: &str, apply: bool) -> Result<Call, Status> {
    let query = &route.query;
    let manager = query.text("fieldManager");
    let mut errors = Vec::new();
    if apply && manager.is_empty() {
        errors.push(Error::required(&Path::new("fieldManager"), "is required for apply patch"));
    }
    if kind == "PatchOptions" && !apply && query.get("force").is_some() {
        errors.push(Error::forbidden(&Path::new("force"), "may not be specified for non-apply patch"));
    }
    if manager.len() > limits::MANAGER {
        errors.push(Error::too_long(&Path::new("fieldManager"), limits::MANAGER));
    }
    for (at, c) in manager.char_indices().filter(|(_, c)| c.is_control()) {
        let why = format!("invalid character U+{:04X} (at position {at})", c as u32);
        errors.push(Error::invalid(&Path::new("fieldManager"), manager, why));
    }
    let dry_run = dry_run(query.all("dryRun"), &mut errors);
    let validation = query.text("fieldValidation");
    let field_validation = match validation {
        "" | "Warn" => FieldValidation::Warn,
        "Ignore" => FieldValidation::Ignore,
        "Strict" => FieldValidation::Strict,
        _ => {
            let path = Path::new("fieldValidation");
            errors.push(Error::not_supported(&path, validation, &["", "Ignore", "Strict", "Warn"]));
            FieldValidation::Warn
        }
    };
    invalid(kind, errors)?;
    let field_manager = if manager.is_empty() { agent(headers) } else { manager.to_owned() };
    Ok(Call { attributes: route.attributes.clone(), dry_run, field_validation, field_manager })
}

/// Whether nothing is to be stored.
pub fn dry_run<'a>(values: impl Iterator<Item = &'a str>, errors: &mut Vec<Error>) -> bool {
    let values: Vec<&str> = values.collect();
    if values.iter().any(|v| *v != "All") {
        errors.push(Error::not_supported(&Path::new("dryRun"), values.clone(), &["All"]));
    }
    !values.is_empty()
}

/// The first part of the user agent: the field manager of those who name none.
pub fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    agent.split('/').next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(limits::MANAGER).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::route;
    use http::Method;

    #[test]
    fn wrong_options_are_refused_in_upstreams_words() {
        let q = |text| Query::parse(text);
        let error = list(&q("resourceVersionMatch=Exact")).expect_err("refused");
        assert_eq!(
            error.message,
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is \
             forbidden unless resourceVersion is provided"
        );
        let error = watch(&q("sendInitialEvents=true")).expect_err("refused");
        assert!(error.message.contains("requires setting resourceVersionMatch to NotOlderThan"), "{error}");
        let r = route(&Method::POST, "/api/v1/namespaces/a/pods", Some("dryRun=x")).expect("routes");
        let error = call(&r, &HeaderMap::new(), "CreateOptions", false).expect_err("refused");
        assert!(error.message.contains(r#"dryRun: Unsupported value: ["x"]: supported values: "All""#), "{error}");
    }

    #[test]
    fn a_name_in_the_path_selects_it() {
        let r = route(&Method::GET, "/api/v1/watch/nodes/n", None).expect("routes");
        assert_eq!(scope(&r).map(|s| s.fields.to_string()), Ok("metadata.name=n".to_owned()));
    }
}
