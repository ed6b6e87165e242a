//! Parts of moments and durations, in UTC or in a zone.

use super::{Library, Row, Run, method, mismatch};
use crate::cost::Cost;
use crate::value::time::Civil;
use crate::value::{Error, Outcome, Timestamp, Value};

macro_rules! parts {
    ($($name:literal, $overload:literal, $zoned:literal, $part:expr;)*) => {
        &[
            $(
                of($name, $overload, "timestamp", |args| part(args, $part)),
                of($name, $zoned, "timestamp, string", |args| part(args, $part)),
            )*
            of("getHours", "duration_to_hours", "duration", |args| span(args, 3_600_000_000_000)),
            of("getMinutes", "duration_to_minutes", "duration", |args| span(args, 60_000_000_000)),
            of("getSeconds", "duration_to_seconds", "duration", |args| span(args, 1_000_000_000)),
            of("getMilliseconds", "duration_to_milliseconds", "duration", |args| span(args, 1_000_000)),
        ]
    };
}

pub(super) const LIBRARY: Library = Library {
    name: "times",
    types: &["google.protobuf.Duration", "google.protobuf.Timestamp"],
    rows: parts! {
        "getFullYear", "timestamp_to_year", "timestamp_to_year_with_tz", |_, c| c.year;
        "getMonth", "timestamp_to_month", "timestamp_to_month_with_tz", |_, c| c.month - 1;
        "getDayOfYear", "timestamp_to_day_of_year", "timestamp_to_day_of_year_with_tz", |_, c| c.day_of_year;
        "getDayOfMonth", "timestamp_to_day_of_month", "timestamp_to_day_of_month_with_tz", |_, c| c.day - 1;
        "getDate", "timestamp_to_day_of_month_1_based", "timestamp_to_day_of_month_1_based_with_tz", |_, c| c.day;
        "getDayOfWeek", "timestamp_to_day_of_week", "timestamp_to_day_of_week_with_tz", |_, c| c.weekday;
        "getHours", "timestamp_to_hours", "timestamp_to_hours_with_tz", |_, c| c.hour;
        "getMinutes", "timestamp_to_minutes", "timestamp_to_minutes_with_tz", |_, c| c.minute;
        "getSeconds", "timestamp_to_seconds", "timestamp_to_seconds_tz", |_, c| c.second;
        "getMilliseconds", "timestamp_to_milliseconds", "timestamp_to_milliseconds_with_tz", |t, _| i64::from(t.nanos() / 1_000_000);
    },
};

const fn of(name: &'static str, overload: &'static str, args: &'static str, run: Run) -> Row {
    method(name, overload, args, "int", Cost::One, run)
}

fn part<'a>(args: &[Value<'a>], part: fn(&Timestamp, Civil) -> i64) -> Outcome<'a> {
    let (moment, offset) = match args {
        [Value::Timestamp(moment)] => (moment, 0),
        [Value::Timestamp(moment), Value::String(zone)] => (moment, offset(moment, zone)?),
        _ => return mismatch(),
    };
    Ok(Value::Int(part(moment, moment.civil(offset))))
}

fn span<'a>(args: &[Value<'a>], unit: i64) -> Outcome<'a> {
    match args {
        [Value::Duration(nanos)] => Ok(Value::Int(nanos / unit)),
        _ => mismatch(),
    }
}

/// Seconds from UTC at a moment in a zone: a name of the time zone database, or `-08:00`.
fn offset(moment: &Timestamp, zone: &str) -> Result<i64, Error> {
    if let Some((hours, minutes)) = zone.split_once(':') {
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let total = if zone.starts_with('-') { hours * 60 - minutes } else { hours * 60 + minutes };
        return Ok(total * 60);
    }
    if matches!(zone, "" | "UTC") {
        return Ok(0);
    }
    let unknown = || Error::made(format!("unknown time zone {zone}"));
    if zone.contains("..") || zone.starts_with(['/', '\\']) {
        return Err(Error::fixed("time: invalid location name"));
    }
    let zone = jiff::tz::TimeZone::get(zone).map_err(|_| unknown())?;
    let at = jiff::Timestamp::from_second(moment.seconds()).map_err(|_| unknown())?;
    Ok(i64::from(zone.to_offset(at).seconds()))
}

fn number(text: &str) -> Result<i64, Error> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number = text.parse::<i32>().ok().filter(|_| !digits.is_empty()).map(i64::from);
    number.ok_or_else(|| Error::made(format!("strconv.Atoi: parsing {}: invalid syntax", meta::text::quoted(text))))
}
