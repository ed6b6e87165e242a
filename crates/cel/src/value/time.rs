//! Moments and durations as Go reads, computes and prints them (upstream: cel-go `common/types/timestamp.go`).

use super::Error;

/// Seconds of `0001-01-01T00:00:00Z` and of `9999-12-31T23:59:59Z` since 1970.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;
const NANOS: i64 = 1_000_000_000;
const OVERFLOW: Error = Error::fixed("timestamp overflow");

/// A moment, and how far from UTC it was written.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
    offset: i32,
}

impl Timestamp {
    /// Seconds since 1970 in UTC, nanoseconds of the second.
    pub fn new(seconds: i64, nanos: u32) -> Result<Self, Error> {
        if (FIRST..=LAST).contains(&seconds) { Ok(Timestamp { seconds, nanos, offset: 0 }) } else { Err(OVERFLOW) }
    }

    /// Reads RFC 3339 as Go's `time.Parse` does.
    pub fn parse(text: &str) -> Option<Result<Self, Error>> {
        let (seconds, nanos, offset) = read(text)?;
        Some(Timestamp::new(seconds, nanos).map(|moment| Timestamp { offset, ..moment }))
    }

    /// Seconds since 1970 and nanoseconds: what is compared.
    pub fn instant(&self) -> (i64, u32) {
        (self.seconds, self.nanos)
    }

    /// Seconds since 1970.
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds of its second.
    pub fn nanos(&self) -> u32 {
        self.nanos
    }

    /// Whether it is the first moment.
    pub fn is_zero(&self) -> bool {
        self.instant() == (FIRST, 0)
    }

    /// The moment some nanoseconds later.
    pub fn plus(&self, nanos: i64) -> Result<Self, Error> {
        let total = i128::from(self.seconds) * i128::from(NANOS) + i128::from(self.nanos) + i128::from(nanos);
        let seconds = i64::try_from(total.div_euclid(i128::from(NANOS))).map_err(|_| OVERFLOW)?;
        let moment = Timestamp::new(seconds, total.rem_euclid(i128::from(NANOS)) as u32)?;
        Ok(Timestamp { offset: self.offset, ..moment })
    }

    /// The nanoseconds since another moment.
    pub fn since(&self, other: &Timestamp) -> Result<i64, Error> {
        let seconds = i128::from(self.seconds) - i128::from(other.seconds);
        let total = seconds * i128::from(NANOS) + i128::from(self.nanos) - i128::from(other.nanos);
        i64::try_from(total).map_err(|_| Error::fixed("duration overflow"))
    }

    /// Year, month, day, hour, minute, second at a distance from UTC in seconds.
    pub fn civil(&self, offset: i64) -> Civil {
        Civil::of(self.seconds + offset)
    }

    fn written(&self, dateless: &str) -> (String, String) {
        let c = self.civil(i64::from(self.offset));
        let date = format!("{:04}-{:02}-{:02}", c.year, c.month, c.day);
        let mut time = format!("{dateless}{:02}:{:02}:{:02}", c.hour, c.minute, c.second);
        if self.nanos > 0 {
            let fraction = format!("{:09}", self.nanos);
            time = format!("{time}.{}", fraction.trim_end_matches('0'));
        }
        (date, time)
    }

    /// As Go's `%v` shows it.
    pub(crate) fn debug(&self) -> String {
        let (date, time) = self.written(" ");
        let minutes = self.offset / 60;
        let zone = format!("{}{:02}{:02}", if minutes < 0 { '-' } else { '+' }, minutes.abs() / 60, minutes.abs() % 60);
        format!("{date}{time} {zone} {}", if self.offset == 0 { "UTC" } else { &zone })
    }
}

