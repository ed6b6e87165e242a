//! Nobody may grant what they do not hold (upstream: `ConfirmNoEscalation`, `component-helpers`'
//! `Covers`, `CompactRules`).

use std::collections::{HashMap, HashSet};

use meta::User;

use super::rule::{Rule, covers_url};
use super::{Rbac, aggregate_errors};

impl Rbac {
    /// Refuses, with upstream's text, rules of which the user does not hold each one in the namespace.
    pub fn confirm_no_escalation(&self, user: &User, namespace: &str, wanted: &[Rule]) -> Result<(), String> {
        let (held, errors) = self.rules_for(user, namespace);
        let missing = missing(&held, wanted).map_err(|TooMany| {
            format!("user {:?} is attempting to grant RBAC permissions that are too many to be compared with those held", user.name)
        })?;
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

/// The most comparisons for one request. A rule stands for as many parts as the product of its lists has: one request
/// can ask for more of them than there is memory.
const COMPARISONS: usize = 2_000_000;

/// There are more parts than are looked at.
#[derive(Debug, PartialEq)]
pub struct TooMany;

/// The parts of the wanted rules that those held do not cover.
pub fn missing(held: &[Rule], wanted: &[Rule]) -> Result<Vec<Rule>, TooMany> {
    let held: Vec<Held> = held.iter().map(Held::of).collect();
    let each = held.iter().map(|owner| 1 + owner.patterns.len()).sum::<usize>().max(1);
    let mut left = COMPARISONS;
    let mut missing = Vec::new();
    for rule in wanted {
        if held.iter().any(|owner| owner.covers(rule)) {
            continue;
        }
        left = parts(rule).and_then(|count| count.checked_mul(each)).and_then(|cost| left.checked_sub(cost)).ok_or(TooMany)?;
        missing.extend(broken_down(rule).into_iter().filter(|part| !held.iter().any(|owner| owner.covers(part))));
    }
    Ok(missing)
}

/// How many rules it is when it is broken down.
fn parts(rule: &Rule) -> Option<usize> {
    let resources = rule.groups.len().checked_mul(rule.resources.len())?.checked_mul(rule.names.len().max(1))?;
    resources.checked_add(rule.non_resource_urls.len())?.checked_mul(rule.verbs.len())
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

/// A rule of the user's, to look things up in.
struct Held<'r> {
    verbs: HashSet<&'r str>,
    groups: HashSet<&'r str>,
    resources: HashSet<&'r str>,
    names: HashSet<&'r str>,
    urls: HashSet<&'r str>,
    /// Paths that end in a star.
    patterns: Vec<&'r str>,
}

impl<'r> Held<'r> {
    fn of(rule: &'r Rule) -> Self {
        let set = |list: &'r [String]| list.iter().map(String::as_str).collect();
        Held {
            verbs: set(&rule.verbs),
            groups: set(&rule.groups),
            resources: set(&rule.resources),
            names: set(&rule.names),
            urls: set(&rule.non_resource_urls),
            patterns: rule.non_resource_urls.iter().map(String::as_str).filter(|url| url.ends_with('*')).collect(),
        }
    }

    /// Whether it covers all of another rule.
    fn covers(&self, part: &Rule) -> bool {
        let all = |set: &HashSet<&str>, wanted: &[String]| set.contains("*") || wanted.iter().all(|w| set.contains(w.as_str()));
        let resource = |wanted: &String| {
            self.resources.contains(wanted.as_str())
                || wanted.split_once('/').is_some_and(|(_, sub)| self.resources.contains(format!("*/{sub}").as_str()))
        };
        let resources = self.resources.contains("*") || part.resources.iter().all(resource);
        let names = self.names.is_empty() || !part.names.is_empty() && part.names.iter().all(|n| self.names.contains(n.as_str()));
        let url = |wanted: &String| {
            self.urls.contains(wanted.as_str()) || self.patterns.iter().any(|pattern| covers_url(pattern, wanted))
        };
        all(&self.verbs, &part.verbs)
            && all(&self.groups, &part.groups)
            && resources
            && names
            && part.non_resource_urls.iter().all(url)
    }
}

/// Rules of one group and one resource (and name) that differ in their verbs alone, as one.
fn compacted(rules: Vec<Rule>) -> Vec<Rule> {
    let mut out: Vec<Rule> = Vec::new();
    let mut first: HashMap<[Vec<String>; 3], usize> = HashMap::new();
    for rule in rules {
        let simple = rule.non_resource_urls.is_empty();
        let about = [rule.groups.clone(), rule.resources.clone(), rule.names.clone()];
        let at = *first.entry(about).or_insert(out.len());
        match out.get_mut(at).filter(|_| simple) {
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
