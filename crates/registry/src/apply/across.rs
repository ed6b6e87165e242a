//! Managers that speak other versions of an object, where a webhook converts it: what changed is looked at in the version of
//! each, since a field may have another path there (upstream: `structured-merge-diff/merge`, `managedfields/versionconverter.go`).

use std::collections::{BTreeMap, HashMap};

use meta::{Object, Status};
use schema::Schema;

use super::compare::{Changes, compare};
use super::managers::Manager;
use super::set::Set;
use super::walk::{self, Form};
use super::{Writer, unmanaged};
use crate::codec::Converter;

/// What changed, as the versions that managers speak have it.
pub(super) struct Across {
    own: Changes,
    /// Where that is not the same; `None`: there is no such version any more.
    others: HashMap<String, Option<Changes>>,
}

impl Across {
    /// What changed is the same in all versions.
    pub fn alike(own: Changes) -> Across {
        Across { own, others: HashMap::new() }
    }

    /// In the version of the writer.
    pub fn own(&self) -> &Changes {
        &self.own
    }

    /// In a version; `None`: there is no such version any more, and nobody manages anything of it.
    pub fn of(&self, api_version: &str) -> Option<&Changes> {
        self.others.get(api_version).map_or(Some(&self.own), Option::as_ref)
    }
}

impl Writer<'_> {
    /// What changed for each of the managers.
    pub(super) async fn across(&self, own: Changes, old: &Object, new: &Object, all: &[Manager]) -> Result<Across, Status> {
        let mut across = Across::alike(own);
        let Some(converter) = self.converter else { return Ok(across) };
        let mine = self.schema.gvk().api_version();
        for version in all.iter().map(|manager| &manager.api_version).filter(|version| **version != mine) {
            if across.others.contains_key(version) {
                continue;
            }
            let pair = vec![unmanaged(old), unmanaged(new)];
            let changes = converter.at(version, pair).await?.and_then(|(schema, pair)| {
                let [old, new] = <[Object; 2]>::try_from(pair).ok()?;
                let found = compare(schema.root(), old.fields(), new.fields());
                Some(Changes { changed: self.filter(found.changed), removed: self.filter(found.removed), ..found })
            });
            across.others.insert(version.clone(), changes);
        }
        Ok(across)
    }

    /// Whether an apply has to look at other versions to see what is to go.
    pub(super) fn spans(&self, mine: &Manager, others: &[Manager]) -> bool {
        let own = self.schema.gvk().api_version();
        self.converter.is_some() && others.iter().chain([mine]).any(|manager| manager.api_version != own)
    }

    /// The merged object without what its manager has applied before and applies no more, as far as nobody else manages it,
    /// each in his version.
    pub(super) async fn pruned(&self, merged: Object, mine: &Manager, others: &[Manager], now: &Set) -> Result<Object, Status> {
        let Some(converter) = self.converter else { return Ok(merged) };
        let own = self.schema.gvk().api_version();
        let mut sets: BTreeMap<&str, Set> = BTreeMap::from([(&*own, now.clone())]);
        for manager in others {
            let set = sets.remove(&*manager.api_version).unwrap_or_default();
            sets.insert(&manager.api_version, set.union(&manager.set));
        }
        let start = Place { converter, schema: self.schema.clone(), merged: merged.clone(), pruned: merged.clone() };
        // What was applied in a version that is no more is left as it is.
        let Some(mut place) = start.moved(&mine.api_version).await? else { return Ok(merged) };
        let (before, last) = (place.copy(), mine.set.with_parents());
        place.pruned = place.without(&place.paths(&place.merged).intersection(&last));
        let first = sets.remove_entry(&*mine.api_version);
        for (version, set) in first.into_iter().chain(sets) {
            let Some(mut there) = place.copy().moved(version).await? else { continue };
            let left = there.paths(&there.pruned).union(&set.with_parents());
            there.pruned = there.without(&there.paths(&there.merged).difference(&left));
            place = there;
        }
        // What is left to nobody goes if he had applied it, and nothing else.
        let Some(after) = place.moved(&mine.api_version).await? else { return Ok(merged) };
        let gone = before.paths(&before.merged).difference(&before.paths(&after.pruned)).intersection(&last);
        let done = Place { pruned: before.without(&gone), ..before.copy() };
        Ok(done.moved(&own).await?.map_or(merged, |place| place.pruned))
    }
}

/// An object before and after something was taken out of it, in some version.
struct Place<'a> {
    converter: &'a Converter,
    schema: Schema,
    merged: Object,
    pruned: Object,
}

impl<'a> Place<'a> {
    fn copy(&self) -> Place<'a> {
        Place { converter: self.converter, schema: self.schema.clone(), merged: self.merged.clone(), pruned: self.pruned.clone() }
    }

    /// The same in another version; `None`: there is none.
    async fn moved(self, api_version: &str) -> Result<Option<Place<'a>>, Status> {
        if self.merged.api_version() == api_version {
            return Ok(Some(self));
        }
        let Some((schema, pair)) = self.converter.at(api_version, vec![self.merged, self.pruned]).await? else { return Ok(None) };
        let Ok([merged, pruned]) = <[Object; 2]>::try_from(pair) else { return Ok(None) };
        Ok(Some(Place { converter: self.converter, schema, merged, pruned }))
    }

    fn form(&self) -> Form<'_> {
        Form::Struct(self.schema.root())
    }

    fn paths(&self, object: &Object) -> Set {
        walk::paths(self.form(), &object.fields().clone().into()).below.with_parents()
    }

    /// The merged object without some of it. It stays the same object: a webhook could not answer otherwise.
    fn without(&self, gone: &Set) -> Object {
        let mut tree = self.merged.fields().clone().into();
        walk::remove(self.form(), &mut tree, gone);
        let mut object = Object::from_value(tree).unwrap_or_default();
        for field in ["metadata.name", "metadata.namespace", "metadata.uid"] {
            if let Some(value) = self.merged.at(field) {
                object.set(field, value.clone());
            }
        }
        object.set("apiVersion", self.merged.api_version());
        object.set("kind", self.merged.kind());
        object
    }
}
