//! Services whose clients keep their endpoint for a time. Each port has a map of its clients, so that a flood of
//! clients of one service leaves the others alone, and chains that ask it.

use std::borrow::Cow;

use super::base::{END, ENDPOINTS, MARK, MEMBERS, STICKY, STICKY_PORTS};
use super::layout::{Part, end_bytes, entries, label, name, pool, put};
use super::plan::PortPlan;
use super::Config;
use crate::nft::{Entry, Field, Rule, Says, Set, Value, Verdict};

pub(super) fn part(config: &Config, port: &PortPlan, seconds: u32, part: &mut Part) {
    let (label, own) = (label(port), name(port));
    let clients = format!("clients-{label}-{seconds}");
    let set = Set { forgets_after: Some(seconds), ..Set::new(&[Field::Address], Says::Fields(END)) };
    part.sets.insert(clients.clone(), set);
    let goto = |chain: &str| Verdict::Goto(chain.to_owned());
    let chain = |local: bool| format!("keep-{}-{label}", if local { "local" } else { "all" });
    for (local, ends) in [(false, &port.all), (true, &port.local)] {
        let used = if local { port.internal_local || port.external_local } else { true };
        if ends.is_empty() || !used {
            continue;
        }
        let pool = pool(local, ends.len() as u32);
        for end in ends {
            let member = [own.as_slice(), &pool.first.to_ne_bytes(), &end_bytes(*end)].concat();
            put(&mut part.elements, MEMBERS, member, Value::Nothing);
        }
        let rules = vec![
            Rule::new().kept(&own, pool, MEMBERS, &clients),
            Rule::new().choose_and_keep(&own, pool, ENDPOINTS, &clients),
            // The map of clients is full.
            Rule::new().choose_of(&own, pool, ENDPOINTS),
        ];
        part.chains.insert(chain(local), rules);
    }
    let has = |local: bool| !if local { &port.local } else { &port.all }.is_empty();
    let mark = Verdict::Jump(MARK.to_owned());
    if has(port.internal_local) {
        let entry = format!("cluster-{label}");
        let rules = vec![
            Rule::new().source(config.cluster_range, false).then(&mark),
            Rule::new().then(&goto(&chain(port.internal_local))),
        ];
        part.chains.insert(entry.clone(), rules);
        put(&mut part.elements, STICKY, own.to_vec(), Value::Verdict(goto(&entry)));
    }
    if !port.is_exposed() || !port.has_endpoints() {
        return;
    }
    let mut rules = Vec::new();
    match port.external_local {
        false => rules.extend([Rule::new().then(&mark), Rule::new().then(&goto(&chain(false)))]),
        true => {
            if has(false) {
                rules.push(Rule::new().source(config.cluster_range, true).then(&goto(&chain(false))));
                rules.push(Rule::new().source_is_local().then(&mark));
                rules.push(Rule::new().source_is_local().then(&goto(&chain(false))));
            }
            rules.extend(has(true).then(|| Rule::new().then(&goto(&chain(true)))));
        }
    }
    let entry = format!("external-{label}");
    part.chains.insert(entry.clone(), rules);
    for (kind, key) in entries(port) {
        let map = if kind == Entry::Port { STICKY_PORTS } else { STICKY };
        part.elements.insert((Cow::Borrowed(map), key, false), Value::Verdict(goto(&entry)));
    }
}
