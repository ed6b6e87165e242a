//! Flags as upstream's: a boolean flag takes `=false`, a wrong flag ends with exit code 1.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches};

use crate::failure::Failure;

/// A boolean flag: `--name`, `--name=true`, `--name=false`.
pub fn switch(name: &'static str, default: bool, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .num_args(0..=1)
        .require_equals(true)
        .value_parser(clap::value_parser!(bool))
        .default_missing_value("true")
        .default_value(if default { "true" } else { "false" })
        .action(ArgAction::Set)
        .help(help)
}

/// A flag with a text value.
pub fn text(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).allow_hyphen_values(true).help(help)
}

/// Any number of plain arguments.
pub fn rest(name: &'static str) -> Arg {
    Arg::new(name).num_args(0..)
}

/// `-f`, any number of times.
pub fn files() -> Arg {
    Arg::new("filename")
        .long("filename")
        .short('f')
        .action(ArgAction::Append)
        .value_delimiter(',')
        .allow_hyphen_values(true)
        .help("Files, directories, or - for stdin")
}

/// Whether a boolean flag is set; false also where the command has no such flag.
pub fn on(matches: &ArgMatches, name: &str) -> bool {
    matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false)
}

/// The value of a text flag, if it was given.
pub fn value<'m>(matches: &'m ArgMatches, name: &str) -> Option<&'m str> {
    matches.try_get_one::<String>(name).ok().flatten().map(String::as_str)
}

/// All values of an argument.
pub fn values(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.try_get_many::<String>(name).ok().flatten().map(|v| v.cloned().collect()).unwrap_or_default()
}

/// What upstream says of a command line that cannot be parsed.
pub fn refused(error: &clap::Error, arguments: &[String]) -> Result<(), Failure> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
        print!("{error}");
        return Ok(());
    }
    let command = arguments.iter().find(|a| !a.starts_with('-')).cloned().unwrap_or_default();
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let message = match error.kind() {
        ErrorKind::UnknownArgument => {
            let flag = text(ContextKind::InvalidArg);
            match flag.strip_prefix("--") {
                Some(_) => format!("unknown flag: {flag}\nSee 'kubectl {command} --help' for usage."),
                None => format!("unknown shorthand flag: {flag}\nSee 'kubectl {command} --help' for usage."),
            }
        }
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand);
            format!("unknown command \"{name}\" for \"kubectl\"")
        }
        _ => error.to_string().trim_start_matches("error: ").trim_end().to_owned(),
    };
    Err(Failure::Message(message))
}

/// A Go duration (`1h30m`, `10s`, `500ms`) in seconds; a bare number is seconds.
pub fn duration(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds);
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn go_durations() {
        assert_eq!(duration("1h30m"), Some(5400.0));
        assert_eq!(duration("500ms"), Some(0.5));
        assert_eq!(duration("10"), Some(10.0));
        assert_eq!(duration("ten"), None);
    }
}
