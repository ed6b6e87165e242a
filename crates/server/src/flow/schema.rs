//! Which flow a request belongs to (upstream: `flowcontrol/rule.go`): flow schemas, read once and asked without
//! allocating.

use http::HeaderValue;
use kinds::view::View;
use meta::{Attributes, Object};

/// What tells the flows of a schema apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distinguisher {
    /// Nothing: it is one flow.
    None,
    /// Who asks.
    User,
    /// The namespace asked for.
    Namespace,
}

/// Whom a rule is about; `*` is every name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    User(String),
    Group(String),
    /// Namespace and name.
    Account(String, String),
    Nobody,
}

/// A list of names, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    All,
    These(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ResourceRule {
    verbs: Names,
    groups: Names,
    resources: Names,
    namespaces: Names,
    cluster: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PathRule {
    verbs: Names,
    paths: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    subjects: Vec<Subject>,
    resources: Vec<ResourceRule>,
    paths: Vec<PathRule>,
}

/// A flow schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowSchema {
    /// Its name.
    pub name: String,
    /// Its uid, as answers name it.
    pub uid: HeaderValue,
    /// Lower ones are asked first.
    pub precedence: i64,
    /// The level that its requests go to.
    pub level: String,
    /// What tells its flows apart.
    pub distinguisher: Distinguisher,
    rules: Vec<Rule>,
}

/// A uid as a header has it; empty if there is none.
pub(super) fn uid(object: &Object) -> HeaderValue {
    HeaderValue::from_str(object.str_at("metadata.uid")).unwrap_or_else(|_| HeaderValue::from_static(""))
}

impl FlowSchema {
    /// Out of an object of the kind.
    pub fn read(object: &Object) -> Self {
        let spec = View::of(object, "spec");
        FlowSchema {
            name: object.name().to_owned(),
            uid: uid(object),
            precedence: spec.number("matchingPrecedence"),
            level: spec.at("priorityLevelConfiguration").text("name").to_owned(),
            distinguisher: match spec.at("distinguisherMethod").text("type") {
                "ByUser" => Distinguisher::User,
                "ByNamespace" => Distinguisher::Namespace,
                _ => Distinguisher::None,
            },
            rules: spec.each("rules").map(|rule| Rule::read(&rule)).collect(),
        }
    }

    /// Whom its rules are about, rule by rule.
    pub(super) fn subjects(&self) -> impl Iterator<Item = (usize, &Subject)> {
        self.rules.iter().enumerate().flat_map(|(at, rule)| rule.subjects.iter().map(move |subject| (at, subject)))
    }

    /// Whether one of its rules is about what is asked for; about whom is another question.
    pub(super) fn covers(&self, rule: usize, a: &Attributes) -> bool {
        self.rules.get(rule).is_some_and(|rule| rule.covers(a))
    }

    /// The name of the request's flow within the schema.
    pub fn flow<'a>(&self, a: &'a Attributes) -> &'a str {
        match self.distinguisher {
            Distinguisher::None => "",
            Distinguisher::User => &a.user.name,
            Distinguisher::Namespace => &a.namespace,
        }
    }
}

impl Rule {
    fn read(rule: &View<'_>) -> Self {
        let path = |r: View<'_>| PathRule { verbs: Names::read(&r.at("verbs")), paths: strings(&r.at("nonResourceURLs")) };
        Rule {
            subjects: rule.each("subjects").map(|subject| Subject::read(&subject)).collect(),
            resources: rule.each("resourceRules").map(|r| ResourceRule::read(&r)).collect(),
            paths: rule.each("nonResourceRules").map(path).collect(),
        }
    }

    /// Whether it is about what is asked for.
    fn covers(&self, a: &Attributes) -> bool {
        if a.is_resource() {
            self.resources.iter().any(|rule| rule.matches(a))
        } else {
            self.paths.iter().any(|rule| rule.matches(a))
        }
    }
}

impl Subject {
    fn read(subject: &View<'_>) -> Self {
        match subject.text("kind") {
            "User" => Subject::User(subject.at("user").text("name").to_owned()),
            "Group" => Subject::Group(subject.at("group").text("name").to_owned()),
            "ServiceAccount" => {
                let account = subject.at("serviceAccount");
                Subject::Account(account.text("namespace").to_owned(), account.text("name").to_owned())
            }
            _ => Subject::Nobody,
        }
    }
}

fn strings(list: &View<'_>) -> Vec<String> {
    list.strings().map(str::to_owned).collect()
}

