//! Amounts of resources: `100m`, `1.5Gi`, `2e3` (upstream: `apimachinery/pkg/api/resource`).

use std::cmp::Ordering;
use std::fmt;

/// How the amount was written, and so how it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `k`, `M`, `G` … and `m`, `u`, `n`.
    DecimalSi,
    /// `Ki`, `Mi`, `Gi` …
    BinarySi,
    /// `e3`, `E6` …
    DecimalExponent,
}

/// An exact amount in billionths. Finer ones round up, away from zero, as upstream's do.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

/// Text that is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It does not look like one.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Form,
    /// It looks like one, with a suffix that there is not.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// There is no number.
    #[error("unable to parse numeric part of quantity")]
    Number,
}

const NANO: i128 = 1_000_000_000;
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

impl Quantity {
    /// Nothing, printed as `0`.
    pub const ZERO: Quantity = Quantity { nano: 0, format: Format::DecimalSi };

    /// A whole amount.
    pub fn from_units(units: i64, format: Format) -> Self {
        Quantity { nano: i128::from(units) * NANO, format }
    }

    /// An amount in thousandths.
    pub fn from_milli(milli: i64, format: Format) -> Self {
        Quantity { nano: i128::from(milli) * (NANO / 1000), format }
    }

    /// Reads the string form.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let digits_end = text
            .char_indices()
            .find(|(i, c)| !(c.is_ascii_digit() || *c == '.' || (*i == 0 && matches!(c, '+' | '-'))))
            .map_or(text.len(), |(i, _)| i);
        let (number, suffix) = text.split_at(digits_end);
        if text.is_empty() || !looks_like_suffix(suffix) {
            return Err(ParseError::Form);
        }
        let (format, factor_num, factor_den) = scale(suffix).ok_or(ParseError::Suffix)?;
        let (negative, number) = match number.as_bytes().first() {
            Some(b'-') => (true, &number[1..]),
            Some(b'+') => (false, &number[1..]),
            _ => (false, number),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') {
            return Err(ParseError::Form);
        }
        // Nothing is zero, where upstream takes its short way; on the long one it is no number.
        let long = format == Format::BinarySi && factor_num > 1 << 40 || factor_den > NANO;
        if whole.is_empty() && fraction.is_empty() && long {
            return Err(ParseError::Number);
        }
        let fraction = &fraction[..fraction.len().min(18)];
        // More digits than this are beyond every limit.
        let mantissa: i128 = format!("0{whole}{fraction}").parse().unwrap_or(i128::MAX);
        let denominator = factor_den * 10i128.pow(fraction.len() as u32);
        // Upstream clamps binary amounts to what an i64 can count.
        let limit = if format == Format::BinarySi { i128::from(i64::MAX) * NANO } else { i128::MAX >> 8 };
        let nano = match mantissa.checked_mul(factor_num).and_then(|n| n.checked_mul(NANO)) {
            Some(n) => (n / denominator + i128::from(n % denominator != 0)).min(limit),
            // A long number of small units, as such amounts are printed.
            None if NANO % denominator == 0 => {
                let up = factor_num.checked_mul(NANO / denominator);
                up.and_then(|up| mantissa.checked_mul(up)).unwrap_or(limit).min(limit)
            }
            None => limit,
        };
        Ok(Quantity { nano: if negative { -nano } else { nano }, format })
    }

    /// The text of a quantity as upstream prints what it has read: a text that looks canonical stays as it is, also where
    /// it is not.
    pub fn printed(text: &str) -> Result<String, ParseError> {
        let parsed = Quantity::parse(text)?;
        Ok(if looks_canonical(text) { text.to_owned() } else { parsed.to_string() })
    }

    /// Whole units, rounded away from zero.
    pub fn value(&self) -> i64 {
        self.ceil_div(NANO)
    }

    /// Thousandths, rounded away from zero.
    pub fn milli_value(&self) -> i64 {
        self.ceil_div(NANO / 1000)
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.nano == 0
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i32 {
        self.nano.signum() as i32
    }

    /// How it was written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The sum; printed as the left side, or as the right if the left is zero.
    pub fn plus(self, other: Quantity) -> Quantity {
        let format = if self.nano == 0 { other.format } else { self.format };
        Quantity { nano: self.nano.saturating_add(other.nano), format }
    }

    /// The difference, printed as the left side.
    pub fn minus(self, other: Quantity) -> Quantity {
        let format = if self.nano == 0 { other.format } else { self.format };
        Quantity { nano: self.nano.saturating_sub(other.nano), format }
    }

    fn ceil_div(&self, unit: i128) -> i64 {
        // Away from zero.
        let up = self.nano / unit + (self.nano % unit).signum();
        up.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }
}

/// Whether upstream keeps the text (`ParseQuantity`'s fast path): few digits, and a number that no other suffix fits better.
fn looks_canonical(text: &str) -> bool {
    const DIGITS: usize = 18;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if let Some((_, shift)) = BINARY.iter().find(|(s, _)| *s == suffix) {
        let room = 15 - whole.len() as i64 - i64::from(*shift) * 3 / 10 - 1;
        return fraction.is_empty() && room >= 0 && whole.parse::<u64>().is_ok_and(|n| n % 8 != 0);
    }
    let exponent = DECIMAL.iter().find(|(s, _)| *s == suffix).map(|(_, exponent)| *exponent);
    let exponent = exponent.or_else(|| suffix.strip_prefix(['e', 'E'])?.parse().ok());
    let Some(scale) = exponent.and_then(|e| e.checked_sub(i32::try_from(fraction.len()).ok()?)) else { return false };
    let digits = [whole, fraction].concat();
    let fits = digits.len() <= DIGITS && scale >= -9;
    text == "0" || fits && scale % 3 == 0 && !digits.ends_with("000") && !digits.starts_with('0')
}

