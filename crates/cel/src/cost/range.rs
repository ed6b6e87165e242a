//! From least to most; sums and products stop at the largest number.

/// A number that lies between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

impl Range {
    /// Nothing is known.
    pub const UNKNOWN: Range = Range { min: 0, max: u64::MAX };

    /// A number that is known.
    pub const fn fixed(value: u64) -> Range {
        Range { min: value, max: value }
    }

    pub(crate) fn plus(self, other: Range) -> Range {
        Range { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    pub(crate) fn times(self, other: Range) -> Range {
        Range { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    /// Times a factor, rounded up.
    pub(crate) fn factor(self, factor: f64) -> Range {
        // The conversion stops at the largest number, too.
        let one = |value: u64| (value as f64 * factor).ceil() as u64;
        Range { min: one(self.min), max: one(self.max) }
    }

    /// What lies in one or the other.
    pub(crate) fn union(self, other: Range) -> Range {
        Range { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}
