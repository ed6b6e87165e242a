//! Roles by name, bindings by subject: what a request needs, ready to use.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use meta::{Key, Object, User};
use serde_json::Value;

use super::aggregate::{self, Selector};
use super::rule::Rule;
use crate::identity::service_account_name;

/// A role as the index keeps it.
struct Role {
    /// The rules that count: those written down, or the sum of the selected roles.
    rules: Arc<[Rule]>,
    /// Labels, by which other roles may select this one.
    labels: BTreeMap<String, String>,
    /// Which roles this one is the sum of.
    aggregated: Option<Vec<Selector>>,
}

/// Whom a binding is for. A service account is the user of its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    User(String),
    Group(String),
}

/// What a binding refers to: a role by its key and what messages call it, or why there can be none.
type Reference = Result<(Key, &'static str), String>;

/// A RoleBinding, or (with an empty namespace) a ClusterRoleBinding.
struct Binding {
    role: Reference,
    /// Each subject with the reason of the decisions that it is let in by.
    subjects: Vec<(Subject, Arc<str>)>,
}

/// The bindings of one namespace, or of the cluster, by subject. Sorted, so that reasons are stable.
#[derive(Default)]
struct BySubject {
    users: HashMap<String, BTreeSet<Key>>,
    groups: HashMap<String, BTreeSet<Key>>,
}

/// All of it. A role's key has an empty namespace for a ClusterRole.
#[derive(Default)]
pub(super) struct Index {
    roles: HashMap<Key, Role>,
    bindings: HashMap<Key, Arc<Binding>>,
    scopes: HashMap<Arc<str>, BySubject>,
}

impl Index {
    /// Takes in an object of one of the four resources.
    pub(super) fn put(&mut self, resource: &str, object: &Object) {
        let key = object.key();
        match resource {
            "roles" | "clusterroles" => {
                let labels = object.labels().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
                let rules = Rule::all_of(object).into();
                self.roles.insert(key, Role { rules, labels, aggregated: aggregate::selectors(object) });
            }
            "rolebindings" | "clusterrolebindings" => {
                self.remove(resource, &key);
                let binding = Arc::new(Binding::read(object));
                let scope = self.scopes.entry(key.namespace.clone()).or_default();
                for (subject, _) in &binding.subjects {
                    scope.of(subject).insert(key.clone());
                }
                self.bindings.insert(key, binding);
            }
            _ => {}
        }
    }

    /// Forgets an object.
    pub(super) fn remove(&mut self, resource: &str, key: &Key) {
        if resource.ends_with("roles") {
            self.roles.remove(key);
        } else if let Some(old) = self.bindings.remove(key)
            && let Some(scope) = self.scopes.get_mut(&key.namespace)
        {
            old.subjects.iter().for_each(|(subject, _)| scope.remove(subject, key));
        }
    }

    /// Forgets all objects of a resource.
    pub(super) fn clear(&mut self, resource: &str) {
        let cluster = resource.starts_with("cluster");
        let ours = |key: &&Key| key.namespace.is_empty() == cluster;
        let keys: Vec<Key> = if resource.ends_with("roles") {
            self.roles.keys().filter(ours).cloned().collect()
        } else {
            self.bindings.keys().filter(ours).cloned().collect()
        };
        keys.iter().for_each(|key| self.remove(resource, key));
    }

    /// Recomputes the aggregated roles after changes of ClusterRoles.
    pub(super) fn settle(&mut self, resource: &str) {
        if resource != "clusterroles" {
            return;
        }
        let mut names: Vec<&Key> = self.roles.keys().filter(|key| key.namespace.is_empty()).collect();
        names.sort();
        let cluster = || names.iter().filter_map(|key| Some((&*key.name, self.roles.get(*key)?)));
        // A sum may contain a sum (admin selects edit, which selects view): a few rounds settle it.
        let mut sums: HashMap<Key, Arc<[Rule]>> = HashMap::new();
        for _ in 0..aggregate::DEPTH {
            let mut next = HashMap::new();
            for (name, role) in cluster() {
                let Some(selectors) = &role.aggregated else {
                    continue;
                };
                let parts = cluster().filter(|(other, part)| {
                    *other != name && aggregate::selects(selectors, |label| part.labels.get(label).map(String::as_str))
                });
                let rules = parts.map(|(other, part)| sums.get(&Key::new("", other)).unwrap_or(&part.rules));
                next.insert(Key::new("", name), aggregate::sum(rules.map(|rules| &**rules)).into());
            }
            let settled = next == sums;
            sums = next;
            if settled {
                break;
            }
        }
        for (key, rules) in sums {
            if let Some(role) = self.roles.get_mut(&key) {
                role.rules = rules;
            }
        }
    }

    /// The rules of a role that a binding in `namespace` refers to.
    pub(super) fn referenced(&self, kind: &str, name: &str, namespace: &str) -> Result<&[Rule], String> {
        self.rules(&reference(kind, name, namespace))
    }

    fn rules(&self, role: &Reference) -> Result<&[Rule], String> {
        let (key, resource) = role.as_ref().map_err(String::clone)?;
        let missing = || format!("{resource}.rbac.authorization.k8s.io {:?} not found", &*key.name);
        self.roles.get(key).map(|role| &*role.rules).ok_or_else(missing)
    }

    /// Hands out every binding that applies to the user, cluster-wide ones first, with the reason that it would be
    /// and its rules, until `visit` says false.
    pub(super) fn visit<'a>(
        &'a self,
        user: &User,
        namespace: &str,
        mut visit: impl FnMut(&'a Arc<str>, Result<&'a [Rule], String>) -> bool,
    ) {
        let scopes: &[&str] = if namespace.is_empty() { &[""] } else { &["", namespace] };
        for scope in scopes.iter().filter_map(|name| self.scopes.get(*name)) {
            let mut keys: Vec<&Key> = scope.applying(user).flatten().collect();
            keys.sort_unstable();
            keys.dedup();
            for binding in keys.into_iter().filter_map(|key| self.bindings.get(key)) {
                let Some((_, reason)) = binding.subjects.iter().find(|(s, _)| s.is(user)) else {
                    continue;
                };
                if !visit(reason, self.rules(&binding.role)) {
                    return;
                }
            }
        }
    }
}

