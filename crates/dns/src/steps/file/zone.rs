//! One zone: names and their records, and what they say to a question (upstream: `plugin/file`, `Zone.Lookup`). Pure.
//! Signatures (DNSSEC) are records like others here.

use std::collections::BTreeMap;
use std::ops::Bound;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::txt::Parser;

use crate::limits::ALIASES;
use crate::message::Said;
use crate::names;

pub(super) struct Zone {
    origin: Name,
    soa: Record,
    /// Its servers.
    ns: Vec<Record>,
    /// All other records, in the order of names: those below a name follow it.
    names: BTreeMap<Name, Vec<Record>>,
}

/// What sort of answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Result {
    Success,
    /// The name has no such record.
    NoData,
    /// The name has no record, but there are names below it.
    Empty,
    NoSuchName,
    /// Other servers know.
    Delegation,
    /// Aliases lead nowhere.
    Failure,
}

pub(super) struct Answer {
    pub(super) result: Result,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
    pub(super) additionals: Vec<Record>,
}

pub(super) enum Found {
    Here(Answer),
    /// Aliases lead to a name that is not in the zone.
    Elsewhere(Vec<Record>, Name),
}

impl Zone {
    /// Reads a zone file. `path` is how errors call it.
    pub(super) fn read(text: &str, origin: &str, path: &str) -> std::result::Result<Zone, String> {
        let wrong = |why: String| format!("failed to parse file {path:?} for origin {origin} with error {why}");
        // The library would read any file of the machine.
        if text.to_ascii_uppercase().contains("$INCLUDE") {
            return Err(wrong("$INCLUDE is not supported".to_owned()));
        }
        let name = names::parse(origin).ok_or_else(|| wrong("the origin is no name".to_owned()))?;
        let (_, sets) = Parser::new(text, None, Some(name.clone())).parse().map_err(|error| wrong(error.to_string()))?;
        let (mut soa, mut ns, mut all) = (None, Vec::new(), BTreeMap::from([(name.clone(), Vec::new())]));
        for record in sets.values().flat_map(|set| set.records_without_rrsigs()) {
            match record.record_type() {
                RecordType::SOA if record.name != name => {
                    let owner = names::text(&record.name);
                    return Err(format!("file {path:?} has SOA owner {owner} that does not match origin {origin}"));
                }
                RecordType::SOA => soa = Some(record.clone()),
                RecordType::NS if record.name == name => ns.push(record.clone()),
                _ => all.entry(record.name.clone()).or_default().push(record.clone()),
            }
        }
        let soa = soa.ok_or_else(|| format!("file {path:?} has no SOA record for origin {origin}"))?;
        Ok(Zone { origin: name, soa, ns, names: all })
    }

    /// How many records it has.
    pub(super) fn records(&self) -> usize {
        1 + self.ns.len() + self.names.values().map(Vec::len).sum::<usize>()
    }

    /// What a name in the zone has of a type.
    pub(super) fn find(&self, name: &Name, kind: RecordType) -> Found {
        if *name == self.origin && kind == RecordType::SOA {
            return self.here(Result::Success, vec![self.soa.clone()]);
        }
        if *name == self.origin && kind == RecordType::NS {
            let (answers, additionals) = (self.ns.clone(), self.glue(&self.ns));
            return Found::Here(Answer { result: Result::Success, answers, authorities: Vec::new(), additionals });
        }
        let (mut wild, mut own) = (None, None);
        for depth in labels(&self.origin)..=labels(name) {
            let above = above(name, depth);
            own = self.names.get(&above);
            match own {
                Some(records) => {
                    if let Some(cut) = self.cut(records, above == *name, kind, Vec::new()) {
                        return cut;
                    }
                }
                None => {
                    let wildcard = wildcard(name, depth);
                    let records = self.names.get(&wildcard);
                    if records.is_some() || self.is_above(&wildcard) {
                        wild = Some((depth - 1, records));
                    }
                }
            }
        }
        // A name below the wildcard's parent that has names below it hides the wildcard (RFC 4592, 2.2.2).
        let hidden = |parent: usize| (parent + 1..labels(name)).any(|depth| self.is_above(&above(name, depth)));
        match (own, wild.filter(|(parent, _)| !hidden(*parent))) {
            (Some(records), _) => self.at(records.clone(), kind),
            (None, Some((_, Some(records)))) => {
                let named = records.iter().map(|record| Record::from_rdata(name.clone(), record.ttl, record.data.clone()));
                self.at(named.collect(), kind)
            }
            (None, Some((_, None))) => self.here(Result::NoData, Vec::new()),
            (None, None) if self.is_above(name) => self.here(Result::Empty, Vec::new()),
            (None, None) => self.here(Result::NoSuchName, Vec::new()),
        }
    }

    /// What the records of one name say.
    fn at(&self, records: Vec<Record>, kind: RecordType) -> Found {
        if let Some(alias) = first(&records, RecordType::CNAME).filter(|_| kind != RecordType::CNAME) {
            return self.follow(vec![alias.clone()], kind);
        }
        let answers: Vec<Record> = records.into_iter().filter(|record| record.record_type() == kind).collect();
        self.here(if answers.is_empty() { Result::NoData } else { Result::Success }, answers)
    }

