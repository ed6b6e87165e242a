//! `autopath [ZONES...] RESOLV-CONF`: a name that is in the first domain of its client's search path is looked up in the
//! others at once, and the first of them that is there answers: the client need not ask for each. `@kubernetes` is the
//! search path of the pod that asks, which `pods verified` knows.

use std::path::PathBuf;

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{RData, Record};
use tokio::time::Instant;

use super::{ALL, Building, kubernetes, once};
use crate::corefile::{Directive, FOLDER, Fault, zones};
use crate::limits::FORWARDING;
use crate::message::{Question, Said};
use crate::names;
use crate::resolver;
use crate::step::{Asker, Outcome, Rest, Step};
use crate::world::World;
use crate::zone::{Options, Pods};

/// Where the search path comes from.
enum Search {
    /// From the client, which is a pod; behind the domains of the cluster come those of the machine.
    Pods(World, Options, PathBuf),
    /// From the machine's configuration.
    Machine(PathBuf),
    /// From a key of the ConfigMap.
    Fixed(Vec<String>),
}

struct AutoPath {
    zones: Vec<String>,
    search: Search,
}

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    // Of several lines CoreDNS takes the last; nobody can mean the others.
    let directive = once(directives)?;
    let Some((from, args)) = directive.args.split_last() else {
        return Err(Fault::at(directive.name.line, "no resolv-conf specified"));
    };
    let machine = building.environment.resolv_conf.clone();
    let search = match from.text.strip_prefix('@') {
        Some("kubernetes") => match kubernetes::options_of(building)? {
            Some(options) if options.pods == Pods::Verified => {
                Search::Pods(building.environment.world.clone(), options, machine)
            }
            // Nobody knows the clients: names are not looked up elsewhere.
            _ => return Ok(()),
        },
        Some(name) if ALL.iter().any(|member| member.name == name) => {
            return Err(Fault::at(from.line, format!("{name} does not implement the AutoPather interface")));
        }
        Some(name) => return Err(Fault::at(from.line, format!("directive '{name}' is not supported"))),
        None if from.text == "/etc/resolv.conf" => Search::Machine(machine),
        None => {
            let text = from.text.strip_prefix(FOLDER).and_then(|key| building.files.get(key));
            let why = || format!("failed to parse \"{}\": it is no key of the ConfigMap below {FOLDER}", from.text);
            Search::Fixed(resolver::search(text.ok_or_else(|| Fault::at(from.line, why()))?))
        }
    };
    building.push(AutoPath { zones: zones::origins(args, building.zones)?, search });
    Ok(())
}

impl AutoPath {
    /// The client's search path, if it has one, for a name in one of the zones.
    fn path(&self, asker: &Asker, question: &Question) -> Vec<String> {
        match &self.search {
            Search::Fixed(path) => path.clone(),
            Search::Machine(file) => resolver::search(&resolver::read(file)),
            Search::Pods(world, options, file) => {
                // The next who asks the same may be another client.
                asker.changes();
                let Some(zone) = options.zone(question.bare()) else { return Vec::new() };
                let state = world.lock();
                let Some(pod) = state.pods_at(asker.asked.client).first() else { return Vec::new() };
                let mut path = vec![format!("{}.svc.{zone}.", pod.namespace), format!("svc.{zone}."), format!("{zone}.")];
                drop(state);
                path.extend(resolver::search(&resolver::read(file)));
                path
            }
        }
    }

    /// What stands before the first domain of the path, and the other names to look up. The last of them is the name itself.
    fn names(&self, asker: &Asker, question: &Question) -> Option<(String, Vec<String>)> {
        if !self.zones.iter().any(|zone| zones::within(&question.name, zone)) {
            return None;
        }
        let path = self.path(asker, question);
        let (first, others) = path.split_first()?;
        let base = question.name.strip_suffix(first.as_str())?.strip_suffix('.').filter(|base| !base.is_empty())?;
        let name = |domain: &str| format!("{base}.{}", if domain == "." { "" } else { domain });
        let others = others.iter().map(|domain| name(domain)).chain([name("")]);
        // Some may be too long together.
        Some((question.name.clone(), others.filter(|name| names::parse(name).is_some()).collect()))
    }
}

impl Step for AutoPath {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        let Some((first, others)) = self.names(asker, &question) else { return rest.answer(asker, question) };
        Box::pin(async move {
            let until = Instant::now() + FORWARDING;
            let denied = rest.answer(asker, question.clone()).await?;
            if denied.code != ResponseCode::NXDomain {
                return Ok(alias(denied, &first));
            }
            for name in others {
                if Instant::now() > until {
                    break;
                }
                let said = rest.answer(asker, Question { name, ..question.clone() }).await?;
                if said.code != ResponseCode::NXDomain {
                    return Ok(alias(said, &first));
                }
            }
            // The client goes on by itself.
            Ok(denied)
        })
    }
}

/// Has the name that was asked for stand for that of the answer.
fn alias(mut said: Said, name: &str) -> Said {
    let Some(name) = names::parse(name) else { return said };
    if let Some(other) = said.answers.first().filter(|_| said.answers.iter().all(|record| record.name != name)) {
        let data = RData::CNAME(CNAME(other.name.clone()));
        said.answers.insert(0, Record::from_rdata(name, other.ttl, data));
    }
    said
}

#[cfg(test)]
mod tests;
