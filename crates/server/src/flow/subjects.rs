//! Flow schemas' rules by whom they are about: most requests are about none of most rules.

use std::collections::HashMap;

use auth::identity;
use meta::{Attributes, User};

use super::schema::{FlowSchema, Subject};

/// Which schema, and which of its rules, in the order in which they are asked.
type Places = Vec<(usize, usize)>;

/// The rules of all schemas of a table, which are in their order.
#[derive(Debug, Default)]
pub struct Subjects {
    anybody: Places,
    users: HashMap<String, Places>,
    groups: HashMap<String, Places>,
    /// All service accounts of a namespace.
    namespaces: HashMap<String, Places>,
}

impl Subjects {
    /// Of these schemas.
    pub fn new<'a>(schemas: impl Iterator<Item = &'a FlowSchema>) -> Self {
        let mut all = Subjects::default();
        for (schema, flow) in schemas.enumerate() {
            for (rule, subject) in flow.subjects() {
                if let Some(places) = all.places(subject) {
                    places.push((schema, rule));
                }
            }
        }
        all
    }

    /// Where rules about the subject stand; `None`: it is nobody.
    fn places(&mut self, subject: &Subject) -> Option<&mut Places> {
        match subject {
            Subject::User(name) | Subject::Group(name) if name == "*" => Some(&mut self.anybody),
            Subject::User(name) => Some(self.users.entry(name.clone()).or_default()),
            Subject::Group(name) => Some(self.groups.entry(name.clone()).or_default()),
            Subject::Account(namespace, name) if name == "*" => Some(self.namespaces.entry(namespace.clone()).or_default()),
            Subject::Account(namespace, name) => {
                let user = identity::service_account_name(namespace, name);
                let is_one = identity::split_service_account(&user) == Some((&**namespace, &**name));
                is_one.then(|| self.users.entry(user).or_default())
            }
            Subject::Nobody => None,
        }
    }

    /// The first schema with a rule for the request. `schema` gives one by its place.
    pub fn first<'a>(&self, a: &Attributes, schema: impl Fn(usize) -> &'a FlowSchema) -> Option<usize> {
        self.of(&a.user).fold(None, |first, places| {
            let before = |place: &&(usize, usize)| first.is_none_or(|first| place.0 < first);
            let mut places = places.iter().take_while(before);
            places.find(|(at, rule)| schema(*at).covers(*rule, a)).map(|(at, _)| *at).or(first)
        })
    }

    /// All that is about a user.
    fn of(&self, user: &User) -> impl Iterator<Item = &Places> {
        let account = if self.namespaces.is_empty() { None } else { identity::split_service_account(&user.name) };
        let namespace = account.and_then(|(namespace, _)| self.namespaces.get(namespace));
        let groups = user.groups.iter().filter_map(|group| self.groups.get(group));
        std::iter::once(&self.anybody).chain(self.users.get(&user.name)).chain(namespace).chain(groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::Object;
    use serde_json::{Value, json};

    fn schema(subjects: Value, verb: &str) -> FlowSchema {
        let resources = json!([{"verbs": [verb], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"]}]);
        let spec = json!({"rules": [{"subjects": subjects, "resourceRules": resources}]});
        FlowSchema::read(&Object::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).expect("an object"))
    }

    #[test]
    fn the_first_rule_wins_however_it_names_the_user() {
        let schemas = [
            schema(json!([{"kind": "Group", "group": {"name": "late"}}]), "list"),
            schema(json!([{"kind": "ServiceAccount", "serviceAccount": {"namespace": "n", "name": "one"}}]), "get"),
            schema(json!([{"kind": "User", "user": {"name": "jane"}}, {"kind": "Group", "group": {"name": "g"}}]), "get"),
            schema(json!([{"kind": "ServiceAccount", "serviceAccount": {"namespace": "n", "name": "*"}}]), "get"),
            schema(json!([{"kind": "ServiceAccount", "serviceAccount": {"namespace": "n:x", "name": "y"}}]), "get"),
            schema(json!([{"kind": "User", "user": {"name": "*"}}]), "get"),
        ];
        let subjects = Subjects::new(schemas.iter());
        let first = |user: &str, groups: &[&str], verb: &str| {
            let user = User::new(user, groups);
            let a = Attributes { user, verb: verb.into(), resource: "pods".into(), ..Attributes::default() };
            subjects.first(&a, |at| &schemas[at])
        };
        assert_eq!(first("jane", &["late"], "get"), Some(2));
        assert_eq!(first("jane", &["late"], "list"), Some(0));
        assert_eq!(first("x", &["late", "g"], "get"), Some(2));
        assert_eq!(first("system:serviceaccount:n:one", &["g"], "get"), Some(1));
        assert_eq!(first("system:serviceaccount:n:two", &[], "get"), Some(3));
        assert_eq!(first("system:serviceaccount:n:x:y", &[], "get"), Some(5));
        assert_eq!(first("x", &[], "watch"), None);
    }
}
