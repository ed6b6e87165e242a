//! Who has what only one can have. The kernel refuses a key that exists twice, so that it is settled before: the
//! stronger right wins, then the older object, then the name. Pure; a change costs what it touches.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::plan::{Claim, Owner, Right};

/// Since when somebody is there: nanoseconds since 1970.
pub(super) type Since = i128;

/// One who claims something; the least has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Holder {
    right: Right,
    since: Since,
    owner: Owner,
}

/// All claims of this node.
#[derive(Debug, Default)]
pub(super) struct Claims {
    holders: HashMap<Claim, BTreeSet<Holder>>,
    claims: HashMap<Owner, (Since, Vec<(Claim, Right)>)>,
}

impl Claims {
    /// Takes in what an owner claims from now on, in order and without doubles. Says for whom else something
    /// changes by it: who has lost something to this one, or has got it back.
    pub(super) fn set(&mut self, owner: &Owner, since: Since, claims: Vec<(Claim, Right)>) -> BTreeSet<Owner> {
        let (old_since, old) = self.claims.remove(owner).unwrap_or((since, Vec::new()));
        let has = |list: &[(Claim, Right)], one: &(Claim, Right)| old_since == since && list.binary_search(one).is_ok();
        let gone = old.iter().filter(|one| !has(&claims, one)).map(|(claim, right)| (*claim, *right, old_since, false));
        let come = claims.iter().filter(|one| !has(&old, one)).map(|(claim, right)| (*claim, *right, since, true));
        let mut before: BTreeMap<Claim, Option<Owner>> = BTreeMap::new();
        for (claim, right, since, comes) in gone.chain(come) {
            let holders = self.holders.entry(claim).or_default();
            before.entry(claim).or_insert_with(|| holders.first().map(|h| h.owner.clone()));
            let holder = Holder { right, since, owner: owner.clone() };
            if comes { holders.insert(holder) } else { holders.remove(&holder) };
            if holders.is_empty() {
                self.holders.remove(&claim);
            }
        }
        let touched = before.into_iter().flat_map(|(claim, before)| {
            let after = self.holder(&claim).cloned();
            if before == after { [None, None] } else { [before, after] }
        });
        let touched = touched.flatten().filter(|other| other != owner).collect();
        if !claims.is_empty() {
            self.claims.insert(owner.clone(), (since, claims));
        }
        touched
    }

    /// Who has it.
    pub(super) fn holder(&self, claim: &Claim) -> Option<&Owner> {
        self.holders.get(claim)?.first().map(|holder| &holder.owner)
    }

    /// What an owner claims and somebody else has.
    pub(super) fn lost<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = (&'a Claim, &'a Owner)> {
        let claims = self.claims.get(owner).map(|(_, claims)| claims.as_slice()).unwrap_or_default();
        claims.iter().filter_map(move |(claim, _)| Some((claim, self.holder(claim).filter(|holder| *holder != owner)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::Key;
    use std::net::Ipv4Addr;

    fn service(name: &str) -> Owner {
        Owner::Service(Key::new("d", name))
    }

    fn at(last: u8) -> Claim {
        Claim::Address(Ipv4Addr::new(192, 0, 2, last), 6, 80)
    }

    #[test]
    fn the_older_wins_and_the_other_gets_it_back() {
        let mut claims = Claims::default();
        let (a, b) = (service("a"), service("b"));
        assert!(claims.set(&b, 5, vec![(at(1), Right::Asked), (at(2), Right::Asked)]).is_empty());
        assert_eq!(claims.set(&a, 3, vec![(at(1), Right::Asked)]), BTreeSet::from([b.clone()]), "b loses to an older one");
        assert_eq!(claims.lost(&b).collect::<Vec<_>>(), [(&at(1), &a)]);
        assert_eq!(claims.lost(&a).count(), 0);
        assert_eq!(claims.set(&a, 3, Vec::new()), BTreeSet::from([b.clone()]), "b gets it back");
        assert_eq!(claims.lost(&b).count(), 0);
        assert!(claims.set(&b, 5, vec![]).is_empty());
        assert!(claims.holders.is_empty() && claims.claims.is_empty(), "nothing is left");
    }

    #[test]
    fn an_own_address_beats_an_older_wish_and_names_settle_the_rest() {
        let mut claims = Claims::default();
        let (a, b, c) = (service("a"), service("b"), service("c"));
        claims.set(&a, 1, vec![(at(1), Right::Asked)]);
        assert_eq!(claims.set(&b, 9, vec![(at(1), Right::Own)]), BTreeSet::from([a.clone()]));
        assert_eq!(claims.holder(&at(1)), Some(&b));
        claims.set(&c, 1, vec![(at(1), Right::Asked)]);
        assert_eq!(claims.set(&b, 9, vec![]), BTreeSet::from([a.clone()]), "of one age the name decides");
        assert_eq!(claims.lost(&c).next(), Some((&at(1), &a)));
    }

    #[test]
    fn what_does_not_change_touches_nobody() {
        let mut claims = Claims::default();
        let (a, b) = (service("a"), service("b"));
        claims.set(&a, 1, vec![(at(1), Right::Asked)]);
        claims.set(&b, 2, vec![(at(1), Right::Asked), (at(2), Right::Asked)]);
        assert!(claims.set(&b, 2, vec![(at(1), Right::Asked), (at(3), Right::Asked)]).is_empty());
        assert_eq!(claims.set(&b, 0, vec![(at(1), Right::Asked)]), BTreeSet::from([a]), "made anew under the name");
    }
}