impl Names {
    fn read(list: &View<'_>) -> Self {
        let names = strings(list);
        if names == ["*"] { Names::All } else { Names::These(names) }
    }

    fn have(&self, name: &str) -> bool {
        match self {
            Names::All => true,
            Names::These(names) => names.iter().any(|one| one == name),
        }
    }

    /// `pods/status` is another resource than `pods`.
    fn have_part(&self, resource: &str, part: &str) -> bool {
        let Names::These(names) = self else { return true };
        if part.is_empty() {
            return self.have(resource);
        }
        names.iter().any(|name| name.split_once('/') == Some((resource, part)))
    }
}

impl ResourceRule {
    fn read(rule: &View<'_>) -> Self {
        ResourceRule {
            verbs: Names::read(&rule.at("verbs")),
            groups: Names::read(&rule.at("apiGroups")),
            resources: Names::read(&rule.at("resources")),
            namespaces: Names::read(&rule.at("namespaces")),
            cluster: rule.flag("clusterScope"),
        }
    }

    fn matches(&self, a: &Attributes) -> bool {
        self.verbs.have(&a.verb)
            && self.resources.have_part(&a.resource, &a.subresource)
            && self.groups.have(&a.group)
            && if a.namespace.is_empty() { self.cluster } else { self.namespaces.have(&a.namespace) }
    }
}

impl PathRule {
    fn matches(&self, a: &Attributes) -> bool {
        self.verbs.have(&a.verb) && self.paths.iter().any(|path| below(path, &a.path))
    }
}

/// Whether a path is the rule's, or below it.
fn below(rule: &str, path: &str) -> bool {
    if rule == "*" || rule == path {
        return true;
    }
    let prefix = rule.strip_suffix('*').unwrap_or(rule);
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::subjects::Subjects;
    use auth::identity;
    use http::Method;
    use kinds::kinds::flowcontrol::bootstrap::{mandatory_schemas, suggested_schemas};
    use meta::User;

    fn schema_of(user: User, method: Method, uri: &str) -> String {
        let (path, query) = uri.split_once('?').map_or((uri, None), |(p, q)| (p, Some(q)));
        let mut a = crate::route::route(&method, path, query).expect("routes").attributes;
        a.user = user;
        let objects = mandatory_schemas().into_iter().chain(suggested_schemas());
        let mut schemas: Vec<FlowSchema> = objects.map(|object| FlowSchema::read(&object)).collect();
        schemas.sort_by(|a, b| (a.precedence, &a.name).cmp(&(b.precedence, &b.name)));
        let first = Subjects::new(schemas.iter()).first(&a, |at| &schemas[at]);
        first.map_or("none", |at| &schemas[at].name).to_owned()
    }

    #[test]
    fn requests_find_the_schema_that_upstream_gives_them() {
        let node = || User::new("system:node:n1", &[identity::NODES, identity::AUTHENTICATED]);
        let account = identity::service_account;
        let jane = || User::new("jane", &[identity::AUTHENTICATED]);
        let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1";
        for (user, method, uri, schema) in [
            (identity::api_server(), Method::GET, "/api/v1/pods", "exempt"),
            (identity::api_server(), Method::GET, "/healthz", "exempt"),
            (jane(), Method::GET, "/livez", "probes"),
            (jane(), Method::GET, "/readyz/ping", "probes"),
            (jane(), Method::GET, "/healthzzz", "global-default"),
            (jane(), Method::POST, "/livez", "global-default"),
            (jane(), Method::GET, "/api/v1/pods", "global-default"),
            (node(), Method::PUT, lease, "system-node-high"),
            (node(), Method::PATCH, "/api/v1/nodes/n1/status", "system-node-high"),
            (node(), Method::GET, "/api/v1/namespaces/a/pods/p", "system-nodes"),
            (node(), Method::GET, "/apis", "system-nodes"),
            (identity::scheduler(), Method::GET, "/api/v1/pods", "kube-scheduler"),
            (identity::scheduler(), Method::PUT, lease, "system-leader-election"),
            (identity::scheduler(), Method::PATCH, lease, "kube-scheduler"),
            (account("kube-system", "x"), Method::GET, "/api/v1/pods", "kube-system-service-accounts"),
            (account("default", "x"), Method::GET, "/api/v1/pods", "service-accounts"),
            (User::new("none", &[]), Method::GET, "/api/v1/pods", "none"),
        ] {
            let name = user.name.clone();
            assert_eq!(schema_of(user, method, uri), schema, "{name} {uri}");
        }
    }
}