/// RFC 3339, in the zone in which it was read.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (date, time) = self.written("T");
        let minutes = self.offset / 60;
        match minutes {
            0 => write!(f, "{date}{time}Z"),
            _ => {
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(f, "{date}{time}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }
}

/// A date and a time of day.
#[derive(Clone, Copy, Debug)]
pub struct Civil {
    /// The year.
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
    /// Of the day.
    pub hour: i64,
    /// Of the hour.
    pub minute: i64,
    /// Of the minute.
    pub second: i64,
    /// From 0.
    pub day_of_year: i64,
    /// Sunday is 0.
    pub weekday: i64,
}

impl Civil {
    fn of(seconds: i64) -> Civil {
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Days from the first of March of year 0, in eras of 400 years.
        let z = days + 719_468;
        let (era, of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let from_march = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * from_march + 2) / 153;
        let day = from_march - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Civil {
            year,
            month,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            day_of_year: days - days_to(year, 1, 1),
            weekday: (days + 4).rem_euclid(7),
        }
    }
}

/// Days from 1970 to a date.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + from_march - 719_468
}

fn days_in(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_to(next_year, next, 1) - days_to(year, month, 1)
}

struct Reader<'t>(&'t [u8]);

impl Reader<'_> {
    fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self.0.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        (count >= least).then(|| digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
    }

    fn sign(&mut self, sign: u8) -> Option<()> {
        let rest = self.0.strip_prefix(&[sign])?;
        self.0 = rest;
        Some(())
    }
}

/// Seconds since 1970, nanoseconds, seconds from UTC.
fn read(text: &str) -> Option<(i64, u32, i32)> {
    let mut r = Reader(text.as_bytes());
    let year = r.digits(4, 4)?;
    r.sign(b'-')?;
    let month = r.digits(2, 2)?;
    r.sign(b'-')?;
    let day = r.digits(2, 2)?;
    r.sign(b'T')?;
    let hour = r.digits(1, 2)?;
    r.sign(b':')?;
    let minute = r.digits(2, 2)?;
    r.sign(b':')?;
    let second = r.digits(2, 2)?;
    let mut nanos = 0;
    if r.sign(b'.').or_else(|| r.sign(b',')).is_some() {
        let count = r.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = r.0.split_at(count);
        r.0 = rest;
        if digits.is_empty() {
            return None;
        }
        let padded: String = digits.iter().map(|b| char::from(*b)).chain("000000000".chars()).take(9).collect();
        nanos = padded.parse().ok()?;
    }
    let offset = if r.sign(b'Z').is_some() {
        0
    } else {
        let negative = r.sign(b'-').is_some();
        if !negative {
            r.sign(b'+')?;
        }
        let hours = r.digits(2, 2)?;
        r.sign(b':')?;
        let minutes = r.digits(2, 2)?;
        if hours > 24 || minutes > 60 {
            return None;
        }
        (hours * 3600 + minutes * 60) * if negative { -1 } else { 1 }
    };
    let sound = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !r.0.is_empty() || !sound || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_to(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some((seconds, nanos, i32::try_from(offset).ok()?))
}

/// A duration in seconds, as conversions to text and messages print it.
pub fn seconds(nanos: i64) -> String {
    let (whole, rest) = (nanos / NANOS, nanos % NANOS);
    format!("{}s", whole as f64 + rest as f64 / 1e9)
}

/// A duration as Go's `Duration.String` prints it: `1h0m1.5s`.
pub fn go_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let total = nanos.unsigned_abs();
    let unit = |value: f64, name: &str| format!("{sign}{value}{name}");
    match total {
        0 => "0s".to_owned(),
        1..1_000 => unit(total as f64, "ns"),
        1_000..1_000_000 => unit(total as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => unit(total as f64 / 1e6, "ms"),
        _ => {
            let (whole, nanos) = (total / 1_000_000_000, total % 1_000_000_000);
            let fraction = if nanos == 0 { String::new() } else { format!(".{}", format!("{nanos:09}").trim_end_matches('0')) };
            let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
            let hours_shown = if hours > 0 { format!("{hours}h") } else { String::new() };
            let minutes_shown = if hours > 0 || minutes > 0 { format!("{minutes}m") } else { String::new() };
            format!("{sign}{hours_shown}{minutes_shown}{seconds}{fraction}s")
        }
    }
}
