//! Server-side apply: fields have managers, a manager says what it wants, and what it stops to say goes
//! (upstream: `apimachinery/pkg/util/managedfields`, `structured-merge-diff`).
//!
//! Every write has a manager, and is kept account of. An object that has no account (a client asked to forget it)
//! gets one at the next apply; what it had before belongs to `before-first-apply`.

mod across;
mod compare;
mod last_applied;
mod managers;
pub(crate) mod scale;
mod set;
mod typed;
mod walk;

use jiff::Timestamp;
use meta::status::Cause;
use meta::{Object, Reason, Status, time};
use schema::Schema;
use serde_json::Value;

use crate::api::Call;
use crate::codec::Converter;

use across::Across;
use compare::{Changes, compare};
use managers::Manager;
use set::Set;
use walk::Form;

const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// Who sends neither a field manager nor a user agent.
const UNKNOWN: &str = "unknown";

/// Who writes, and to which part.
pub(crate) struct Writer<'a> {
    pub schema: &'a Schema,
    /// `fieldManager`.
    pub manager: &'a str,
    pub subresource: &'a str,
    /// What a write to this part cannot change, and so does not manage (upstream: `GetResetFields`).
    pub reset: &'static [&'static [&'static str]],
    /// Who converts the object into the versions that other managers speak, where they are not alike but for their names.
    pub converter: Option<&'a Converter>,
}

