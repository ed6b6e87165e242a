//! `health [ADDRESS]`, `ready [ADDRESS]`: probes over HTTP, at the server's own address.

use std::net::IpAddr;

use super::Building;
use crate::corefile::{Directive, Fault, Word, values};
use crate::http::Tell;

/// `health`: its `lameduck` is how long CoreDNS waits for others to take over; there are no others here.
pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    for directive in directives {
        let port = port(building, directive, 8080)?;
        building.site.tells.push((port, Tell::Health, directive.name.line));
        for line in &directive.lines {
            match &line[..] {
                [name, args @ ..] if name.text == "lameduck" => drop(values::duration(values::one(name, args)?)?),
                line => line.first().map_or(Ok(()), |name| Err(Fault::unknown(name)))?,
            }
        }
    }
    Ok(())
}

/// `ready`.
pub(super) fn build_ready(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = super::once(directives)?;
    let port = port(building, directive, 8181)?;
    building.site.tells.push((port, Tell::Ready, directive.name.line));
    match directive.lines.first().and_then(|line| line.first()) {
        None => Ok(()),
        Some(word) if word.text == "monitor" => Err(Fault::unsupported(word)),
        Some(word) => Err(Fault::unknown(word)),
    }
}

/// The port of `[ADDRESS]`, which must be this server's.
pub(super) fn port(building: &Building<'_>, directive: &Directive, default: u16) -> Result<u16, Fault> {
    let Some(word) = directive.args.first() else { return Ok(default) };
    values::one(&directive.name, &directive.args)?;
    let wrong = |why: &str| Fault::at(word.line, format!("{}: {why}", word.text));
    let (host, port) = word.text.rsplit_once(':').ok_or_else(|| wrong("missing port in address"))?;
    if !ours(host, building.environment.address) {
        return Err(wrong("this server listens at its own address alone"));
    }
    let port = values::number(&Word { text: port.to_owned(), ..word.clone() }, 1, u64::from(u16::MAX))?;
    u16::try_from(port).map_err(|_| wrong("no port"))
}

fn ours(host: &str, address: IpAddr) -> bool {
    host.is_empty() || host.parse::<IpAddr>().is_ok_and(|host| host.is_unspecified() || host == address)
}
