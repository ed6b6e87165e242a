//! How objects get from one version to another.

use std::collections::HashSet;

use base64::Engine;
use meta::field::{Error, Errors};
use meta::{text, url};
use serde_json::Value;

use super::old::Demands;
use crate::validate::bundle;
use crate::view::View;

/// Versions of the review that are spoken here, and upstream.
pub const REVIEWS: [&str; 2] = ["v1", "v1beta1"];

/// What is wrong with it.
pub fn validate(conversion: &View<'_>, demands: &Demands, errors: &mut Errors) {
    if !conversion.exists() {
        return;
    }
    let strategy = conversion.at("strategy");
    if strategy.str().is_empty() {
        errors.push(strategy.required(""));
    } else {
        strategy.one_of(&["None", "Webhook"], errors);
    }
    // Upstream has the fields of the webhook beside the strategy.
    let webhook = conversion.at("webhook");
    let client = View::new(webhook.at("clientConfig").value(), conversion.path.child("webhookClientConfig"));
    let reviews = View::new(webhook.at("conversionReviewVersions").value(), conversion.path.child("conversionReviewVersions"));
    if strategy.str() != "Webhook" {
        let why = "should not be set when strategy is not set to Webhook";
        if client.exists() {
            errors.push(client.forbidden(why));
        }
        if !reviews.list().is_empty() {
            errors.push(reviews.forbidden(why));
        }
        return;
    }
    if client.exists() {
        webhook_client(&client, demands, errors);
    } else {
        errors.push(client.required("required when strategy is set to Webhook"));
    }
    review_versions(&reviews, demands, errors);
}

fn webhook_client(client: &View<'_>, demands: &Demands, errors: &mut Errors) {
    match (client.get("url"), client.get("service")) {
        (Some(url), None) => address(&url, errors),
        (None, Some(service)) => self::service(&service, errors),
        _ => errors.push(client.required("exactly one of url or service is required")),
    }
    let given = client.at("caBundle");
    if !given.str().is_empty() && !demands.any_bundle {
        errors.extend(bundle(given.str()).err().map(|why| given.invalid(why)));
    }
}

/// Why a text in base64 is no bundle of certificates.
pub fn bundle(encoded: &str) -> Result<(), String> {
    bundle::certificates(&base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default())
}

/// Upstream: `apiserver/pkg/util/webhook`.
fn address(field: &View<'_>, errors: &mut Errors) {
    const FORM: &str = "; desired format: https://host[/path]";
    let read = match url::parse(field.str()) {
        Ok(read) => read,
        Err(why) => return errors.push(field.required(format!("url must be a valid URL: {why}{FORM}"))),
    };
    let mut wrong = |value: &str, why: String| errors.push(Error::invalid(&field.path, value, why));
    if read.scheme != "https" {
        wrong(&read.scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if read.host.is_empty() {
        wrong("", format!("host must be specified{FORM}"));
    }
    if let Some(user) = read.user() {
        wrong(user, "user information is not permitted in the URL".to_owned());
    }
    if let Some(fragment) = read.fragment().filter(|fragment| !fragment.is_empty()) {
        wrong(fragment, "fragments are not permitted in the URL".to_owned());
    }
    if !read.query.is_empty() {
        wrong(&read.query, "query parameters are not permitted in the URL".to_owned());
    }
}

/// Upstream takes the name for the namespace here, and the namespace for the name.
fn service(service: &View<'_>, errors: &mut Errors) {
    for (name, shown) in [("namespace", "name"), ("name", "namespace")] {
        if service.text(name).is_empty() {
            errors.push(service.at(shown).required(""));
        }
    }
    let port = service.number("port");
    let wrong = text::port_number(port);
    if !wrong.is_empty() {
        errors.push(Error::invalid(&service.path.child("port"), port, format!("port is not valid: {}", wrong.join(", "))));
    }
    let path = service.at("path");
    if !path.exists() || matches!(path.str(), "" | "/") {
        return;
    }
    if path.str() == "//" {
        return errors.push(path.invalid("segment[0] may not be empty"));
    }
    if !path.str().starts_with('/') {
        errors.push(path.invalid("must start with a '/'"));
    }
    let mut letters = path.str().chars();
    letters.next();
    let checked = letters.as_str().strip_suffix('/').unwrap_or(letters.as_str());
    for (index, step) in checked.split('/').enumerate() {
        if step.is_empty() {
            errors.push(path.invalid(format!("segment[{index}] may not be empty")));
            continue;
        }
        let wrong = text::dns1123_subdomain(step, false);
        errors.extend(wrong.into_iter().map(|why| path.invalid(format!("segment[{index}]: {why}"))));
    }
}

fn review_versions(versions: &View<'_>, demands: &Demands, errors: &mut Errors) {
    if versions.list().is_empty() {
        return errors.push(versions.required(""));
    }
    let mut known = HashSet::new();
    for version in versions.items() {
        if !known.insert(version.str()) {
            errors.push(version.invalid("duplicate version"));
            continue;
        }
        version.all_invalid(text::dns1035_label(version.str(), false), errors);
    }
    if demands.review_version && !REVIEWS.iter().any(|review| known.contains(review)) {
        errors.push(versions.invalid(format!("must include at least one of {}", REVIEWS.join(", "))));
    }
}

/// Whether there is a version that upstream speaks, or none at all.
pub fn has_review_version(versions: &[Value]) -> bool {
    versions.is_empty() || versions.iter().any(|version| version.as_str().is_some_and(|version| REVIEWS.contains(&version)))
}
