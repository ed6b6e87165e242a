//! Server-side apply: fields have managers, a manager says what it wants, and what it stops to say goes
//! (upstream: `apimachinery/pkg/util/managedfields`, `structured-merge-diff`).
//!
//! Managers are tracked from the first apply on. What an object had before belongs to `before-first-apply`,
//! as upstream has it for objects older than server-side apply.

mod managers;
mod set;
mod walk;

use jiff::Timestamp;
use meta::status::Cause;
use meta::{Object, Reason, Status, time};
use schema::Schema;
use serde_json::Value;

use managers::Manager;
use set::Set;
use walk::Form;

const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Fields that nobody manages.
const UNMANAGED: [&[&str]; 11] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
    &["metadata", "clusterName"],
];

/// Who writes, and to which part.
pub(crate) struct Writer<'a> {
    pub schema: &'a Schema,
    /// `fieldManager`.
    pub manager: &'a str,
    pub subresource: &'a str,
    /// Whether the kind has a `status` subresource: then other writes do not change the status.
    pub has_status: bool,
}

impl Writer<'_> {
    fn form(&self) -> Form<'_> {
        Form::Struct(self.schema.root())
    }

    fn me(&self, applies: bool, now: Timestamp) -> Manager {
        Manager {
            name: self.manager.to_owned(),
            applies,
            api_version: self.schema.gvk().api_version(),
            subresource: self.subresource.to_owned(),
            time: time::seconds(now),
            set: Set::default(),
        }
    }

    /// What a write to this part cannot change is not managed through it.
    fn filter(&self, set: &Set) -> Set {
        match self.subresource {
            "status" => set.outside(&Set::fields(&["spec"])),
            _ if self.has_status => set.outside(&Set::fields(&["status"])),
            _ => set.clone(),
        }
    }

    fn paths(&self, object: &Value) -> Set {
        walk::paths(self.form(), object).below
    }

    /// What a change adds, changes, and takes away.
    fn compare(&self, old: &Value, new: &Value) -> Changes {
        let (was, is) = (self.paths(old), self.paths(new));
        let changed = walk::modified(self.form(), old, new).below.union(&is.difference(&was));
        Changes { changed: self.filter(&changed), removed: self.filter(&was.difference(&is)) }
    }

    /// Keeps account of a write that is no apply. Objects that were never applied are not tracked.
    pub fn track(&self, old: &Object, new: &mut Object, now: Timestamp) {
        if is_reset(new) {
            new.remove("metadata.managedFields");
            return;
        }
        let known = if self.subresource.is_empty() { managers::read(new) } else { Vec::new() };
        let mut all = if known.is_empty() { managers::read(old) } else { known };
        if all.is_empty() {
            return;
        }
        let changes = self.compare(&bare(old), &bare(new));
        let mut me = self.me(false, now);
        for other in all.iter_mut().filter(|m| !m.is(&me)) {
            other.set = other.set.difference(&changes.changed).difference(&changes.removed);
        }
        let mine = all.iter().position(|m| m.is(&me)).map(|at| all.remove(at));
        let before = mine.as_ref().map(|m| m.set.clone()).unwrap_or_default();
        me.set = managed(&before.difference(&changes.removed).union(&changes.changed));
        if let Some(mine) = mine.filter(|m| m.set == me.set) {
            me.time = mine.time;
        }
        all.push(me);
        managers::write(new, all);
    }

    /// The object after an apply of a configuration, which is decoded but not defaulted. `default` fills in
    /// what the server would.
    pub fn apply(
        &self,
        live: &Object,
        config: &Object,
        force: bool,
        now: Timestamp,
        default: impl Fn(&mut Object),
    ) -> Result<Object, Status> {
        let was = bare(live);
        let config = bare(config);
        let mut all = managers::read(live);
        if all.is_empty() && !live.uid().is_empty() {
            let mut before = Manager { name: BEFORE_FIRST_APPLY.to_owned(), ..self.me(false, now) };
            before.subresource.clear();
            before.set = managed(&self.paths(&was));
            all.push(before);
        }
        let mut me = self.me(true, now);
        let mine = all.iter().position(|m| m.is(&me)).map(|at| all.remove(at));
        me.set = self.filter(&self.paths(&config));
        let mut merged = walk::merge(self.form(), was.clone(), &config);
        if let Some(mine) = &mine {
            let owned = all.iter().fold(me.set.clone(), |sum, m| sum.union(&m.set)).with_parents();
            let gone = self.paths(&merged).with_parents().intersection(&mine.set.with_parents()).difference(&owned);
            walk::remove(self.form(), &mut merged, &gone);
        }
        let mut new = Object::from_value(merged).unwrap_or_default();
        default(&mut new);
        let changes = self.compare(&was, &bare(&new));
        check_conflicts(&all, &changes.changed, force)?;
        for other in &mut all {
            other.set = other.set.difference(&changes.changed).difference(&changes.removed);
        }
        me.set = managed(&me.set);
        if let Some(mine) = mine.filter(|m| m.set == me.set && m.api_version == me.api_version) {
            me.time = mine.time;
        }
        all.push(me);
        managers::write(&mut new, all);
        Ok(new)
    }
}

struct Changes {
    changed: Set,
    removed: Set,
}

/// The tree without managed fields.
fn bare(object: &Object) -> Value {
    let mut object = object.clone();
    object.remove("metadata.managedFields");
    object.into_value()
}

/// Without what nobody manages.
fn managed(set: &Set) -> Set {
    let mut out = UNMANAGED.iter().fold(set.clone(), |set, path| set.difference(&Set::fields(path)));
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

/// 409 if the apply changes what others manage.
fn check_conflicts(others: &[Manager], changed: &Set, force: bool) -> Result<(), Status> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for other in others {
        let paths = other.set.intersection(changed).paths();
        if !paths.is_empty() {
            found.push((other.shown(), paths));
        }
    }
    if force || found.is_empty() {
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
