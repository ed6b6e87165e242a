//! `hosts [FILE [ZONES...]]`: names and addresses as in `/etc/hosts`. A file is a key of the ConfigMap, below
//! `/etc/coredns`; without one, there are the entries in the block alone.

use std::collections::HashMap;
use std::net::IpAddr;

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{RData, Record, RecordType};

use super::{Building, once};
use crate::corefile::values::{self, Through};
use crate::corefile::{Directive, FOLDER, Fault, zones};
use crate::limits::HOSTS;
use crate::message::{Question, Said};
use crate::names;
use crate::step::{Asker, Failure, Outcome, Rest, Step};

struct Hosts {
    zones: Vec<String>,
    /// By name in lower case with its final dot; `*.example.org.` stands for any label there.
    names: HashMap<String, Vec<IpAddr>>,
    addresses: HashMap<IpAddr, Vec<String>>,
    ttl: u32,
    through: Through,
    /// Types other than addresses go on, too.
    types_through: bool,
}

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = once(directives)?;
    let (file, args) = match directive.args.split_first() {
        None => (None, &directive.args[..]),
        Some((file, zones)) => {
            let key = file.text.strip_prefix(FOLDER).and_then(|key| building.files.get(key));
            let why = || format!("'{}' is no key of the ConfigMap below {FOLDER}", file.text);
            (Some((file.line, key.ok_or_else(|| Fault::at(file.line, why()))?)), zones)
        }
    };
    let mut hosts = Hosts {
        zones: zones::origins(args, building.zones)?,
        names: HashMap::new(),
        addresses: HashMap::new(),
        ttl: 3600,
        through: Through::default(),
        types_through: false,
    };
    let (mut entries, mut reverse) = (Vec::new(), true);
    for line in &directive.lines {
        let Some((name, args)) = line.split_first() else { continue };
        match name.text.as_str() {
            "fallthrough" => hosts.through = Through::read(args)?,
            "fallthrough_unsupported" => hosts.types_through = values::none(name, args).map(|()| true)?,
            "no_reverse" => reverse = values::none(name, args).map(|()| false)?,
            "ttl" => hosts.ttl = u32::try_from(values::number(values::one(name, args)?, 1, 65535)?).unwrap_or(3600),
            // What is a file to CoreDNS is taken anew as soon as it changes.
            "reload" => drop(values::duration(values::one(name, args)?)?),
            _ if hosts.through.any() => return Err(Fault::unknown(name)),
            _ => entries.push((name.line, line.iter().map(|word| word.text.as_str()).collect::<Vec<_>>())),
        }
    }
    if hosts.types_through && !hosts.through.any() {
        return Err(Fault::at(directive.name.line, "fallthrough_unsupported requires fallthrough"));
    }
    let lines = |(at, text): (usize, &'_ String)| -> Vec<(usize, Vec<String>)> {
        let words = |line: &str| line.split('#').next().unwrap_or("").split_whitespace().map(str::to_owned).collect();
        text.lines().map(|line| (at, words(line))).collect()
    };
    for (line, words) in file.map(lines).unwrap_or_default() {
        hosts.add(line, &words.iter().map(String::as_str).collect::<Vec<_>>(), reverse)?;
    }
    entries.iter().try_for_each(|(line, words)| hosts.add(*line, words, reverse))?;
    building.push(hosts);
    Ok(())
}

impl Hosts {
    /// One line: an address and its names. What is none is passed over, as CoreDNS does.
    fn add(&mut self, line: usize, words: &[&str], reverse: bool) -> Result<(), Fault> {
        let Some((address, names)) = words.split_first() else { return Ok(()) };
        let Ok(address) = address.split('%').next().unwrap_or(address).parse::<IpAddr>() else { return Ok(()) };
        for name in names.iter().filter_map(|name| zones::normal(name).ok()) {
            if !self.zones.iter().any(|zone| zones::within(&name, zone)) {
                continue;
            }
            if self.names.len() + self.addresses.len() >= HOSTS {
                return Err(Fault::at(line, format!("more than {HOSTS} hosts")));
            }
            if reverse && !name.starts_with("*.") {
                self.addresses.entry(address).or_default().push(name.clone());
            }
            self.names.entry(name).or_default().push(address);
        }
        Ok(())
    }

    fn find(&self, name: &str) -> &[IpAddr] {
        let any = || self.names.get(&format!("*.{}", name.split_once('.')?.1));
        self.names.get(name).or_else(any).map_or(&[], Vec::as_slice)
    }

    /// `None`: the next step answers.
    fn say(&self, question: &Question) -> Option<Outcome> {
        let name = &question.name;
        let inside = self.zones.iter().any(|zone| zones::within(name, zone));
        let record = |data| Some(Record::from_rdata(names::parse(name)?, self.ttl, data));
        let addresses = self.find(name);
        let mut said = Said::code(ResponseCode::NoError);
        said.authoritative = true;
        match question.kind {
            // The zones need not be those of the addresses.
            RecordType::PTR => {
                let names = self.addresses.get(&crate::zone::address(question.bare())?)?;
                let pointers = names.iter().filter_map(|name| record(RData::PTR(PTR(names::parse(name)?))));
                said.answers = pointers.collect();
                return Some(Ok(said));
            }
            _ if !inside => return None,
            RecordType::A | RecordType::AAAA => {
                let data = addresses.iter().filter_map(|address| match (address, question.kind) {
                    (IpAddr::V4(address), RecordType::A) => Some(RData::A(A(*address))),
                    (IpAddr::V6(address), RecordType::AAAA) => Some(RData::AAAA(AAAA(*address))),
                    _ => None,
                });
                said.answers = data.filter_map(record).collect();
            }
            _ if self.types_through && self.through.passes(name) => return None,
            _ => {}
        }
        if !addresses.is_empty() {
            return Some(Ok(said));
        }
        // There is no SOA to deny with.
        let failure = || Err(Failure::new(ResponseCode::ServFail, "no such host, and no fallthrough"));
        if self.through.passes(name) { None } else { Some(failure()) }
    }
}

impl Step for Hosts {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        match self.say(&question) {
            Some(outcome) => Box::pin(async { outcome }),
            None => rest.answer(asker, question),
        }
    }
}
