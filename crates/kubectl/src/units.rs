//! Values of flags as Go reads them, with its words for what it cannot read.

/// `strconv.ParseBool`.
pub fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing \"{text}\": invalid syntax")),
    }
}

/// `strconv.ParseInt` in base ten.
pub fn whole(text: &str) -> Result<i64, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse().map_err(|e: std::num::ParseIntError| match e.kind() {
        PosOverflow | NegOverflow => format!("strconv.ParseInt: parsing \"{text}\": value out of range"),
        _ => format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"),
    })
}

/// `time.ParseDuration` (`1h30m`, `10s`, `500ms`), in seconds.
pub fn duration(text: &str) -> Result<f64, String> {
    meta::duration::parse(text).map(|nanos| nanos as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::{duration, truth, whole};

    #[test]
    fn values_are_read_as_go_reads_them() {
        assert_eq!(duration("1h30m"), Ok(5400.0));
        assert_eq!(duration("500ms"), Ok(0.5));
        assert_eq!(duration("0"), Ok(0.0));
        assert_eq!(duration("10"), Err("time: missing unit in duration \"10\"".to_owned()));
        assert_eq!(duration("ten"), Err("time: invalid duration \"ten\"".to_owned()));
        assert_eq!(truth("T"), Ok(true));
        assert_eq!(whole("x"), Err("strconv.ParseInt: parsing \"x\": invalid syntax".to_owned()));
    }
}