impl Writer<'_> {
    fn form(&self) -> Form<'_> {
        Form::Struct(self.schema.root())
    }

    fn me(&self, applies: bool, now: Timestamp) -> Manager {
        Manager {
            name: if self.manager.is_empty() { UNKNOWN.to_owned() } else { self.manager.to_owned() },
            applies,
            api_version: self.schema.gvk().api_version(),
            subresource: self.subresource.to_owned(),
            time: time::seconds(now),
            set: Set::default(),
        }
    }

    fn filter(&self, set: Set) -> Set {
        let set = match self.subresource {
            "ephemeralcontainers" => set.inside(&["spec", "ephemeralContainers"]),
            _ => set,
        };
        self.reset.iter().fold(set, |set, path| set.outside(&Set::fields(path)))
    }

    fn compare(&self, old: &Object, new: &Object) -> Changes {
        let Changes { changed, removed, nameless } = compare(self.schema.root(), old.fields(), new.fields());
        Changes { changed: self.filter(changed), removed: self.filter(removed), nameless }
    }

    /// Keeps account of a create.
    pub fn created(&self, new: &mut Object, now: Timestamp) {
        self.track_alike(&Object::default(), new, now);
    }

    /// Keeps account of a write that is no apply, or none if the object has items that cannot be told apart.
    pub async fn track(&self, old: &Object, new: &mut Object, now: Timestamp) {
        let Some((all, own)) = self.begin(old, new) else { return };
        match self.across(own, old, new, &all).await {
            Ok(across) => self.account(all, &across, new, now),
            // As upstream: who manages what is no longer known then.
            Err(error) => tracing::warn!(object = %new.key(), %error, "its managers could not be kept account of"),
        }
    }

    /// The same where all versions are alike.
    pub fn track_alike(&self, old: &Object, new: &mut Object, now: Timestamp) {
        let Some((all, own)) = self.begin(old, new) else { return };
        self.account(all, &Across::alike(own), new, now);
    }

    /// The managers so far, and what changes; `None`: no account is kept.
    fn begin(&self, old: &Object, new: &mut Object) -> Option<(Vec<Manager>, Changes)> {
        let all = if self.subresource.is_empty() && is_reset(new) { Vec::new() } else { self.known(old, new) };
        new.remove("metadata.managedFields");
        if all.is_empty() && !old.uid().is_empty() {
            return None;
        }
        let changes = self.compare(old, new);
        // No path leads to an item without a name: upstream gives up its account (`FieldManager.UpdateNoErrors`).
        (!changes.nameless).then_some((all, changes))
    }

    fn account(&self, all: Vec<Manager>, across: &Across, new: &mut Object, now: Timestamp) {
        let mut all = left_with(all, across);
        let changes = across.own();
        if !changes.changed.is_empty() {
            let mut me = self.me(false, now);
            let mine = all.iter().position(|m| m.is(&me)).map(|at| all.remove(at));
            me.set = match mine {
                Some(mine) => mine.set.union(&changes.changed),
                None => changes.changed.clone(),
            };
            all.push(me);
        }
        managers::write(new, all);
    }

    /// The managers that a client sends, or else those that are stored. A subresource takes none from clients.
    fn known(&self, old: &Object, new: &Object) -> Vec<Manager> {
        let sent = if self.subresource.is_empty() { managers::read(new) } else { Vec::new() };
        if sent.is_empty() { managers::read(old) } else { sent }
    }

    /// What makes a configuration unfit to be applied.
    pub fn flaw(&self, config: &Object) -> Option<String> {
        typed::flaw(self.schema.root(), &config.fields().clone().into())
    }

    /// What upstream answers to an apply to an object that has items that cannot be told apart: 500 without a reason.
    fn unaccountable(&self, live: &Object, first: bool) -> Status {
        let gvk = self.schema.gvk();
        let name = format!("({}/{}; {}/{}, Kind={})", live.namespace(), live.name(), gvk.group, gvk.version, gvk.kind);
        let why = self.flaw(live).unwrap_or_default();
        Status::new(Reason::Unknown, match first {
            true => format!("failed to create manager for existing fields: failed to convert new object {name} to smd typed: {why}"),
            false => format!("failed to create typed live object {name}: {why}"),
        })
    }

    /// The object after an apply of a configuration, as it came. `finish` makes a tidy object of what was merged:
    /// decoded, with defaults.
    pub async fn apply(
        &self,
        live: &Object,
        config: &Object,
        force: bool,
        now: Timestamp,
        finish: impl Fn(Value) -> Result<Object, Status> + Send,
    ) -> Result<Object, Status> {
        let mut all = managers::read(live);
        let mut was = live.clone();
        was.remove("metadata.managedFields");
        let there = self.compare(&Object::default(), &was);
        if there.nameless {
            return Err(self.unaccountable(&was, all.is_empty()));
        }
        if all.is_empty() && !live.uid().is_empty() {
            let mut before = Manager { name: BEFORE_FIRST_APPLY.to_owned(), ..self.me(false, now) };
            before.set = there.changed;
            all.push(before);
        }
        let mut me = self.me(true, now);
        let mine = all.iter().position(|m| m.is(&me)).map(|at| all.remove(at));
        let wanted = config.fields().clone().into();
        me.set = self.filter(walk::paths(self.form(), &wanted).below);
        let mut merged = walk::merge(self.form(), was.fields().clone().into(), &wanted);
        if let Some(mine) = mine.as_ref().filter(|mine| self.spans(mine, &all)) {
            let whole = Object::from_value(merged).unwrap_or_default();
            merged = self.pruned(whole, mine, &all, &me.set).await?.into_value();
        } else if let Some(mine) = &mine {
            let owned = all.iter().fold(me.set.clone(), |sum, m| sum.union(&m.set)).with_parents();
            let left = walk::paths(self.form(), &merged).below.with_parents();
            let gone = left.intersection(&mine.set.with_parents()).difference(&owned);
            walk::remove(self.form(), &mut merged, &gone);
        }
        let merged = Object::from_value(merged).unwrap_or_default();
        let changes = self.compare(&was, &merged);
        let across = self.across(changes, &was, &merged, &all).await?;
        if !force {
            self.check_conflicts(&all, &across, &was)?;
        }
        all = left_with(all, &across);
        let same = merged == was;
        me.set = managed(&me.set);
        if same {
            me.time = mine.map(|m| m.time).unwrap_or_default();
        }
        all.push(me);
        let mut new = if same { was } else { finish(merged.into_value())? };
        managers::write(&mut new, all);
        last_applied::keep_current(self, &mut new, config);
        Ok(new)
    }

    /// 409 if the apply changes what others manage, and what client-side apply has not made so.
    fn check_conflicts(&self, others: &[Manager], across: &Across, live: &Object) -> Result<(), Status> {
        let of = |other: &Manager| across.of(&other.api_version).map(|changes| other.set.intersection(&changes.changed));
        let mut found: Vec<(&Manager, Set)> = others.iter().filter_map(|other| Some((other, of(other)?))).collect();
        found.retain(|(_, set)| !set.is_empty());
        if !found.is_empty() && let Some(own) = last_applied::owned(self, live) {
            found.iter_mut().for_each(|(_, set)| *set = set.difference(&own));
        }
        refuse_conflicts(&found)
    }
}

