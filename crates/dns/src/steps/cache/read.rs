//! What `cache` can be told.

use std::time::Duration;

use crate::corefile::{Directive, Fault, Word, values, zones};
use crate::limits::CACHED;

/// How answers are kept.
pub(super) struct Options {
    pub(super) zones: Vec<String>,
    pub(super) success: Limits,
    pub(super) denial: Limits,
    /// How long a failure is kept.
    pub(super) failure: Duration,
    /// Records have the time that they had at first.
    pub(super) keep_ttl: bool,
    /// How long answers are said after their time, and whether the servers are asked before that.
    pub(super) stale: Duration,
    pub(super) verify: bool,
    /// Answers that are asked for so often are renewed before their time is over; 0 is never.
    pub(super) prefetch: u32,
    /// How long a pause is that begins the count anew.
    pub(super) pause: Duration,
    /// In the last so many hundredths of their time.
    pub(super) percentage: u32,
}

/// Bounds for answers of one sort.
pub(super) struct Limits {
    pub(super) most: usize,
    pub(super) least: Duration,
    pub(super) longest: Duration,
    /// Zones whose answers are not kept.
    pub(super) except: Vec<String>,
}

const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(3600);

/// Reads `cache [TTL] [ZONES...]` and its block.
pub(super) fn options(directive: &Directive, block: &[String]) -> Result<Options, Fault> {
    let limits = |longest| Limits { most: CACHED, least: SHORTEST, longest, except: Vec::new() };
    let mut options = Options {
        zones: Vec::new(),
        success: limits(LONGEST),
        denial: limits(LONGEST / 2),
        failure: SHORTEST,
        keep_ttl: false,
        stale: Duration::ZERO,
        verify: false,
        prefetch: 0,
        pause: Duration::from_secs(60),
        percentage: 10,
    };
    let mut args = &directive.args[..];
    if let Some((first, rest)) = args.split_first().filter(|(first, _)| first.text.parse::<i64>().is_ok()) {
        let ttl = seconds(first, 1)?;
        (options.success.longest, options.denial.longest, args) = (ttl, ttl, rest);
    }
    options.zones = zones::origins(args, block)?;
    for line in &directive.lines {
        if let Some((name, args)) = line.split_first() {
            option(&mut options, name, args)?;
        }
    }
    Ok(options)
}

fn seconds(word: &Word, least: u64) -> Result<Duration, Fault> {
    Ok(Duration::from_secs(values::number(word, least, u64::from(i32::MAX as u32))?))
}

fn option(options: &mut Options, name: &Word, args: &[Word]) -> Result<(), Fault> {
    match name.text.as_str() {
        "success" => limits(&mut options.success, name, args)?,
        "denial" => limits(&mut options.denial, name, args)?,
        "servfail" => {
            let word = values::one(name, args)?;
            options.failure = values::duration(word)?;
            if options.failure > Duration::from_secs(300) {
                return Err(Fault::at(word.line, "caching SERVFAIL responses over 5 minutes is not permitted"));
            }
        }
        "disable" => {
            let Some((sort, names)) = args.split_first() else { return Err(Fault::arguments(name)) };
            let names = zones::origins(names, &[".".to_owned()])?;
            match sort.text.as_str() {
                "success" => options.success.except = names,
                "denial" => options.denial.except = names,
                _ => return Err(Fault::at(sort.line, "cache type for disable must be \"success\" or \"denial\"")),
            }
        }
        "keepttl" => {
            values::none(name, args)?;
            options.keep_ttl = true;
        }
        "serve_stale" => stale(options, args)?,
        "prefetch" => prefetch(options, name, args)?,
        "serve_stale_policy" => return Err(Fault::unsupported(name)),
        _ => return Err(Fault::arguments(name)),
    }
    Ok(())
}

/// `[DURATION] [immediate|verify]`.
fn stale(options: &mut Options, args: &[Word]) -> Result<(), Fault> {
    options.stale = args.first().map_or(Ok(LONGEST), values::duration)?;
    options.verify = match args.get(1) {
        None => false,
        Some(word) if word.text.eq_ignore_ascii_case("immediate") => false,
        Some(word) if word.text.eq_ignore_ascii_case("verify") => true,
        Some(word) => {
            let why = format!("invalid value for serve_stale refresh mode: {}", word.text);
            return Err(Fault::at(word.line, why));
        }
    };
    args.get(2).map_or(Ok(()), |word| Err(Fault::unsupported(word)))
}

/// `AMOUNT [DURATION [PERCENTAGE%]]`.
fn prefetch(options: &mut Options, name: &Word, args: &[Word]) -> Result<(), Fault> {
    let [amount, rest @ ..] = args else { return Err(Fault::arguments(name)) };
    options.prefetch = u32::try_from(values::number(amount, 0, u64::from(u32::MAX))?).unwrap_or(u32::MAX);
    if let Some(word) = rest.first() {
        options.pause = values::duration(word)?;
    }
    if let Some(word) = rest.get(1) {
        let number = word.text.strip_suffix('%').and_then(|number| number.parse().ok());
        let why = || Fault::at(word.line, format!("percentage should fall in range [10%, 90%]: {}", word.text));
        options.percentage = number.filter(|number| (10..=90).contains(number)).ok_or_else(why)?;
    }
    rest.get(2).map_or(Ok(()), |word| Err(Fault::arguments(word)))
}

/// `CAPACITY [TTL] [MINTTL]`.
fn limits(limits: &mut Limits, name: &Word, args: &[Word]) -> Result<(), Fault> {
    let Some((capacity, times)) = args.split_first() else { return Err(Fault::arguments(name)) };
    // More than the server keeps is no more than it keeps.
    limits.most = usize::try_from(values::number(capacity, 0, u64::MAX)?).unwrap_or(CACHED).min(CACHED);
    if let Some(longest) = times.first() {
        limits.longest = seconds(longest, 1)?;
    }
    if let Some(least) = times.get(1) {
        limits.least = seconds(least, 0)?;
    }
    Ok(())
}
