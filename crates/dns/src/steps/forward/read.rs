//! What `forward` can be told.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;

use rustls::ClientConfig;

use super::To;
use super::server::{Health, KEPT, Keeping, Server};
use super::tls::{self, Tls};
use crate::corefile::{Directive, Fault, Files, Word, values, zones};
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
    pub(super) keeping: Keeping,
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
    /// The name that all servers prove over TLS.
    server_name: Option<String>,
    secret: Option<Arc<ClientConfig>>,
}

/// Known to CoreDNS, and about other transports or names of hosts.
const OTHERS: &[&str] = &["doh_method", "resolver"];
/// The ports of name servers, in plain text and over TLS.
const PORT: u16 = 53;
const TLS_PORT: u16 = 853;

/// Reads `forward FROM TO...` and its block.
pub(super) fn forward(files: &Files, directive: &Directive) -> Result<(Options, Vec<To>), Fault> {
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
        health: Health { every: Duration::from_millis(500), recursion_desired: true, name: ".".to_owned(), source: None },
        force_tcp: false,
        prefer_udp: false,
        keeping: Keeping { expire: Duration::from_secs(10), age: Duration::ZERO, idle: KEPT, source: None },
        patience: PATIENCE,
        concurrent: FORWARDED,
        attempts: None,
        failfast: false,
        failover: Vec::new(),
        next: Vec::new(),
        next_on_nodata: false,
        server_name: None,
        secret: None,
    };
    for line in &directive.lines {
        match line.split_first() {
            Some((name, args)) if name.text == "tls" => options.secret = Some(tls::config(files, name, args)?),
            Some((name, args)) => option(&mut options, name, args)?,
            None => {}
        }
    }
    let Keeping { expire, age, .. } = options.keeping;
    if !age.is_zero() && age < expire {
        let why = format!("max_age ({age:?}) must not be less than expire ({expire:?})");
        return Err(Fault::at(directive.name.line, why));
    }
    let to = to.iter().map(|word| server(&mut options, files, word)).collect::<Result<_, _>>()?;
    Ok((options, to))
}

/// Whom one word names: `[dns://]ADDRESS`, `tls://ADDRESS[%NAME]`, `/etc/resolv.conf`.
fn server(options: &mut Options, files: &Files, word: &Word) -> Result<To, Fault> {
    let fault = |why: String| Fault::at(word.line, why);
    if word.text == "/etc/resolv.conf" {
        return Ok(To::Machine);
    }
    let (text, secret) = match word.text.split_once("://") {
        None => (word.text.as_str(), false),
        Some(("dns", rest)) => (rest, false),
        Some(("tls", rest)) => (rest, true),
        Some((scheme, _)) => {
            return Err(fault(format!("'{scheme}' is not supported as a destination protocol in forward: {}", word.text)));
        }
    };
    let (text, name) = if secret { split_name(text) } else { (text.to_owned(), None) };
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&text);
    let port = if secret { TLS_PORT } else { PORT };
    let address = text.parse().ok().or_else(|| Some(SocketAddr::new(bare.parse::<IpAddr>().ok()?, port)));
    let address = address.ok_or_else(|| fault(format!("not an IP address, or /etc/resolv.conf: \"{}\"", word.text)))?;
    if !secret {
        return Ok(To::Server(Server::new(address, None)));
    }
    if let (Some(all), Some(one)) = (&options.server_name, &name) {
        let which = format!("both forward ('{all}') and proxy level ('{one}') TLS servernames are set");
        return Err(fault(format!("{which} for upstream proxy 'tls://{address}'")));
    }
    let config = match &options.secret {
        Some(config) => config.clone(),
        None => tls::config(files, word, &[])?,
    };
    let tls = Tls::new(&config, name.as_deref().or(options.server_name.as_deref()), address.ip()).map_err(fault)?;
    options.secret = Some(config);
    Ok(To::Server(Server::new(address, Some(tls))))
}

/// `ADDRESS%NAME`, and a port behind either: the address, with the port, and the name.
fn split_name(text: &str) -> (String, Option<String>) {
    let Some((address, name)) = text.rsplit_once('%') else { return (text.to_owned(), None) };
    let (name, port) = name.rsplit_once(':').map_or((name, None), |(name, port)| (name, Some(port)));
    // The name may stand inside of the brackets.
    let open = address.starts_with('[') && !address.ends_with(']');
    let address = format!("{address}{}", if open { "]" } else { "" });
    let address = port.map_or_else(|| address.clone(), |port| format!("{address}:{port}"));
    (address, Some(name.trim_end_matches(']').to_owned()).filter(|name| !name.is_empty()))
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
        "expire" => options.keeping.expire = duration()?,
        "max_age" => options.keeping.age = duration()?,
        // 0 is as many as there is place for.
        "max_idle_conns" => match number(0, u64::from(u32::MAX))? {
            0 => options.keeping.idle = KEPT,
            most => options.keeping.idle = usize::try_from(most).map_or(KEPT, |most| most.min(KEPT)),
        },
        "source_address" => {
            let word = values::one(name, args)?;
            let address = word.text.parse().map_err(|_| Fault::at(word.line, format!("invalid IP address: {}", word.text)))?;
            (options.keeping.source, options.health.source) = (Some(address), Some(address));
        }
        "tls_servername" => options.server_name = Some(values::one(name, args)?.text.clone()),
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
