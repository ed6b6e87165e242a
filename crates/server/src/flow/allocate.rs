//! Divides seats among levels: each gets the same fraction of what it could use, within its own bounds (upstream:
//! `flowcontrol/conc_alloc.go`).

/// Targets are at least this much, so that nothing is divided by zero.
const LEAST: f64 = 0.001;

/// One who wants a share.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// What it could use.
    pub target: f64,
    /// What it gets in any case; not above `target`.
    pub low: f64,
    /// What it gets at most; not below `low`.
    pub high: f64,
}

impl Claim {
    fn at(&self, fraction: f64) -> f64 {
        (fraction * self.target.max(LEAST)).min(self.high).max(self.low)
    }
}

/// The shares, which add up to `sum` as far as the bounds let them, and the fraction of its target that whoever is at no
/// bound gets.
pub fn divide(sum: f64, claims: &[Claim]) -> (Vec<f64>, f64) {
    let shares = |fraction: f64| -> Vec<f64> { claims.iter().map(|claim| claim.at(fraction)).collect() };
    // What is given away grows with the fraction, and is straight between the fractions at which somebody meets a bound.
    let bounds = claims.iter().flat_map(|c| [c.low / c.target.max(LEAST), c.high / c.target.max(LEAST)]);
    let mut corners: Vec<f64> = bounds.filter(|corner| corner.is_finite()).collect();
    corners.sort_by(f64::total_cmp);
    let given = |fraction: f64| shares(fraction).iter().sum::<f64>();
    let Some(above) = corners.iter().position(|corner| given(*corner) >= sum) else {
        let last = corners.last().copied().unwrap_or(0.0);
        return (shares(last), last);
    };
    let high = corners[above];
    let low = if above == 0 { 0.0 } else { corners[above - 1] };
    let (least, most) = (given(low), given(high));
    let fraction = if (most - least).abs() < f64::EPSILON { high } else { low + (high - low) * (sum - least) / (most - least) };
    let fraction = fraction.clamp(low, high);
    (shares(fraction), fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(low: f64, target: f64, high: f64) -> Claim {
        Claim { target, low, high }
    }

    fn near(got: &[f64], wanted: &[f64]) -> bool {
        got.len() == wanted.len() && got.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6)
    }

    #[test]
    fn everybody_gets_the_same_fraction_unless_a_bound_is_met() {
        let (shares, fraction) = divide(30.0, &[claim(0.0, 10.0, 100.0), claim(0.0, 20.0, 100.0)]);
        assert!(near(&shares, &[10.0, 20.0]) && (fraction - 1.0).abs() < 1e-9, "{shares:?} {fraction}");
        let (shares, _) = divide(60.0, &[claim(0.0, 10.0, 12.0), claim(0.0, 20.0, 100.0)]);
        assert!(near(&shares, &[12.0, 48.0]), "{shares:?}");
        let (shares, _) = divide(15.0, &[claim(9.0, 10.0, 12.0), claim(0.0, 20.0, 100.0)]);
        assert!(near(&shares, &[9.0, 6.0]), "{shares:?}");
    }

    #[test]
    fn bounds_hold_where_the_sum_cannot_be_met() {
        let claims = [claim(5.0, 10.0, 12.0), claim(5.0, 5.0, 6.0)];
        assert!(near(&divide(3.0, &claims).0, &[5.0, 5.0]));
        assert!(near(&divide(99.0, &claims).0, &[12.0, 6.0]));
        assert!(divide(10.0, &[]).0.is_empty());
    }

    #[test]
    fn who_wants_nothing_still_shares_what_is_left() {
        let (shares, _) = divide(10.0, &[claim(0.0, 0.0, 10.0), claim(0.0, 0.0, 10.0)]);
        assert!(near(&shares, &[5.0, 5.0]), "{shares:?}");
    }
}
