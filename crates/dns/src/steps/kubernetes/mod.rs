//! `kubernetes [ZONES...]`: the cluster's names, from what the informers know.

use std::sync::Arc;

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{RData, Record as Wire, RecordType};

use super::Building;
use crate::corefile::values::Through;
use crate::corefile::{Directive, Fault};
use crate::limits::ALIASES;
use crate::message::{Question, Said};
use crate::names;
use crate::step::{Asker, Failure, Outcome, Rest, Step};
use crate::world::World;
use crate::zone::{self, Answer, Data, Kind, Options, Record};
use memo::Memo;

mod memo;
mod options;

/// Seconds for which the version of the schema may be kept.
const VERSION_TTL: u32 = 28800;
/// The longest that a zone's own record may be kept.
const LONGEST: u32 = 300;

struct Kubernetes {
    world: World,
    synced: Arc<dyn Fn() -> bool + Send + Sync>,
    options: Options,
    through: Through,
    memo: Memo,
}

/// What the directive of the server block says, if it has one.
pub(super) fn options_of(building: &Building<'_>) -> Result<Option<Options>, Fault> {
    let directive = building.directives.iter().find(|directive| directive.name.text == "kubernetes");
    directive.map(|directive| Ok(options::read(building, directive)?.0)).transpose()
}

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let (options, through) = options::read(building, super::once(directives)?)?;
    let environment = building.environment;
    if options.pods == zone::Pods::Verified {
        (environment.pods)(&environment.world);
    }
    let (world, synced) = (environment.world.clone(), environment.synced.clone());
    building.push(Kubernetes { world, synced, options, through, memo: Memo::default() });
    Ok(())
}

impl Step for Kubernetes {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let Some(zone) = self.options.zone(question.bare()) else { return rest.answer(asker, question).await };
            if matches!(question.kind, RecordType::AXFR | RecordType::IXFR) {
                return Err(Failure::new(ResponseCode::Refused, "zone transfers are not supported"));
            }
            // Before the answer is found: what changes meanwhile makes it an old one.
            let version = self.world.version();
            if let Some(said) = self.memo.get(version, &question) {
                return Ok(said);
            }
            let kind = kind(question.kind);
            let (found, serial) = self.ask(question.bare(), kind);
            let mut said = Said::code(ResponseCode::NoError);
            said.authoritative = true;
            match found {
                Answer::Found(records, more) => {
                    said.answers = records.iter().filter_map(|r| self.wire(r, serial)).collect();
                    said.additionals = more.iter().filter_map(|r| self.wire(r, serial)).collect();
                    self.memo.put(version, &question, &said);
                }
                Answer::Alias(target) => self.follow(asker, &question, zone, target, &mut said).await?,
                Answer::NoSuchName | Answer::Elsewhere if self.through.passes(&question.name) => {
                    return rest.answer(asker, question).await;
                }
                // Who does not know all names cannot say that there is none.
                Answer::NoSuchName | Answer::Elsewhere if !(self.synced)() => {
                    asker.changes();
                    said.code = ResponseCode::ServFail;
                }
                Answer::NoSuchName | Answer::Elsewhere => said.code = ResponseCode::NXDomain,
            }
            if said.answers.is_empty() {
                said.authorities.extend(self.wire(&Record { name: zone.to_owned(), data: Data::Soa }, serial));
            }
            Ok(said)
        })
    }
}

impl Kubernetes {
    fn ask(&self, name: &str, kind: Kind) -> (Answer, u32) {
        let state = self.world.lock();
        (zone::answer(&state, &self.options, name, kind), state.modified())
    }

    /// Adds a name's aliases, and the addresses of the last of them. When it has none that is ours, nothing is added; a name
    /// outside is looked up from the beginning of the steps, and its alias is there whatever comes of it (CoreDNS:
    /// `plugin.A`).
    async fn follow(
        &self,
        asker: &Asker,
        question: &Question,
        zone: &str,
        target: String,
        said: &mut Said,
    ) -> Result<(), Failure> {
        let kind = kind(question.kind);
        let (mut owner, mut target, mut records) = (question.bare().to_owned(), target, Vec::new());
        while records.len() <= ALIASES && target != owner {
            let alias = Record { name: owner, data: Data::Cname(target.clone()) };
            match self.wire(&alias, 0) {
                Some(record) if !records.contains(&record) => records.push(record),
                // They go in a circle.
                _ => return Ok(()),
            }
            if !zone::within(&target, zone) {
                // Is it in another of our zones, or outside: it is asked for like any other question.
                let Some(found) = asker.lookup(question, &format!("{target}."), question.kind).await else { return Ok(()) };
                if found.code == ResponseCode::ServFail {
                    return Err(Failure::new(found.code, format!("{target} could not be looked up")));
                }
                said.truncated = found.truncated;
                said.answers = records;
                said.answers.extend(found.answers);
                return Ok(());
            }
            match self.ask(&target, kind) {
                (Answer::Alias(next), _) => (owner, target) = (target, next),
                (Answer::Found(found, _), serial) if !found.is_empty() => {
                    said.answers = records;
                    said.answers.extend(found.iter().filter_map(|r| self.wire(r, serial)));
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn wire(&self, record: &Record, serial: u32) -> Option<Wire> {
        let absolute = |name: &str| names::parse(name);
        let mut ttl = self.options.ttl;
        let data = match &record.data {
            Data::Address(std::net::IpAddr::V4(address)) => RData::A(A(*address)),
            Data::Address(std::net::IpAddr::V6(address)) => RData::AAAA(AAAA(*address)),
            Data::Cname(target) => RData::CNAME(CNAME(absolute(target)?)),
            Data::Srv(weight, port, target) => RData::SRV(SRV::new(0, *weight, *port, absolute(target)?)),
            Data::Ptr(target) => RData::PTR(PTR(absolute(target)?)),
            Data::Ns(server) => RData::NS(NS(absolute(server)?)),
            Data::Txt(text) => {
                ttl = VERSION_TTL;
                RData::TXT(TXT::new(vec![text.clone()]))
            }
            Data::Soa => {
                ttl = ttl.min(LONGEST);
                let below = |label: &str| absolute(&format!("{label}.{}", record.name));
                RData::SOA(SOA::new(below("ns.dns")?, below("hostmaster")?, serial, 7200, 1800, 86400, self.options.ttl))
            }
        };
        Some(Wire::from_rdata(absolute(&record.name)?, ttl, data))
    }
}

fn kind(kind: RecordType) -> Kind {
    match kind {
        RecordType::A => Kind::A,
        RecordType::AAAA => Kind::Aaaa,
        RecordType::SRV => Kind::Srv,
        RecordType::PTR => Kind::Ptr,
        RecordType::TXT => Kind::Txt,
        RecordType::SOA => Kind::Soa,
        RecordType::NS => Kind::Ns,
        RecordType::CNAME => Kind::Cname,
        _ => Kind::Other,
    }
}