fn reference(kind: &str, name: &str, namespace: &str) -> Reference {
    match kind {
        "Role" => Ok((Key::new(namespace, name), "role")),
        "ClusterRole" => Ok((Key::new("", name), "clusterrole")),
        _ => Err(format!("unsupported role reference kind: {kind:?}")),
    }
}

impl BySubject {
    fn of(&mut self, subject: &Subject) -> &mut BTreeSet<Key> {
        match subject {
            Subject::User(name) => self.users.entry(name.clone()).or_default(),
            Subject::Group(name) => self.groups.entry(name.clone()).or_default(),
        }
    }

    fn remove(&mut self, subject: &Subject, key: &Key) {
        let (map, name) = match subject {
            Subject::User(name) => (&mut self.users, name),
            Subject::Group(name) => (&mut self.groups, name),
        };
        if let Some(keys) = map.get_mut(name) {
            keys.remove(key);
            if keys.is_empty() {
                map.remove(name);
            }
        }
    }

    fn applying(&self, user: &User) -> impl Iterator<Item = &BTreeSet<Key>> {
        let groups = user.groups.iter().filter_map(|group| self.groups.get(group));
        self.users.get(&user.name).into_iter().chain(groups)
    }
}

impl Subject {
    fn is(&self, user: &User) -> bool {
        match self {
            Subject::User(name) => *name == user.name,
            Subject::Group(name) => user.in_group(name),
        }
    }
}

impl Binding {
    fn read(object: &Object) -> Binding {
        let (kind, name) = (object.str_at("roleRef.kind"), object.str_at("roleRef.name"));
        let own = match object.namespace() {
            "" => format!("ClusterRoleBinding {:?}", object.name()),
            namespace => format!("RoleBinding {:?}", format!("{}/{namespace}", object.name())),
        };
        let reason = |described: String| format!("RBAC: allowed by {own} of {kind} {name:?} to {described}").into();
        let subjects = object.list_at("subjects").iter().filter_map(|s| subject(s, object.namespace()));
        Binding {
            role: reference(kind, name, object.namespace()),
            subjects: subjects.map(|(subject, described)| (subject, reason(described))).collect(),
        }
    }
}

/// A service account without a namespace is one of the binding's; in a ClusterRoleBinding it is nobody.
fn subject(value: &Value, namespace: &str) -> Option<(Subject, String)> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or("");
    let (kind, name) = (text("kind"), text("name"));
    let described = format!("{kind} {name:?}");
    match kind {
        "User" => Some((Subject::User(name.to_owned()), described)),
        "Group" => Some((Subject::Group(name.to_owned()), described)),
        "ServiceAccount" => {
            let own = text("namespace");
            let namespace = if own.is_empty() { namespace } else { own };
            let described = format!("{kind} {:?}", format!("{name}/{namespace}"));
            (!namespace.is_empty()).then(|| (Subject::User(service_account_name(namespace, name)), described))
        }
        _ => None,
    }
}
