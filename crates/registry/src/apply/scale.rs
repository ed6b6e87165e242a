//! The account of a change through `scale` (upstream: `managedfields/scalehandler.go`): Scale has those managers of the
//! object that manage its replicas, in its own words, and what becomes of them there is written back.
//!
//! Back from Scale an update is another entry than that of the same manager for the rest of the object, even if both
//! have one name: as upstream, of two such entries only the later is read.

use meta::Object;
use meta::names::split_api_version;

use super::managers::{self, Manager};
use super::set::Set;

/// Where the replicas are in Scale.
const REPLICAS: &str = "spec.replicas";

/// The set of a path of plain names.
fn at(path: &str) -> Set {
    Set::fields(&path.split('.').collect::<Vec<_>>())
}

fn has(manager: &Manager, path: &str) -> bool {
    !manager.set.intersection(&at(path)).is_empty()
}

/// Gives a Scale the managers of its object's replicas, which are at `path` there.
pub(crate) fn lend(object: &Object, path: &str, scale: &mut Object) {
    let own = managers::read(object).into_iter().filter(|manager| has(manager, path) && is_known(manager, object));
    let in_scale = |manager| Manager { api_version: scale.api_version().to_owned(), set: at(REPLICAS), ..manager };
    let managers = own.map(in_scale).collect();
    managers::write(scale, managers);
}

/// Gives the object the managers back: `old` is what it was, with its replicas at `path`, `scale` what was written.
pub(crate) fn give_back(old: &Object, path: &str, scale: &Object, new: &mut Object) {
    let mut from_scale = managers::read(scale);
    let mut all = Vec::new();
    for mut manager in managers::read(old).into_iter().filter(|manager| is_known(manager, old)) {
        if has(&manager, path) {
            match from_scale.iter().position(|other| other.is(&manager)) {
                Some(kept) => drop(from_scale.remove(kept)),
                None => manager.set = manager.set.difference(&at(path)),
            }
        }
        all.push(manager);
    }
    // Upstream does not know their times.
    let of_object =
        |manager| Manager { api_version: old.api_version().to_owned(), time: String::new(), set: at(path), ..manager };
    all.extend(from_scale.into_iter().filter(|manager| has(manager, REPLICAS)).map(of_object));
    managers::write(new, all);
}

/// Whether it is known where the replicas are in the version that a manager speaks.
fn is_known(manager: &Manager, object: &Object) -> bool {
    split_api_version(&manager.api_version).0 == split_api_version(object.api_version()).0
}
