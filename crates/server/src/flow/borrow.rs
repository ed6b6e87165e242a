//! How many seats each level has for the next while (upstream: `apf_controller.go`, `updateBorrowingLocked`): who needs
//! more than its own borrows what others do not use. Pure.

use super::allocate::{Claim, divide};
use super::config::Seats;
use super::demand::Demand;

/// A level as the division sees it.
#[derive(Clone, Copy, Debug)]
pub struct Party {
    /// What it is entitled to.
    pub seats: Seats,
    /// What it could have used.
    pub demand: Demand,
    /// Whether it takes seats without asking.
    pub exempt: bool,
}

/// The new division.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Division {
    /// Seats of each level, in order.
    pub seats: Vec<u32>,
    /// What each wanted.
    pub targets: Vec<f64>,
    /// The part of its target that a level gets which is at none of its bounds.
    pub fraction: f64,
}

impl Party {
    /// What it used, as far as it is its own.
    fn floor(&self) -> u32 {
        let highest = self.demand.period.highest.max(0.0) as u32;
        let used = if self.exempt { highest } else { highest.min(self.seats.nominal) };
        self.seats.least.max(used)
    }

    fn target(&self) -> f64 {
        f64::from(self.floor()).max(self.demand.smoothed)
    }
}

/// Divides all seats anew.
pub fn divide_seats(parties: &[Party]) -> Division {
    let total: u32 = parties.iter().map(|p| p.seats.nominal).sum();
    let bound: Vec<&Party> = parties.iter().filter(|p| !p.exempt).collect();
    let taken: u32 = parties.iter().filter(|p| p.exempt).map(Party::floor).sum();
    let left = i64::from(total) - i64::from(taken);
    let least: u32 = bound.iter().map(|p| p.seats.least).sum();
    let used: u32 = bound.iter().map(|p| p.floor()).sum();
    let mut fraction = 0.0;
    let given: Vec<u32> = if left <= i64::from(least) {
        bound.iter().map(|p| p.seats.least).collect()
    } else if left <= i64::from(used) {
        let part = (left - i64::from(least)) as f64 / f64::from(used - least);
        let more = |p: &Party| (f64::from(p.floor() - p.seats.least) * part).round() as u32;
        bound.iter().map(|p| p.seats.least + more(p)).collect()
    } else {
        let claim = |p: &&Party| Claim { target: p.target(), low: f64::from(p.floor()), high: f64::from(p.seats.most) };
        let claims: Vec<Claim> = bound.iter().map(claim).collect();
        let (shares, of_target) = divide(f64::from(total), &claims);
        fraction = of_target;
        shares.iter().map(|share| share.round() as u32).collect()
    };
    let mut given = given.into_iter();
    let seats = parties.iter().map(|p| if p.exempt { p.floor() } else { given.next().unwrap_or(p.seats.least) });
    Division { seats: seats.collect(), targets: parties.iter().map(Party::target).collect(), fraction }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::demand::Period;

    fn party(nominal: u32, least: u32, most: u32) -> Party {
        Party { seats: Seats { nominal, least, most, widest: 0 }, demand: Demand::default(), exempt: false }
    }

    fn wants(mut party: Party, seats: f64) -> Party {
        party.demand.update(Period { seconds: 10.0, average: seats, deviation: 0.0, highest: seats });
        party
    }

    #[test]
    fn who_wants_more_borrows_and_gives_back() {
        let (idle, busy) = (party(100, 10, 700), wants(party(50, 25, 650), 200.0));
        let division = divide_seats(&[idle, busy]);
        assert!(division.seats[1] > 130 && division.seats.iter().sum::<u32>() == 150, "{division:?}");
        let division = divide_seats(&[wants(idle, 100.0), busy]);
        assert_eq!(division.seats, [100, 50], "the lender has its own again when it needs it");
    }

    #[test]
    fn borrowing_has_its_bound() {
        let division = divide_seats(&[party(100, 10, 700), wants(party(50, 25, 60), 200.0)]);
        assert_eq!(division.seats, [90, 60]);
    }

    #[test]
    fn exempt_requests_take_what_they_need_from_the_others() {
        let mut exempt = wants(party(0, 0, 600), 100.0);
        exempt.exempt = true;
        let division = divide_seats(&[exempt, wants(party(100, 40, 700), 100.0), party(50, 20, 650)]);
        assert_eq!(division.seats[0], 100);
        assert_eq!(division.seats[1..], [40, 20]);
    }
}