/// Keeps account of an object that is answered and not stored.
pub fn keep_account(schema: &Schema, call: &Call, object: &mut Object) {
    let (manager, subresource) = (&*call.field_manager, &*call.attributes.subresource);
    Writer { schema, manager, subresource, reset: &[], converter: None }.created(object, Timestamp::now());
}

/// Takes back what only a new time would write.
pub(crate) fn keep_times(old: &Object, new: &mut Object) {
    managers::keep_times(old, new);
}

/// Without what nobody manages.
fn managed(set: &Set) -> Set {
    let mut out = set.clone();
    for field in ["apiVersion", "kind"] {
        out.0.remove(&set::Step::Field(field.to_owned()));
    }
    out = compare::UNMANAGED.iter().fold(out, |set, field| set.difference(&Set::fields(&["metadata", field])));
    if let Some(metadata) = out.0.get_mut(&set::Step::Field("metadata".to_owned())) {
        metadata.member = false;
    }
    out.0.retain(|_, node| !node.is_empty());
    out
}

/// Whether the client asks to forget all managers: an empty list, or one empty entry.
fn is_reset(object: &Object) -> bool {
    match object.at("metadata.managedFields").and_then(Value::as_array) {
        Some(list) => list.is_empty() || (list.len() == 1 && list[0].as_object().is_some_and(serde_json::Map::is_empty)),
        None => false,
    }
}

/// The managers with what is left to them.
fn left_with(mut all: Vec<Manager>, across: &Across) -> Vec<Manager> {
    all.retain_mut(|manager| {
        let Some(changes) = across.of(&manager.api_version) else { return false };
        manager.set = manager.set.difference(&changes.changed).difference(&changes.removed);
        true
    });
    all
}

/// An object without who manages it.
fn unmanaged(object: &Object) -> Object {
    let mut object = object.clone();
    object.remove("metadata.managedFields");
    object
}

/// 409 if others manage what changes.
fn refuse_conflicts(others: &[(&Manager, Set)]) -> Result<(), Status> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for (other, changed) in others {
        let paths = changed.paths();
        if !paths.is_empty() {
            found.push((other.shown(), paths));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    found.sort();
    let count: usize = found.iter().map(|(_, paths)| paths.len()).sum();
    let text = if count == 1 {
        format!("Apply failed with 1 conflict: conflict with {}: {}", found[0].0, found[0].1[0])
    } else {
        let lines = found.iter().flat_map(|(manager, paths)| {
            let head = format!("conflicts with {manager}:");
            std::iter::once(head).chain(paths.iter().map(|path| format!("- {path}")))
        });
        format!("Apply failed with {count} conflicts: {}", lines.collect::<Vec<_>>().join("\n"))
    };
    let mut status = Status::new(Reason::Conflict, text);
    for (manager, paths) in found {
        status.causes.extend(paths.into_iter().map(|field| Cause {
            reason: "FieldManagerConflict".to_owned(),
            message: format!("conflict with {manager}"),
            field,
        }));
    }
    Err(status)
}
