//! Flags as upstream's: a boolean flag takes `=false`, a repeated flag counts with its last value, a wrong
//! flag ends with exit code 1 and pflag's words.

use std::error::Error;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::failure::Failure;
use crate::units;

/// A boolean flag: `--name`, `--name=true`, `--name=false`.
pub fn switch(name: &'static str, default: bool, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .num_args(0..=1)
        .require_equals(true)
        .value_parser(units::truth)
        .default_missing_value("true")
        .default_value(if default { "true" } else { "false" })
        .action(ArgAction::Set)
        .help(help)
}

/// A flag with a text value.
pub fn text(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).allow_hyphen_values(true).help(help)
}

/// A flag with a whole number; read it with [`number_of`].
pub fn number(name: &'static str, help: &'static str) -> Arg {
    text(name, help).value_parser(units::whole)
}

/// A flag with a Go duration; read it with [`seconds_of`].
pub fn time(name: &'static str, help: &'static str) -> Arg {
    text(name, help).value_parser(units::duration)
}

/// A flag that may be repeated, each time with one value.
pub fn several(name: &'static str, help: &'static str) -> Arg {
    text(name, help).action(ArgAction::Append)
}

/// Any number of plain arguments.
pub fn rest(name: &'static str) -> Arg {
    Arg::new(name).num_args(0..)
}

/// `-f`, any number of times.
pub fn files() -> Arg {
    several("filename", "Files, directories, or - for stdin").short('f').value_delimiter(',')
}

/// `-R`.
pub fn recursive() -> Arg {
    switch("recursive", false, "Directories below the named ones too").short('R')
}

/// `--dry-run`.
pub fn dry_run() -> Arg {
    text("dry-run", "none, client or server")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("unchanged")
        .default_value("none")
}

/// `-o`.
pub fn output() -> Arg {
    text("output", "name, yaml, json, jsonpath=...").short('o')
}

/// `--validate`.
pub fn validate() -> Arg {
    text("validate", "strict, warn or ignore").num_args(0..=1).require_equals(true).default_missing_value("strict")
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

/// The value of a flag with a whole number.
pub fn number_of(matches: &ArgMatches, name: &str) -> Option<i64> {
    matches.try_get_one::<i64>(name).ok().flatten().copied()
}

/// The value of a flag with a duration.
pub fn seconds_of(matches: &ArgMatches, name: &str) -> Option<f64> {
    matches.try_get_one::<f64>(name).ok().flatten().copied()
}

/// `--dry-run` as it counts: `none`, `client` or `server`.
pub fn dry_run_of(matches: &ArgMatches) -> Result<&'static str, Failure> {
    match value(matches, "dry-run").unwrap_or("none") {
        "none" => Ok("none"),
        "client" => Ok("client"),
        "server" => Ok("server"),
        "unchanged" => Err(Failure::message("--dry-run flag without a value was specified. A value must be set: \"none\", \"server\", or \"client\".")),
        other => {
            Err(Failure::message(format!("Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\".")))
        }
    }
}

/// An error about how a command is used (upstream: `cmdutil.UsageErrorf`).
pub fn misused(path: &str, message: impl std::fmt::Display) -> Failure {
    Failure::message(format!("{message}\nSee 'kubectl {path} -h' for help and examples"))
}

/// What upstream says of a command line that cannot be parsed.
pub fn refused(error: &clap::Error, root: &Command, arguments: &[String]) -> Result<(), Failure> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
        print!("{error}");
        return Ok(());
    }
    let (path, command) = meant(root, arguments);
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let usage = format!("See '{path} --help' for usage.");
    let flag = text(ContextKind::InvalidArg);
    let long = flag.trim_start_matches("--").split(['=', ' ', '[']).next().unwrap_or("").to_owned();
    let message = match error.kind() {
        ErrorKind::UnknownArgument if flag.starts_with("--") => {
            format!("unknown flag: {}\n{usage}", flag.split('=').next().unwrap_or(""))
        }
        ErrorKind::UnknownArgument => {
            let letter = flag.trim_start_matches('-').chars().next().unwrap_or(' ');
            let fits = |a: &&String| a.starts_with('-') && !a.starts_with("--") && a.contains(letter);
            let cluster = arguments.iter().find(fits).map_or(flag.as_str(), String::as_str);
            format!("unknown shorthand flag: '{letter}' in {cluster}\n{usage}")
        }
        // A value that is missing is always the last argument.
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue).is_empty() => {
            let last = arguments.last().map_or("", String::as_str);
            let flag = match last.strip_prefix('-').filter(|l| !l.starts_with('-')) {
                Some(letters) => format!("'{}' in {last}", letters.chars().last().unwrap_or(' ')),
                None => last.to_owned(),
            };
            format!("flag needs an argument: {flag}\n{usage}")
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let short = command.get_arguments().chain(root.get_arguments()).find(|a| a.get_long() == Some(&long)).and_then(Arg::get_short);
            let name = short.map_or(format!("--{long}"), |short| format!("-{short}, --{long}"));
            let (wrong, why) = (text(ContextKind::InvalidValue), error.source().map_or(String::new(), |s| s.to_string()));
            format!("invalid argument \"{wrong}\" for \"{name}\" flag: {why}\n{usage}")
        }
        ErrorKind::MissingRequiredArgument => missing(error),
        ErrorKind::InvalidSubcommand => unknown(&text(ContextKind::InvalidSubcommand), root),
        _ => error.to_string().trim_start_matches("error: ").trim_end().to_owned(),
    };
    Err(Failure::Message(message))
}

fn missing(error: &clap::Error) -> String {
    let names = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(names)) => names.clone(),
        _ => Vec::new(),
    };
    let names: Vec<String> = names
        .iter()
        .map(|n| format!("\"{}\"", n.trim_start_matches("--").split([' ', '=']).next().unwrap_or("")))
        .collect();
    format!("required flag(s) {} not set", names.join(", "))
}

/// Cobra suggests commands that begin with the word, or that are at most two changes away from it.
fn unknown(word: &str, root: &Command) -> String {
    let near = |name: &&str| distance(&word.to_lowercase(), &name.to_lowercase()) <= 2 || name.starts_with(word);
    let mut names: Vec<&str> = root.get_subcommands().map(Command::get_name).filter(near).collect();
    names.sort_unstable();
    let mut message = format!("unknown command \"{word}\" for \"kubectl\"");
    if !names.is_empty() {
        message.push_str("\n\nDid you mean this?\n");
        names.iter().for_each(|name| message.push_str(&format!("\t{name}\n")));
    }
    message
}

/// How many letters must be added, removed or changed to make one word of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The command that the arguments name, and its path.
fn meant<'c>(root: &'c Command, arguments: &[String]) -> (String, &'c Command) {
    let (mut path, mut command) = ("kubectl".to_owned(), root);
    for word in arguments.iter().filter(|a| !a.starts_with('-')) {
        if let Some(sub) = command.find_subcommand(word) {
            path = format!("{path} {}", sub.get_name());
            command = sub;
        }
    }
    (path, command)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn words_are_near_each_other() {
        assert_eq!(distance("gte", "get"), 2);
        assert_eq!(distance("", "get"), 3);
        assert_eq!(distance("describe", "describe"), 0);
    }
}
