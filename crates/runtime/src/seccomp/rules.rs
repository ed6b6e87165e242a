//! Conditions on the arguments of a system call, as instructions.

use libc::sock_filter;

use super::bpf::{AND, IF_ABOVE, IF_AT_LEAST, IF_EQUAL, LOAD, RETURN, instruction};

/// Where the arguments begin in `struct seccomp_data`; each has eight bytes, the lower half first (both supported
/// machines are little-endian).
pub(super) const ARGUMENTS: u32 = 16;

/// How an argument is compared, unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Below,
    AtMost,
    AtLeast,
    Above,
    /// Its bits in this mask.
    Masked(u64),
}

/// One argument has to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Number of the argument, from 0 to 5.
    pub argument: u32,
    pub compare: Compare,
    pub value: u64,
}

/// What happens to a call whose arguments all fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub conditions: Vec<Condition>,
    /// What the filter returns.
    pub give: u32,
}

/// Where an instruction goes on.
#[derive(Clone, Copy)]
enum To {
    Next,
    /// Behind the condition: it holds.
    Holds,
    /// Behind the rule: it does not.
    Fails,
}

struct Line {
    code: u16,
    k: u32,
    yes: To,
    no: To,
}

/// The rules in turn, then what none of them has caught. `wide`: arguments have 64 bits.
pub(super) fn program(rules: &[Rule], otherwise: u32, wide: bool) -> Vec<sock_filter> {
    let mut out: Vec<sock_filter> = rules.iter().flat_map(|rule| one(rule, wide)).collect();
    out.push(instruction(RETURN, otherwise, 0, 0));
    out
}

/// At most six conditions of six instructions: no jump is too far.
fn one(rule: &Rule, wide: bool) -> Vec<sock_filter> {
    let conditions: Vec<Vec<Line>> = rule.conditions.iter().map(|c| lines(c, wide)).collect();
    let length: usize = conditions.iter().map(Vec::len).sum();
    let mut out = Vec::with_capacity(length + 1);
    for condition in conditions {
        let holds = out.len() + condition.len();
        for line in condition {
            let next = out.len() + 1;
            let jump = |to: To| match to {
                To::Next => 0,
                To::Holds => (holds - next) as u8,
                To::Fails => (length + 1 - next) as u8,
            };
            out.push(instruction(line.code, line.k, jump(line.yes), jump(line.no)));
        }
    }
    out.push(instruction(RETURN, rule.give, 0, 0));
    out
}

fn lines(condition: &Condition, wide: bool) -> Vec<Line> {
    let low = ARGUMENTS + 8 * condition.argument;
    let value = match condition.compare {
        Compare::Masked(mask) => condition.value & mask,
        _ => condition.value,
    };
    let mut out = Vec::new();
    if wide {
        out.push(plain(LOAD, low + 4));
        upper(condition.compare, (value >> 32) as u32, &mut out);
    }
    out.push(plain(LOAD, low));
    lower(condition.compare, value as u32, &mut out);
    out
}

/// Decides by the upper half, or leaves it to the lower one.
fn upper(compare: Compare, value: u32, out: &mut Vec<Line>) {
    let mut add = |code, yes, no| out.push(Line { code, k: value, yes, no });
    match compare {
        Compare::Equal => add(IF_EQUAL, To::Next, To::Fails),
        Compare::NotEqual => add(IF_EQUAL, To::Next, To::Holds),
        Compare::AtLeast | Compare::Above => {
            add(IF_ABOVE, To::Holds, To::Next);
            add(IF_EQUAL, To::Next, To::Fails);
        }
        Compare::Below | Compare::AtMost => {
            add(IF_ABOVE, To::Fails, To::Next);
            add(IF_EQUAL, To::Next, To::Holds);
        }
        Compare::Masked(mask) => {
            out.push(plain(AND, (mask >> 32) as u32));
            out.push(Line { code: IF_EQUAL, k: value, yes: To::Next, no: To::Fails });
        }
    }
}

fn lower(compare: Compare, value: u32, out: &mut Vec<Line>) {
    if let Compare::Masked(mask) = compare {
        out.push(plain(AND, mask as u32));
    }
    let (code, yes, no) = match compare {
        Compare::Equal | Compare::Masked(_) => (IF_EQUAL, To::Holds, To::Fails),
        Compare::NotEqual => (IF_EQUAL, To::Fails, To::Holds),
        Compare::AtLeast => (IF_AT_LEAST, To::Holds, To::Fails),
        Compare::Above => (IF_ABOVE, To::Holds, To::Fails),
        Compare::Below => (IF_AT_LEAST, To::Fails, To::Holds),
        Compare::AtMost => (IF_ABOVE, To::Fails, To::Holds),
    };
    out.push(Line { code, k: value, yes, no });
}

fn plain(code: u16, k: u32) -> Line {
    Line { code, k, yes: To::Next, no: To::Next }
}

#[cfg(test)]
mod tests {
    use super::super::bpf::tests::{Call, run};
    use super::*;

    #[test]
    fn both_halves_count() {
        let numbers = [0, 1, 5, 6, 7, u64::from(u32::MAX), 1 << 32, (1 << 32) + 6, (1 << 33) + 1, u64::MAX];
        type Truth = fn(u64, u64) -> bool;
        let all: [(Compare, Truth); 7] = [
            (Compare::Equal, |a, b| a == b),
            (Compare::NotEqual, |a, b| a != b),
            (Compare::Below, |a, b| a < b),
            (Compare::AtMost, |a, b| a <= b),
            (Compare::AtLeast, |a, b| a >= b),
            (Compare::Above, |a, b| a > b),
            (Compare::Masked(0xff_0000_000f), |a, b| (a ^ b) & 0xff_0000_000f == 0),
        ];
        for (compare, truth) in all {
            for (given, value) in numbers.iter().flat_map(|a| numbers.iter().map(move |b| (*a, *b))) {
                let rule = Rule { conditions: vec![Condition { argument: 3, compare, value }], give: 7 };
                let mut call = Call::default();
                call.arguments[3] = given;
                let got = run(&program(std::slice::from_ref(&rule), 8, true), &call);
                assert_eq!(got == 7, truth(given, value), "{compare:?}: {given:#x} and {value:#x}");
                // A program of 32 bits has no upper half: -1 is one number, however long it was written.
                let got = run(&program(&[rule], 8, false), &call);
                let half = |number: u64| u64::from(number as u32);
                assert_eq!(got == 7, truth(half(given), half(value)), "{compare:?} narrow: {given:#x} and {value:#x}");
            }
        }
    }

    #[test]
    fn all_conditions_of_a_rule_and_the_first_rule_decide() {
        let at = |argument, value| Condition { argument, compare: Compare::Equal, value };
        let rules = [
            Rule { conditions: vec![at(0, 1), at(5, 2)], give: 10 },
            Rule { conditions: vec![at(0, 1)], give: 11 },
        ];
        let program = program(&rules, 12, true);
        let with = |first, last| run(&program, &Call { arguments: [first, 0, 0, 0, 0, last], ..Call::default() });
        assert_eq!([with(1, 2), with(1, 3), with(2, 2)], [10, 11, 12]);
    }
}
