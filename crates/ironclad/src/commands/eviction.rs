//! The flags that say when pods go for what a node runs short of; the kubelet's own, word for word.

use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::{Arg, ArgMatches, value_parser};
use kubelet::pressure::Policy;
use kubelet::pressure::thresholds::{HARD, Wording, parse};

/// Name, placeholder and help.
const TEXTS: [(&str, &str, &str); 4] = [
    ("eviction-hard", "LIST", "What the node keeps free; below it pods go at once"),
    ("eviction-soft", "LIST", "Below it they go when it has been so for the grace period"),
    ("eviction-soft-grace-period", "LIST", "How long each of these waits, for example memory.available=1m30s"),
    ("eviction-minimum-reclaim", "LIST", "How much more is to be free once pods go, for example nodefs.available=500Mi"),
];
const TRANSITION: &str = "eviction-pressure-transition-period";
const GRACE: &str = "eviction-max-pod-grace-period";

/// All of them.
pub fn flags() -> Vec<Arg> {
    let text = |(name, value, help): (&'static str, &'static str, &'static str)| {
        let arg = Arg::new(name).long(name).value_name(value).help(help).hide_default_value(true);
        arg.default_value(if name == "eviction-hard" { HARD } else { "" })
    };
    let transition = Arg::new(TRANSITION).long(TRANSITION).value_name("DURATION").default_value("5m");
    let grace = Arg::new(GRACE).long(GRACE).value_name("SECONDS").default_value("0").value_parser(value_parser!(u32));
    let mut flags: Vec<Arg> = TEXTS.into_iter().map(text).collect();
    flags.push(transition.help("How long the node says that it is under pressure after it was"));
    flags.push(grace.help("The longest that a pod gets where the grace period of a soft threshold is over"));
    flags
}

/// What they say.
pub fn policy(matches: &ArgMatches) -> Result<Policy> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let wording = Wording {
        hard: text(TEXTS[0].0),
        soft: text(TEXTS[1].0),
        soft_grace: text(TEXTS[2].0),
        reclaim: text(TEXTS[3].0),
    };
    let transition = meta::duration::parse(text(TRANSITION)).map_err(|why| anyhow!("--{TRANSITION}: {why}"))?;
    let transition = u64::try_from(transition).map(Duration::from_nanos);
    Ok(Policy {
        thresholds: parse(&wording).map_err(anyhow::Error::msg)?,
        transition: transition.map_err(|_| anyhow!("--{TRANSITION}: {} is less than nothing", text(TRANSITION)))?,
        max_pod_grace: matches.get_one::<u32>(GRACE).copied().unwrap_or_default().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelets_flags_are_taken() {
        let read = |words: &[&str]| {
            let words = std::iter::once("up").chain(words.iter().copied());
            policy(&clap::Command::new("up").args(flags()).get_matches_from(words))
        };
        assert_eq!(read(&[]).expect("good"), Policy::default());
        let own = read(&["--eviction-hard=memory.available<1Gi", "--eviction-max-pod-grace-period=30",
            "--eviction-pressure-transition-period=30s"]);
        let own = own.expect("good");
        assert_eq!((own.thresholds.len(), own.max_pod_grace, own.transition.as_secs()), (2, 30, 30));
        assert!(read(&["--eviction-hard="]).expect("good").thresholds.is_empty());
        let wrong = read(&["--eviction-hard=mem<1"]).expect_err("unknown").to_string();
        assert_eq!(wrong, "unsupported eviction signal mem");
        assert!(read(&["--eviction-pressure-transition-period=x"]).is_err());
    }
}
