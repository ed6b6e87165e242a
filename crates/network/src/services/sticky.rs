//! Services whose clients keep their endpoint for a time: each endpoint has a set of its clients and a chain that
//! puts them there. The sets are the service's own, so that a flood of clients of one leaves the others alone.

use std::collections::BTreeSet;

use super::Config;
use super::layout::{Part, end_bytes, from_outside, label, marked, shortcut};
use super::plan::{End, PortPlan};
use crate::nft::{Field, Rule, Says, Set, Verdict};

/// The chains that lead to the endpoints.
pub(super) struct Chains {
    pub(super) internal: String,
    pub(super) external: String,
}

pub(super) fn part(config: &Config, port: &PortPlan, seconds: u32, part: &mut Part) -> Chains {
    let label = label(port);
    let goto = |chain: &str| Verdict::Goto(chain.to_owned());
    let chains = Chains { internal: format!("cluster-{label}"), external: format!("external-{label}") };
    let local = port.internal_local || port.external_local;
    let used: BTreeSet<&End> = port.all.iter().chain(port.local.iter().filter(|_| local)).collect();
    for end in used {
        let (chain, clients) = (endpoint(&label, end), clients(&label, end, seconds));
        let set = Set { forgets_after: Some(seconds), ..Set::new(&[Field::Address], Says::Nothing) };
        part.sets.insert(clients.clone(), set);
        let rules = vec![Rule::new().remember_source(&clients), Rule::new().translate(&end_bytes(*end))];
        part.chains.insert(chain, rules);
    }
    let choice = |local: bool| format!("choose-{}-{label}", if local { "local" } else { "all" });
    part.chains.insert(choice(false), choose(&label, &port.all, seconds));
    if local {
        part.chains.insert(choice(true), choose(&label, &port.local, seconds));
    }
    let rules = vec![from_outside(config), Rule::new().then(&goto(&choice(port.internal_local)))];
    part.chains.insert(chains.internal.clone(), rules);
    if port.is_exposed() {
        let rules = match port.external_local {
            false => vec![marked(), Rule::new().then(&goto(&choice(false)))],
            true => {
                let mut rules = shortcut(config, |rule| rule.then(&goto(&choice(false)))).to_vec();
                rules.push(Rule::new().then(&goto(&choice(true))));
                rules
            }
        };
        part.chains.insert(chains.external.clone(), rules);
    }
    chains
}

/// First those who have an endpoint, then one at random.
fn choose(label: &str, ends: &[End], seconds: u32) -> Vec<Rule> {
    let goto = |end: &End| Verdict::Goto(endpoint(label, end));
    let known = ends.iter().map(|end| Rule::new().source_in(&clients(label, end, seconds), true).then(&goto(end)));
    let random = (1..=ends.len() as u32).rev().zip(ends).map(|(left, end)| {
        let rule = if left > 1 { Rule::new().one_in(left) } else { Rule::new() };
        rule.then(&goto(end))
    });
    known.chain(random).collect()
}

fn endpoint(label: &str, (address, port): &End) -> String {
    format!("end-{label}-{address}-{port}")
}

fn clients(label: &str, (address, port): &End, seconds: u32) -> String {
    format!("clients-{label}-{address}-{port}-{seconds}")
}
