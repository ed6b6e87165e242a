//! One rule of a role, and what it matches (upstream: `pkg/apis/rbac/v1/evaluation_helpers.go`).

use meta::Attributes;
use serde_json::{Map, Value};

/// What a role allows: any of the verbs on any of the resources of any of the groups, or on any of the paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Verbs; `*` for all.
    pub verbs: Vec<String>,
    /// API groups; `*` for all.
    pub groups: Vec<String>,
    /// Resources as `pods`, `pods/log`, `*/scale` or `*`.
    pub resources: Vec<String>,
    /// Names; empty for all.
    pub names: Vec<String>,
    /// Paths; a trailing `*` matches any rest.
    pub non_resource_urls: Vec<String>,
}

impl Rule {
    /// Reads a `PolicyRule`.
    pub fn from_value(value: &Value) -> Rule {
        Rule {
            verbs: strings(value, "verbs"),
            groups: strings(value, "apiGroups"),
            resources: strings(value, "resources"),
            names: strings(value, "resourceNames"),
            non_resource_urls: strings(value, "nonResourceURLs"),
        }
    }

    /// The rules of a Role or ClusterRole.
    pub fn all_of(role: &meta::Object) -> Vec<Rule> {
        role.list_at("rules").iter().map(Rule::from_value).collect()
    }

    /// The rule as a `PolicyRule`; empty lists are left out.
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        for (field, list) in [
            ("verbs", &self.verbs),
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.non_resource_urls),
        ] {
            if !list.is_empty() || field == "verbs" {
                out.insert(field.to_owned(), list.as_slice().into());
            }
        }
        out.into()
    }

    /// Whether the rule allows the request.
    pub fn allows(&self, a: &Attributes) -> bool {
        if !has(&self.verbs, &a.verb) {
            return false;
        }
        if !a.is_resource() {
            return self.non_resource_urls.iter().any(|url| covers_url(url, &a.path));
        }
        has(&self.groups, &a.group) && self.covers_resource(&a.resource, &a.subresource) && self.covers_name(&a.name)
    }

    fn covers_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|r| match r.split_once('/') {
            _ if r == "*" => true,
            None => r == resource && subresource.is_empty(),
            Some((parent, sub)) => {
                !subresource.is_empty() && sub == subresource && (parent == resource || parent == "*")
            }
        })
    }

    fn covers_name(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|n| n == name)
    }
}

/// Whether a path or pattern of an owner covers a path (or, for escalation, a pattern).
pub(super) fn covers_url(owner: &str, path: &str) -> bool {
    owner == path || owner.ends_with('*') && path.starts_with(owner.trim_end_matches('*'))
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|v| v == "*" || v == wanted)
}

fn strings(value: &Value, field: &str) -> Vec<String> {
    let list = value.get(field).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn request(verb: &str, group: &str, resource: &str, name: &str) -> Attributes {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Attributes {
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            name: name.into(),
            ..Attributes::default()
        }
    }

    #[test]
    fn resources_verbs_and_names_match() {
        let rule = |verbs: &str, groups: &[&str], resources: &str, names: &str| Rule {
            verbs: list(verbs),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            resources: list(resources),
            names: list(names),
            ..Rule::default()
        };
        let table = [
            (rule("get", &[""], "pods", ""), request("get", "", "pods", "a"), true),
            (rule("get", &[""], "pods", ""), request("list", "", "pods", ""), false),
            (rule("get", &[""], "pods", ""), request("get", "", "pods/log", "a"), false),
            (rule("get", &[""], "pods/log", ""), request("get", "", "pods/log", "a"), true),
            (rule("get", &[""], "pods/log", ""), request("get", "", "pods", "a"), false),
            (rule("update", &["*"], "*/scale", ""), request("update", "apps", "deployments/scale", "a"), true),
            (rule("update", &["*"], "*/scale", ""), request("update", "apps", "deployments/status", "a"), false),
            (rule("*", &["*"], "*", ""), request("update", "apps", "deployments/status", "a"), true),
            (rule("get", &["apps"], "pods", ""), request("get", "", "pods", "a"), false),
            (rule("get list", &[""], "secrets", "a b"), request("get", "", "secrets", "b"), true),
            (rule("get list", &[""], "secrets", "a b"), request("get", "", "secrets", "c"), false),
            (rule("get list", &[""], "secrets", "a b"), request("list", "", "secrets", ""), false),
        ];
        for (rule, request, want) in table {
            assert_eq!(rule.allows(&request), want, "{rule:?} {request:?}");
        }
    }

    #[test]
    fn paths_match() {
        let rule = |urls: &str| Rule { verbs: list("get"), non_resource_urls: list(urls), ..Rule::default() };
        let table = [
            ("/healthz", "/healthz", true),
            ("/healthz", "/healthz/", false),
            ("/apis/*", "/apis/apps", true),
            ("/apis/*", "/apis", false),
            ("*", "/x", true),
        ];
        for (url, path, want) in table {
            let request = Attributes { verb: "get".into(), path: path.into(), ..Attributes::default() };
            assert_eq!(rule(url).allows(&request), want, "{url} {path}");
        }
    }
}
