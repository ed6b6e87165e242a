//! Queries, `Accept` and `Content-Type` beside upstream's own readers.

#[path = "../../../tests/upstream/values/judge.rs"]
mod judge;

use std::collections::BTreeMap;

use judge::{Dice, compare};

use crate::query::Query;
use crate::{media, negotiate};

const CASES: usize = 20_000;

#[test]
fn queries() {
    const PARTS: &[&str] = &["x", "y", "=", "&", ";", "%20", "%", "%2", "%zz", "+", "%3D", "%26", "", "é", "%C3%A9", "?", "#", "/", "==", "%2B"];
    compare("query", CASES, |dice| dice.row(PARTS, 10), |text| {
        let query = Query::parse(text);
        let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in query.pairs() {
            by_name.entry(name).or_default().push(value);
        }
        let one = |(name, values): (&&str, &Vec<&str>)| -> Vec<String> {
            values.iter().enumerate().map(|(at, value)| format!("{name:?} {at:03} {value:?}")).collect()
        };
        let mut all: Vec<String> = by_name.iter().flat_map(one).collect();
        all.sort();
        Ok(all.join(","))
    });
}

#[test]
fn accepted_types() {
    const TYPES: &[&str] = &["application/json", "application/yaml", "*/*", "application/*", "*", "a", "a/b/c", "a/", "/b", "a/b", " a / b ", "", "*/b"];
    const PARAMETERS: &[&str] = &[";q=0.5", ";q=0.9", "; q=1", ";q=x", ";q=", ";as=Table", "; v=v1 ", ";g=meta.k8s.io", ";a=b=c", ";a", ";", ";as=\"x\"", ";q=0", ";a=="];
    let make = |dice: &mut Dice| {
        let clause = |dice: &mut Dice| format!("{}{}", dice.pick(TYPES), dice.row(PARAMETERS, 3));
        (0..1 + dice.roll(5)).map(|_| clause(dice)).collect::<Vec<_>>().join(dice.pick(&[",", ", "]))
    };
    compare("accept", CASES, make, |text| {
        let one = |clause: &negotiate::Clause<'_>| {
            let mut parameters: Vec<String> = clause.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            parameters.sort();
            format!("{} {}", clause.media, parameters.join(";"))
        };
        Ok(negotiate::clauses(text).iter().map(one).collect::<Vec<_>>().join(", "))
    });
}

#[test]
fn types_of_bodies() {
    const PARTS: &[&str] = &[
        "application/json", "Application/JSON", "application", "/", ";", " ", "charset=utf-8", "; charset=\"a b\"", "=", "a", "\"", "\\", ";a=1", ";a=2", "é", ",", "q=",
    ];
    let make = |dice: &mut Dice| if dice.roll(2) == 0 { format!("application/json{}", dice.row(PARTS, 4)) } else { dice.row(PARTS, 5) };
    compare("media", CASES, make, |text| media::parse(text).ok_or_else(|| "broken".to_owned()));
}
