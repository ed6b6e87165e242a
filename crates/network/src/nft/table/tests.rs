//! What the kernel makes of plans, in a network namespace of the test's own. Needs root.

use std::borrow::Cow;

use nix::sched::{CloneFlags, unshare};

use super::*;
use crate::nft::{Base, Elements, Family, Field, Hook, Rule, Says, Set, SharedChain, Value, Verdict};

fn test_table() -> TableName {
    TableName { family: Family::Ipv4, name: "test".to_owned() }
}

/// A plan: an address in the one set, and whether there is something that no kernel takes.
#[derive(Clone, Debug, PartialEq)]
struct Plan {
    address: u8,
    spoiled: bool,
}

struct Addresses;

impl Layout for Addresses {
    type Owner = u32;
    type Plan = Plan;
    type Shared = u8;

    fn table(&self) -> TableName {
        test_table()
    }

    fn base(&self) -> Base {
        let hook = Hook { kind: "filter", number: 1, priority: 0 };
        let set = Set::new(&[Field::Address], Says::Nothing);
        let classes = Set::new(&[Field::Address], Says::Verdict);
        let chains = vec![("in", Some(hook), vec![])];
        Base { sets: vec![("addresses", set), ("classes", classes)], chains, elements: Elements::new() }
    }

    fn part(&self, plan: &Plan) -> Part<u8> {
        let mut part = Part::default();
        part.elements.insert((Cow::Borrowed("addresses"), vec![10, 0, 0, plan.address], false), Value::Nothing);
        part.shared.insert(plan.address % 2);
        let class = Verdict::Goto(format!("class-{}", plan.address % 2));
        part.elements.insert((Cow::Borrowed("classes"), vec![10, 0, 0, plan.address], false), Value::Verdict(class));
        if plan.spoiled {
            part.chains.insert("x".repeat(300), Vec::new());
        }
        part
    }

    fn shared(&self, shared: &u8) -> SharedChain {
        SharedChain { name: format!("class-{shared}"), rules: vec![Rule::new().then(&Verdict::Accept)] }
    }
}

fn plan(address: u8) -> Option<Plan> {
    Some(Plan { address, spoiled: false })
}

fn spoiled(address: u8) -> Option<Plan> {
    Some(Plan { address, spoiled: true })
}

/// Whether an element is there: one that is cannot be made again.
fn is_there(address: u8) -> bool {
    let mut batch = Batch::new(test_table());
    let mut elements = Elements::new();
    elements.insert((Cow::Borrowed("addresses"), vec![10, 0, 0, address], false), Value::Nothing);
    difference::added(&mut batch, &Elements::new(), &elements);
    match Connection::open().expect("netlink").send(&mut batch) {
        Err(Error::Refused(messages)) => {
            assert_eq!(messages[0].1.raw_os_error(), Some(libc::EEXIST));
            true
        }
        other => {
            other.expect("taken");
            let mut undo = Batch::new(test_table());
            difference::lists(&mut undo, Message::DeleteElement, elements.keys().map(|p| (p, Value::Nothing)));
            Connection::open().expect("netlink").send(&mut undo).expect("undone");
            false
        }
    }
}

fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("root");
        test();
    });
    thread.join().expect("the test");
}

fn refused(outcome: io::Result<Outcome<Addresses>>) -> Vec<u32> {
    let mut owners: Vec<u32> = outcome.expect("a table").refused.into_iter().map(|((owner, _), _)| owner).collect();
    owners.sort_unstable();
    owners
}

#[test]
fn what_is_wrong_with_one_hurts_only_that_one() {
    in_namespace(|| {
        let mut table = Table::new(Addresses);
        // At the first call, which makes the table …
        let changes = (1..100).map(|n| (n, if n % 40 == 7 { spoiled(n as u8) } else { plan(n as u8) })).collect();
        assert_eq!(refused(table.change(changes)), [7, 47, 87]);
        assert!((1..100).all(|n| is_there(n) == (n % 40 != 7)));
        // … and at a later one; who had something before keeps it.
        let changes = vec![(1, spoiled(201)), (2, plan(202)), (7, plan(7))];
        assert_eq!(refused(table.change(changes)), [1]);
        assert_eq!([1, 201, 2, 202, 7].map(is_there), [true, false, false, true, true]);
        // All of them wrong.
        assert_eq!(refused(table.change(vec![(1, spoiled(1)), (3, spoiled(3))])), [1, 3]);
        assert!(is_there(1) && is_there(3));
    });
}

#[test]
fn a_table_of_nothing_but_wrong_plans_is_still_made() {
    in_namespace(|| {
        let mut table = Table::new(Addresses);
        assert_eq!(refused(table.change(vec![(1, spoiled(1)), (2, spoiled(2))])), [1, 2]);
        assert!(refused(table.change(vec![(3, plan(3))])).is_empty());
        assert_eq!([1, 2, 3].map(is_there), [false, false, true]);
    });
}

#[test]
fn a_key_changes_hands_in_one_transaction() {
    in_namespace(|| {
        let mut table = Table::new(Addresses);
        assert!(refused(table.change(vec![(1, plan(5))])).is_empty());
        assert!(refused(table.change(vec![(2, plan(5)), (1, plan(6))])).is_empty());
        assert!(is_there(5) && is_there(6));
        // What is shared goes with the last who uses it, and comes back.
        assert!(refused(table.change(vec![(1, None), (2, None)])).is_empty());
        assert!(table.shared.is_empty() && table.retired.chains.is_empty());
        assert!(refused(table.change(vec![(1, plan(5))])).is_empty());
    });
}

#[test]
fn a_table_that_somebody_else_removed_is_made_anew() {
    in_namespace(|| {
        let mut table = Table::new(Addresses);
        assert!(refused(table.change(vec![(1, plan(1)), (2, plan(2))])).is_empty());
        assert!(remove(test_table()).expect("removed"));
        assert_eq!(refused(table.change(vec![(3, plan(3))])), [3], "not twice in a moment");
        table.made = table.made.and_then(|at| at.checked_sub(ANEW_AFTER * 2));
        assert!(refused(table.change(vec![(3, plan(3))])).is_empty());
        assert!(is_there(1) && is_there(2) && is_there(3));
        // A new process replaces what the old one left.
        let mut table = Table::new(Addresses);
        assert!(refused(table.change(vec![(2, plan(9))])).is_empty());
        assert_eq!([1, 2, 3, 9].map(is_there), [false, false, false, true]);
    });
}
