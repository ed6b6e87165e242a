//! What `forward` can be told.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;

use super::server::Health;
use crate::corefile::{Directive, Fault, Word, values, zones};
use crate::limits::{FORWARDED, PATIENCE, SERVERS};

/// In which order name servers are asked.
#[derive(Clone, Copy)]
pub(super) enum Policy {
    Random,
    RoundRobin,
    Sequential,
}

pub(super) struct Options {
    pub(super) from: String,
    pub(super) except: Vec<String>,
    pub(super) policy: Policy,
    pub(super) max_fails: u32,
    pub(super) health: Health,
    pub(super) force_tcp: bool,
    pub(super) prefer_udp: bool,
    pub(super) expire: Duration,
    pub(super) patience: Duration,
    pub(super) concurrent: usize,
    /// How often it is asked; 0 is as long as there is time.
    pub(super) attempts: Option<usize>,
    pub(super) failfast: bool,
    /// Another server is asked when one says this.
    pub(super) failover: Vec<ResponseCode>,
    /// The next directive is asked.
    pub(super) next: Vec<ResponseCode>,
    pub(super) next_on_nodata: bool,
}

/// Known to CoreDNS, and about other transports or names of servers.
const OTHERS: &[&str] = &["tls", "tls_servername", "doh_method", "resolver", "source_address", "max_age", "max_idle_conns"];

/// Reads `forward FROM TO...` and its block. `None` is the machine's resolver configuration.
pub(super) fn forward(directive: &Directive) -> Result<(Options, Vec<Option<SocketAddr>>), Fault> {
    let [from, to @ ..] = &directive.args[..] else { return Err(Fault::arguments(&directive.name)) };
    if to.is_empty() {
        return Err(Fault::arguments(from));
    }
    if let Some(word) = to.get(SERVERS) {
        return Err(Fault::at(word.line, format!("more than {SERVERS} TOs configured: {}", to.len())));
    }
    let zones = zones::key(from)?.zones;
    let mut options = Options {
        from: zones.into_iter().next().unwrap_or_default(),
        except: Vec::new(),
        policy: Policy::Random,
        max_fails: 2,
        health: Health { every: Duration::from_millis(500), recursion_desired: true, name: ".".to_owned() },
        force_tcp: false,
        prefer_udp: false,
        expire: Duration::from_secs(10),
        patience: PATIENCE,
        concurrent: FORWARDED,
        attempts: None,
        failfast: false,
        failover: Vec::new(),
        next: Vec::new(),
        next_on_nodata: false,
    };
    for line in &directive.lines {
        if let Some((name, args)) = line.split_first() {
            option(&mut options, name, args)?;
        }
    }
    Ok((options, to.iter().map(address).collect::<Result<_, _>>()?))
}

fn address(word: &Word) -> Result<Option<SocketAddr>, Fault> {
    if word.text == "/etc/resolv.conf" {
        return Ok(None);
    }
    let text = match word.text.split_once("://") {
        Some(("dns", rest)) => rest,
        Some((scheme, _)) => {
            let why = format!("'{scheme}' is not supported as a destination protocol in forward: {}", word.text);
            return Err(Fault::at(word.line, why));
        }
        None => &word.text,
    };
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let found = text.parse().ok().or_else(|| Some(SocketAddr::new(bare.parse::<IpAddr>().ok()?, 53)));
    let why = || format!("not an IP address, or /etc/resolv.conf: \"{}\"", word.text);
    found.map(Some).ok_or_else(|| Fault::at(word.line, why()))
}

fn option(options: &mut Options, name: &Word, args: &[Word]) -> Result<(), Fault> {
    let number = |least, most| values::number(values::one(name, args)?, least, most);
    let small = || Ok(u32::try_from(number(0, u64::from(u32::MAX))?).unwrap_or(u32::MAX));
    let duration = || values::duration(values::one(name, args)?);
    match name.text.as_str() {
        "except" if !args.is_empty() => options.except.extend(zones::origins(args, &[])?),
        "max_fails" => options.max_fails = small()?,
        "max_connect_attempts" => options.attempts = usize::try_from(small()?).ok(),
        "health_check" => health(&mut options.health, name, args)?,
        "force_tcp" => options.force_tcp = values::none(name, args).map(|()| true)?,
        "prefer_udp" => options.prefer_udp = values::none(name, args).map(|()| true)?,
        "next_on_nodata" => options.next_on_nodata = values::none(name, args).map(|()| true)?,
        "failfast_all_unhealthy_upstreams" => options.failfast = values::none(name, args).map(|()| true)?,
        "expire" => options.expire = duration()?,
        "read_timeout" => {
            options.patience = duration()?;
            if options.patience.is_zero() {
                return Err(Fault::at(name.line, "read_timeout must be positive"));
            }
        }
        // 0 is as many as the server lets wait, which is no more than that in any case.
        "max_concurrent" => {
            let most = usize::try_from(number(0, u64::from(u32::MAX))?).unwrap_or(FORWARDED);
            options.concurrent = if most == 0 { FORWARDED } else { most };
        }
        "policy" => {
            let word = values::one(name, args)?;
            options.policy = match word.text.as_str() {
                "random" => Policy::Random,
                "round_robin" => Policy::RoundRobin,
                "sequential" => Policy::Sequential,
                other => return Err(Fault::at(word.line, format!("unknown policy '{other}'"))),
            };
        }
        "next" if !args.is_empty() => options.next.extend(codes(args)?),
        "failover" if !args.is_empty() => {
            options.failover.extend(codes(args)?);
            if options.failover.contains(&ResponseCode::NoError) {
                return Err(Fault::at(name.line, "NoError cannot be used in failover"));
            }
        }
        "except" | "next" | "failover" => return Err(Fault::arguments(name)),
        other if OTHERS.contains(&other) => return Err(Fault::unsupported(name)),
        _ => return Err(Fault::unknown(name)),
    }
    Ok(())
}

fn codes(args: &[Word]) -> Result<Vec<ResponseCode>, Fault> {
    args.iter().map(values::response_code).collect()
}

/// `INTERVAL [no_rec] [domain NAME]`.
fn health(health: &mut Health, name: &Word, args: &[Word]) -> Result<(), Fault> {
    let Some((every, mut rest)) = args.split_first() else { return Err(Fault::arguments(name)) };
    // Nobody is asked without a pause.
    health.every = values::duration(every)?.max(Duration::from_millis(100));
    while let Some((word, more)) = rest.split_first() {
        rest = match (word.text.as_str(), more) {
            ("no_rec", more) => {
                health.recursion_desired = false;
                more
            }
            ("domain", [domain, more @ ..]) => {
                health.name = zones::normal(&domain.text).map_err(|why| Fault::at(domain.line, why))?;
                more
            }
            ("domain", []) => return Err(Fault::arguments(word)),
            (other, _) => return Err(Fault::at(word.line, format!("health_check: unknown option {other}"))),
        };
    }
    Ok(())
}