/// Letters of suffixes, then perhaps a sign and digits.
fn looks_like_suffix(suffix: &str) -> bool {
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    rest.strip_prefix(['+', '-']).unwrap_or(rest).bytes().all(|b| b.is_ascii_digit())
}

/// (format, numerator, denominator) of a suffix.
fn scale(suffix: &str) -> Option<(Format, i128, i128)> {
    if let Some((_, shift)) = BINARY.iter().find(|(s, _)| *s == suffix) {
        return Some((Format::BinarySi, 1 << shift, 1));
    }
    if let Some((_, exponent)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        let (num, den) = power(*exponent);
        return Some((Format::DecimalSi, num, den));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    // Beyond these bounds the limits decide alone.
    let (num, den) = power(exponent.clamp(-20, 20));
    Some((Format::DecimalExponent, num, den))
}

fn power(exponent: i32) -> (i128, i128) {
    let magnitude = 10i128.pow(exponent.unsigned_abs());
    if exponent < 0 { (1, magnitude) } else { (magnitude, 1) }
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, the largest suffix that keeps the number whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        let whole = self.nano % NANO == 0;
        // Binary amounts below 1024 and fractions of them are printed in the decimal form.
        if self.format == Format::BinarySi && whole && (self.nano / NANO).abs() >= 1024 {
            let units = self.nano / NANO;
            let best = BINARY.iter().rev().find(|(_, shift)| units % (1 << shift) == 0);
            return match best {
                Some((suffix, shift)) => write!(f, "{}{suffix}", units >> shift),
                None => write!(f, "{units}"),
            };
        }
        for (suffix, exponent) in DECIMAL.iter().rev() {
            let unit = 10i128.pow((exponent + 9) as u32);
            if self.nano % unit == 0 {
                let number = self.nano / unit;
                return match self.format {
                    Format::DecimalExponent if *exponent != 0 => write!(f, "{number}e{exponent}"),
                    _ => write!(f, "{number}{suffix}"),
                };
            }
        }
        unreachable!("one billionth divides every amount")
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        for (text, want) in [
            ("0.5", "500m"), ("1500m", "1500m"), ("1000m", "1"), ("1024", "1024"), ("1024Ki", "1Mi"), ("1.5Gi", "1536Mi"),
            ("0.5Gi", "512Mi"), ("2000", "2k"), ("1e3", "1e3"), ("0Mi", "0"), ("-1", "-1"), ("100Mi", "100Mi"),
            ("1.1Ki", "1126400m"), ("512", "512"), (".5", "500m"), ("5.", "5"),
            ("1e-09", "1e-9"), ("1e-40", "1e-9"), ("+5", "5"), ("007", "7"), ("0e99", "0"),
            // Upstream takes what has no digits for nothing.
            ("e3", "0"), (".", "0"), ("M", "0"), ("-", "0"),
        ] {
            assert_eq!(Quantity::parse(text).map(|q| q.to_string()), Ok(want.to_owned()), "{text}");
        }
        use ParseError::{Form, Number, Suffix};
        for (bad, why) in
            [("", Form), ("x", Form), ("1.2.3", Form), ("1KiB", Form), ("1 Mi", Form), ("Pi", Number), ("e-10", Number), ("8Gi-", Suffix)]
        {
            assert_eq!(Quantity::parse(bad).err(), Some(why), "{bad:?}");
        }
    }

    #[test]
    fn what_looks_canonical_stays_as_it_is() {
        for (text, want) in [("007", "007"), ("+5", "+5"), ("1e30", "1e30"), ("0.5", "500m"), ("1000", "1k"), ("9Mi", "9Mi"), ("8Mi", "8Mi")] {
            assert_eq!(Quantity::printed(text).as_deref(), Ok(want));
        }
        assert_eq!(Quantity::printed("12345678901234567890").as_deref(), Ok("12345678901234567890"));
    }

    #[test]
    fn values_round_up() {
        let q = Quantity::parse("1500m").expect("parses");
        assert_eq!((q.value(), q.milli_value()), (2, 1500));
        assert_eq!(Quantity::parse("1n").map(|q| q.milli_value()), Ok(1));
        assert!(Quantity::parse("1Gi").ok() > Quantity::parse("1G").ok());
    }

    #[test]
    fn what_is_printed_is_read_as_the_same() {
        for text in ["-033337777777777777771.1606156", "1e21", "123456789012345678901.5", "333377777777777777771160615600n"] {
            let printed = Quantity::parse(text).expect("parses").to_string();
            assert_eq!(Quantity::parse(&printed).expect("parses").to_string(), printed, "{text}");
        }
    }

    #[test]
    fn sums_have_an_end() {
        let most = Quantity::parse("1e30").expect("parses");
        let sum = (0..1000).fold(most, |sum, _| sum.plus(most));
        assert_eq!((sum.sign(), sum.value()), (1, i64::MAX));
        assert_eq!((0..2000).fold(sum, |sum, _| sum.minus(most)).sign(), -1);
    }
}
