//! Nobody may grant what they do not hold (upstream: `ConfirmNoEscalation`, `component-helpers`'
//! `Covers`, `CompactRules`).

use meta::User;

use super::rule::{Rule, covers_url};
use super::{Rbac, aggregate_errors};

impl Rbac {
    /// Refuses, with upstream's text, rules of which the user does not hold each one in the namespace.
    pub fn confirm_no_escalation(&self, user: &User, namespace: &str, wanted: &[Rule]) -> Result<(), String> {
        let (held, errors) = self.rules_for(user, namespace);
        let missing = missing(&held, wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let mut described: Vec<String> = compacted(missing).iter().map(described).collect();
        described.sort();
        described.dedup();
        let groups: Vec<String> = user.groups.iter().map(|g| format!("{g:?}")).collect();
        let mut text = format!(
            "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
            user.name,
            groups.join(" "),
            described.join("\n")
        );
        if !errors.is_empty() {
            text.push_str(&format!("; resolution errors: [{}]", aggregate_errors(errors)));
        }
        Err(text)
    }
}

/// The parts of the wanted rules that those held do not cover.
pub fn missing(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    wanted.iter().flat_map(broken_down).filter(|part| !held.iter().any(|rule| covers(rule, part))).collect()
}

/// The rule as rules of one verb, one group, one resource and at most one name, or one verb and one path.
fn broken_down(rule: &Rule) -> Vec<Rule> {
    let one = |value: &String| vec![value.clone()];
    let mut out = Vec::new();
    for group in &rule.groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let part = Rule { verbs: one(verb), groups: one(group), resources: one(resource), ..Rule::default() };
                if rule.names.is_empty() {
                    out.push(part);
                } else {
                    out.extend(rule.names.iter().map(|name| Rule { names: one(name), ..part.clone() }));
                }
            }
        }
    }
    for url in &rule.non_resource_urls {
        out.extend(rule.verbs.iter().map(|verb| Rule {
            verbs: one(verb),
            non_resource_urls: one(url),
            ..Rule::default()
        }));
    }
    out
}

/// Whether a rule covers a broken-down one.
fn covers(owner: &Rule, part: &Rule) -> bool {
    let all =
        |set: &[String], wanted: &[String]| set.iter().any(|v| v == "*") || wanted.iter().all(|w| set.contains(w));
    let resource = |wanted: &String| {
        owner.resources.contains(wanted)
            || wanted.split_once('/').is_some_and(|(_, sub)| owner.resources.contains(&format!("*/{sub}")))
    };
    let resources = owner.resources.iter().any(|r| r == "*") || part.resources.iter().all(resource);
    let names = owner.names.is_empty() || !part.names.is_empty() && part.names.iter().all(|n| owner.names.contains(n));
    let url = |wanted: &String| owner.non_resource_urls.iter().any(|u| covers_url(u, wanted));
    all(&owner.verbs, &part.verbs)
        && all(&owner.groups, &part.groups)
        && resources
        && names
        && part.non_resource_urls.iter().all(url)
}

/// Rules of one group and one resource (and name) that differ in their verbs alone, as one.
fn compacted(rules: Vec<Rule>) -> Vec<Rule> {
    let mut out: Vec<Rule> = Vec::new();
    for rule in rules {
        let simple = rule.non_resource_urls.is_empty();
        let same = |r: &&mut Rule| r.groups == rule.groups && r.resources == rule.resources && r.names == rule.names;
        match out.iter_mut().find(same).filter(|_| simple) {
            Some(first) => first.verbs.extend(rule.verbs),
            None => out.push(rule),
        }
    }
    out
}

fn described(rule: &Rule) -> String {
    let parts: Vec<String> = [
        ("APIGroups", &rule.groups),
        ("Resources", &rule.resources),
        ("NonResourceURLs", &rule.non_resource_urls),
        ("ResourceNames", &rule.names),
        ("Verbs", &rule.verbs),
    ]
    .iter()
    .filter(|(_, list)| !list.is_empty())
    .map(|(name, list)| {
        let quoted: Vec<String> = list.iter().map(|v| format!("{v:?}")).collect();
        format!("{name}:[{}]", quoted.join(" "))
    })
    .collect();
    format!("{{{}}}", parts.join(", "))
}