    /// Follows the last of some aliases.
    fn follow(&self, mut answers: Vec<Record>, kind: RecordType) -> Found {
        for _ in 0..ALIASES {
            let Some(target) = answers.last().and_then(target) else { return self.here(Result::Failure, Vec::new()) };
            for depth in labels(&self.origin) + 1..=labels(&target) {
                let above = above(&target, depth);
                let records = self.names.get(&above).map(Vec::as_slice).unwrap_or_default();
                if let Some(cut) = self.cut(records, above == target, kind, answers.clone()) {
                    return cut;
                }
            }
            let apex = kind == RecordType::SOA && target == self.origin;
            match self.names.get(&target).filter(|_| kind != RecordType::NS && !apex) {
                None => return Found::Elsewhere(answers, target),
                Some(records) => match first(records, RecordType::CNAME) {
                    Some(alias) if self::target(alias).as_ref() == Some(&alias.name) => {
                        return self.here(Result::Failure, Vec::new());
                    }
                    Some(alias) => answers.push(alias.clone()),
                    None => {
                        answers.extend(records.iter().filter(|record| record.record_type() == kind).cloned());
                        return self.here(Result::Success, answers);
                    }
                },
            }
        }
        self.here(Result::Success, answers)
    }

    /// Leads to the servers of a name that has its own. What they are told to sign is said here.
    fn cut(&self, records: &[Record], whole: bool, kind: RecordType, answers: Vec<Record>) -> Option<Found> {
        let ns: Vec<Record> = records.iter().filter(|record| record.record_type() == RecordType::NS).cloned().collect();
        if ns.is_empty() || (kind == RecordType::DS && whole) {
            return None;
        }
        let additionals = self.glue(&ns);
        Some(Found::Here(Answer { result: Result::Delegation, answers, authorities: ns, additionals }))
    }

    /// Completes aliases with what was said of the name that they lead to.
    pub(super) fn complete(&self, mut answers: Vec<Record>, said: Option<Said>) -> Answer {
        let result = match &said {
            None => Result::Failure,
            Some(said) if said.code == ResponseCode::NXDomain => Result::NoSuchName,
            Some(said) if said.code == ResponseCode::ServFail => Result::Failure,
            Some(said) if said.code == ResponseCode::NoError && said.answers.is_empty() => Result::NoData,
            // Whoever refuses leaves it to the client to ask.
            Some(_) => Result::Success,
        };
        answers.extend(said.into_iter().flat_map(|said| said.answers));
        self.answer(result, answers)
    }

    fn here(&self, result: Result, answers: Vec<Record>) -> Found {
        Found::Here(self.answer(result, answers))
    }

    /// With what goes along: a denial has its SOA, another answer the servers and the addresses of whom it names.
    fn answer(&self, result: Result, answers: Vec<Record>) -> Answer {
        let denies = matches!(result, Result::NoData | Result::Empty | Result::NoSuchName);
        let authorities = if denies { vec![self.soa.clone()] } else { self.ns.clone() };
        let mut named: Vec<&Name> = Vec::new();
        for name in answers.iter().filter_map(host).filter(|name| within(name, &self.origin)) {
            if !named.contains(&name) {
                named.push(name);
            }
        }
        let additionals = named.into_iter().flat_map(|name| self.addresses(name)).collect();
        Answer { result, answers, authorities, additionals }
    }

    /// The addresses of servers that are below their own zone.
    fn glue(&self, ns: &[Record]) -> Vec<Record> {
        let below = ns.iter().filter_map(|record| match &record.data {
            RData::NS(server) if within(&server.0, &record.name) => Some(&server.0),
            _ => None,
        });
        below.flat_map(|server| self.addresses(server)).collect()
    }

    fn addresses(&self, name: &Name) -> Vec<Record> {
        let records = self.names.get(name).map(Vec::as_slice).unwrap_or_default();
        let of = |kind: RecordType| records.iter().filter(move |record| record.record_type() == kind);
        of(RecordType::A).chain(of(RecordType::AAAA)).cloned().collect()
    }

    /// Whether there are names below it.
    fn is_above(&self, name: &Name) -> bool {
        let next = self.names.range((Bound::Excluded(name), Bound::Unbounded)).next();
        next.is_some_and(|(next, _)| within(next, name))
    }
}

impl Answer {
    /// There is no such name, or none that has records: others may know it.
    pub(super) fn nothing(&self) -> bool {
        self.answers.is_empty() && matches!(self.result, Result::NoSuchName | Result::Empty | Result::Success)
    }
}

fn first(records: &[Record], kind: RecordType) -> Option<&Record> {
    records.iter().find(|record| record.record_type() == kind)
}

fn target(alias: &Record) -> Option<Name> {
    match &alias.data {
        RData::CNAME(target) => Some(target.0.clone()),
        _ => None,
    }
}

/// The host that a record names.
fn host(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::SRV(srv) => Some(&srv.target),
        RData::MX(mx) => Some(&mx.exchange),
        RData::SVCB(service) => Some(&service.target_name),
        RData::HTTPS(service) => Some(&service.0.target_name),
        _ => None,
    }
}

fn labels(name: &Name) -> usize {
    name.iter().count()
}

/// The last labels of a name, so many of them.
fn above(name: &Name, depth: usize) -> Name {
    let skipped = labels(name).saturating_sub(depth);
    Name::from_labels(name.iter().skip(skipped)).unwrap_or_else(|_| name.clone())
}

/// The same with `*` for the first of them.
fn wildcard(name: &Name, depth: usize) -> Name {
    let skipped = (labels(name) + 1).saturating_sub(depth);
    let star: &[u8] = b"*";
    Name::from_labels([star].into_iter().chain(name.iter().skip(skipped))).unwrap_or_else(|_| name.clone())
}

fn within(name: &Name, zone: &Name) -> bool {
    labels(name) >= labels(zone) && above(name, labels(zone)) == *zone
}
