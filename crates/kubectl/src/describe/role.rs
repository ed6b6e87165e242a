//! The pages of Role and ClusterRole: one line for each resource, with all verbs allowed on it.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::page::Page;
use super::tree::{list, text, texts};
use super::{Events, Member, marks};
use crate::failure::Failure;
use crate::session::Session;

pub(super) const ROLE: Member =
    Member { group: "rbac.authorization.k8s.io", kind: "Role", events: Events::Never, write };

pub(super) const CLUSTER_ROLE: Member =
    Member { group: "rbac.authorization.k8s.io", kind: "ClusterRole", events: Events::Never, write };

fn write<'a>(_: &'a Session, object: &'a Value, page: &'a mut Page) -> BoxFuture<'a, Result<(), Failure>> {
    async move {
        page.field(0, "Name", text(&object["metadata"]["name"]));
        marks(page, object);
        page.line(0, "PolicyRule:");
        page.headers(1, &["Resources", "Non-Resource URLs", "Resource Names", "Verbs"]);
        for line in lines(list(&object["rules"])) {
            let bracketed = |word: Option<&str>| format!("[{}]", word.unwrap_or(""));
            let verbs = format!("[{}]", line.verbs.join(" "));
            page.row(1, &[line.resource(), bracketed(line.url), bracketed(line.name), verbs]);
        }
        Ok(())
    }
    .boxed()
}

/// What is allowed on one resource, one object or one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Line<'v> {
    group: Option<&'v str>,
    resource: &'v str,
    name: Option<&'v str>,
    url: Option<&'v str>,
    verbs: Vec<&'v str>,
}

impl Line<'_> {
    /// `deployments.apps/status`.
    fn resource(&self) -> String {
        let (resource, sub) = match self.resource.split_once('/') {
            Some((resource, sub)) => (resource, format!("/{sub}")),
            None => (self.resource, String::new()),
        };
        match self.group.unwrap_or("") {
            "" => format!("{resource}{sub}"),
            group => format!("{resource}.{group}{sub}"),
        }
    }

    /// Upstream's order is that of the rules' text form, in which the verbs come first.
    fn key(&self) -> String {
        let one = |word: Option<&str>| format!("[{}]", word.unwrap_or(""));
        let resource = if self.url.is_some() { None } else { Some(self.resource) };
        format!(
            "Verbs:[{}],APIGroups:{},Resources:{},ResourceNames:{},NonResourceURLs:{},",
            self.verbs.join(" "),
            one(self.group),
            one(resource),
            one(self.name),
            one(self.url)
        )
    }
}

/// One line for each resource and object; paths have a line for each verb.
fn lines(rules: &[Value]) -> Vec<Line<'_>> {
    let mut out: Vec<Line> = Vec::new();
    for rule in rules {
        let field = |name: &str| texts(&rule[name]);
        let names = field("resourceNames");
        let names: Vec<Option<&str>> = if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
        for group in field("apiGroups") {
            for resource in field("resources") {
                for verb in field("verbs") {
                    for name in &names {
                        add(&mut out, Line { group: Some(group), resource, name: *name, url: None, verbs: vec![verb] });
                    }
                }
            }
        }
        for url in field("nonResourceURLs") {
            out.extend(field("verbs").into_iter().map(|v| Line { url: Some(url), verbs: vec![v], ..Line::default() }));
        }
    }
    out.sort_by_key(Line::key);
    out
}

fn add<'v>(out: &mut Vec<Line<'v>>, line: Line<'v>) {
    let same = |l: &&mut Line| l.url.is_none() && (l.group, l.resource, l.name) == (line.group, line.resource, line.name);
    match out.iter_mut().find(same) {
        Some(known) => known.verbs.extend(line.verbs.iter().filter(|v| !known.verbs.contains(v)).copied().collect::<Vec<_>>()),
        None => out.push(line),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::lines;

    #[test]
    fn verbs_of_one_resource_stand_in_one_line() {
        let rules = [
            json!({"apiGroups": ["apps"], "resources": ["deployments/status"], "verbs": ["get", "list"]}),
            json!({"apiGroups": ["apps"], "resources": ["deployments/status"], "verbs": ["list", "watch"]}),
            json!({"nonResourceURLs": ["/healthz"], "verbs": ["get"]}),
        ];
        let found = lines(&rules);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].resource(), "deployments.apps/status");
        assert_eq!(found[0].verbs, ["get", "list", "watch"]);
        assert_eq!(found[1].url, Some("/healthz"));
    }
}
