//! Feature gates (upstream: `component-base/featuregate`). What this program does is fixed: each gate stands as upstream
//! has it by default in this version, and saying so is all that can be said.

use anyhow::{Result, bail};

/// Upstream's gates: name, default, and whether it is locked to that.
const GATES: &str = include_str!("features.txt");
/// Gates that stand for many, and are off by default.
const GROUPS: &[&str] = &["AllAlpha", "AllBeta"];

/// Reads `NAME=true|false` pairs. An error says which cannot be had.
pub fn check(pairs: &[String]) -> Result<()> {
    for pair in pairs.iter().map(|pair| pair.trim()).filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=').map(|(name, value)| (name.trim(), value.trim())) else {
            bail!("missing bool value for {pair}");
        };
        let Some(wanted) = boolean(value) else {
            bail!("invalid value of {name}={value}, err: strconv.ParseBool: parsing {value:?}: invalid syntax");
        };
        let Some((default, is_locked)) = find(name) else { bail!("unrecognized feature gate: {name}") };
        if wanted != default {
            match is_locked {
                true => bail!("cannot set feature gate {name} to {wanted}, feature is locked to {default}"),
                false => bail!("cannot set feature gate {name} to {wanted}: this program has it at {default} alone"),
            }
        }
    }
    Ok(())
}

/// Default, and whether it is locked.
fn find(name: &str) -> Option<(bool, bool)> {
    if GROUPS.contains(&name) {
        return Some((false, false));
    }
    GATES.lines().find_map(|line| {
        let mut words = line.split(' ');
        (words.next() == Some(name)).then(|| (words.next() == Some("true"), words.next().is_some()))
    })
}

/// As Go reads one (`strconv.ParseBool`).
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_as_upstream_has_them() {
        let read = |pair: &str| check(&[pair.to_owned()]).map_err(|e| e.to_string());
        assert_eq!(read("WatchList=true"), Ok(()));
        assert_eq!(read("AllAlpha=false"), Ok(()));
        for (pair, why) in [
            ("Nothing=true", "unrecognized feature gate: Nothing"),
            ("WatchList", "missing bool value for WatchList"),
            ("WatchList=perhaps", "invalid value of WatchList=perhaps, err: strconv.ParseBool: parsing \"perhaps\": invalid syntax"),
            ("APIServerTracing=false", "cannot set feature gate APIServerTracing to false, feature is locked to true"),
            ("AllAlpha=true", "cannot set feature gate AllAlpha to true: this program has it at false alone"),
        ] {
            assert_eq!(read(pair), Err(why.to_owned()));
        }
    }

    #[test]
    fn the_table_is_one() {
        for line in GATES.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            assert!(matches!(words.as_slice(), [_, "true" | "false"] | [_, "true" | "false", "locked"]), "{line}");
        }
    }
}
