//! The pages of ResourceQuota and LimitRange, and their parts in the page of a Namespace.

use std::collections::BTreeSet;

use futures::FutureExt;
use serde_json::Value;

use super::page::Page;
use super::tree::{entries, list, text, text_or, texts};
use super::{Events, Member};
use crate::failure::Failure;

const LIMITS: [&str; 7] =
    ["Type", "Resource", "Min", "Max", "Default Request", "Default Limit", "Max Limit/Request Ratio"];

pub(super) const RESOURCE_QUOTA: Member = Member {
    group: "",
    kind: "ResourceQuota",
    events: Events::Never,
    write: |_, object, page| {
        async move {
            page.field(0, "Name", text(&object["metadata"]["name"]));
            page.field(0, "Namespace", text(&object["metadata"]["namespace"]));
            scopes(page, 0, " * ", object);
            page.headers(0, &["Resource", "Used", "Hard"]);
            used(page, 0, object);
            Ok(())
        }
        .boxed()
    },
};

pub(super) const LIMIT_RANGE: Member = Member {
    group: "",
    kind: "LimitRange",
    events: Events::Never,
    write: |_, object, page| {
        async move {
            page.field(0, "Name", text(&object["metadata"]["name"]));
            page.field(0, "Namespace", text(&object["metadata"]["namespace"]));
            page.headers(0, &LIMITS);
            limits(page, "", object);
            Ok(())
        }
        .boxed()
    },
};

/// The items of a list, `None` if the server does not have the kind.
pub(super) fn known(found: Result<Vec<Value>, Failure>) -> Result<Option<Vec<Value>>, Failure> {
    match found {
        Ok(items) => Ok(Some(items)),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// All quotas of a namespace.
pub(super) fn all_quotas(page: &mut Page, mut quotas: Vec<Value>) {
    if quotas.is_empty() {
        page.line(0, "No resource quota.");
        return;
    }
    quotas.sort_by(|a, b| text(&a["metadata"]["name"]).cmp(text(&b["metadata"]["name"])));
    page.line(0, "Resource Quotas");
    for quota in &quotas {
        page.field(1, "Name", text(&quota["metadata"]["name"]));
        scopes(page, 1, "* ", quota);
        page.row(1, &["Resource", "Used", "Hard"]);
        page.row(1, &["--------", "---", "---"]);
        used(page, 1, quota);
    }
}

/// All limits of a namespace.
pub(super) fn all_limits(page: &mut Page, ranges: &[Value]) {
    if ranges.is_empty() {
        page.line(0, "No LimitRange resource.");
        return;
    }
    page.line(0, "Resource Limits");
    page.line(0, format!(" {}", LIMITS.join("\t")));
    page.line(0, format!(" {}", LIMITS.map(|l| "-".repeat(l.len())).join("\t")));
    ranges.iter().for_each(|range| limits(page, " ", range));
}

fn scopes(page: &mut Page, level: usize, bullet: &str, quota: &Value) {
    let mut scopes = texts(&quota["spec"]["scopes"]);
    if scopes.is_empty() {
        return;
    }
    scopes.sort_unstable();
    page.field(level, "Scopes", scopes.join(", "));
    for meaning in scopes.into_iter().filter_map(meaning) {
        page.line(level, format!("{bullet}{meaning}"));
    }
}

fn meaning(scope: &str) -> Option<&'static str> {
    Some(match scope {
        "Terminating" => {
            "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being \
             actively terminated by the system."
        }
        "NotTerminating" => {
            "Matches all pods that do not have an active deadline. These pods usually include long running pods whose \
             container command is not expected to terminate."
        }
        "BestEffort" => {
            "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service."
        }
        "NotBestEffort" => {
            "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed \
             quality of service."
        }
        _ => return None,
    })
}

fn used(page: &mut Page, level: usize, quota: &Value) {
    for (resource, hard) in entries(&quota["status"]["hard"]) {
        page.row(level, &[resource, text_or(&quota["status"]["used"][resource], "0"), text(hard)]);
    }
}

fn limits(page: &mut Page, prefix: &str, range: &Value) {
    for item in list(&range["spec"]["limits"]) {
        let columns = ["min", "max", "defaultRequest", "default", "maxLimitRequestRatio"];
        let resources: BTreeSet<&str> = columns.iter().flat_map(|c| entries(&item[c])).map(|(name, _)| name).collect();
        for resource in resources {
            let mut row = vec![format!("{prefix}{}", text(&item["type"])), resource.to_owned()];
            row.extend(columns.iter().map(|c| text_or(&item[c][resource], "-").to_owned()));
            page.row(0, &row);
        }
    }
}
