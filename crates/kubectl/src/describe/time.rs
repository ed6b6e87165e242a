//! Points in time and ages.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::tree::text;

/// `Mon, 02 Jan 2006 15:04:05 -0700` in the local time zone; the year 1 if there is no time.
pub fn date(value: &Value) -> String {
    match meta::time::parse(text(value)) {
        Some(at) => at.to_zoned(TimeZone::system()).strftime("%a, %d %b %Y %H:%M:%S %z").to_string(),
        None => "Mon, 01 Jan 0001 00:00:00 +0000".to_owned(),
    }
}

/// The time since then: `5m`; `<unknown>` if there is no time.
pub fn since(value: &Value) -> String {
    let Some(at) = meta::time::parse(text(value)) else { return "<unknown>".to_owned() };
    let passed = Timestamp::now().duration_since(at);
    // Whole seconds, cut towards zero, as a conversion to int does in Go.
    meta::time::human(passed.as_secs())
}
