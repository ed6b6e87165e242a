//! What clients were told: all that a registry shows after a start has to agree with it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use meta::Object;

/// What a client asked for and has no answer to yet.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `resource/name`; only `resource/` where the server makes the name up.
    pub key: String,
    /// Stands in what it writes, and nowhere else.
    pub mark: String,
    /// Whether the object may be gone after it.
    pub removes: bool,
}

/// What a key had at a revision, as somebody was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// These bytes.
    Present(String),
    /// Nothing.
    Gone,
}

/// One for a run with all its lives.
#[derive(Debug, Default)]
pub struct Books {
    told: BTreeMap<String, BTreeMap<u64, Told>>,
    asked: HashMap<u64, Asked>,
    refused: HashSet<String>,
    /// Who wrote what at which revision: a revision is used once.
    revisions: HashMap<u64, String>,
    highest: u64,
    last: u64,
    /// What is wrong, the first of it.
    wrong: Option<String>,
}

impl Books {
    /// A mark that no other has.
    pub fn mark(&mut self) -> String {
        self.last += 1;
        format!("m{}", self.last)
    }

    /// A client asks; the number is for [`Books::answered`].
    pub fn ask(&mut self, asked: Asked) -> u64 {
        self.last += 1;
        self.asked.insert(self.last, asked);
        self.last
    }

    /// An object was written, or is gone.
    pub fn answered(&mut self, number: u64, object: &Object, gone: bool) {
        let Some(asked) = self.asked.remove(&number) else { return };
        let key = key_of(&asked, object);
        let revision = revision_of(object);
        let text = if gone { format!("{key} gone") } else { text(object) };
        // A removal may be told at the revision of the mark that went before it: then somebody else has removed it.
        if !(gone && self.revisions.contains_key(&revision)) {
            self.observe(&key, revision, &text);
        }
        let told = self.told.entry(key).or_default().entry(revision);
        match gone {
            true => drop(told.insert_entry(Told::Gone)),
            // Who marked it may hear that later than who removed it.
            false => drop(told.or_insert(Told::Present(text))),
        }
    }

    /// It was answered that it is not done.
    pub fn refused(&mut self, number: u64) {
        if let Some(asked) = self.asked.remove(&number) {
            self.refused.insert(asked.mark);
        }
    }

    /// Somebody has seen this at a revision: nobody may ever see another thing there.
    pub fn observe(&mut self, key: &str, revision: u64, text: &str) {
        self.highest = self.highest.max(revision);
        let seen = self.revisions.entry(revision).or_insert_with(|| text.to_owned());
        if seen != text {
            let why = format!("{key}: revision {revision} was {seen} and is {text}");
            self.fail(why);
        }
    }

    /// A registry shows an object.
    pub fn see(&mut self, key: &str, object: &Object) {
        self.observe(key, revision_of(object), &text(object));
        for mark in marks(object) {
            if self.refused.contains(&mark) {
                self.fail(format!("{key}: {mark} was refused, and is there: {}", text(object)));
            }
        }
        // Both are written together.
        if object.label("mark") != object.annotation("mark") {
            self.fail(format!("{key} is half written: {}", text(object)));
        }
    }

    pub fn fail(&mut self, why: String) {
        self.wrong.get_or_insert(why);
    }

    pub fn verdict(&self) -> Result<(), String> {
        self.wrong.clone().map_or(Ok(()), Err)
    }

    /// What a registry shows after a start (`started`), or when nobody asks any more: every object, by key. Where it was
    /// ended in good order, nothing is missing; otherwise the newest of what may be late (`is_lazy`) may be.
    pub fn check(&mut self, found: &BTreeMap<String, Object>, revision: u64, clean: bool) {
        if revision < self.highest {
            self.fail(format!("the store is at revision {revision}, and {} was seen", self.highest));
        }
        found.iter().for_each(|(key, object)| self.see(key, object));
        let keys: BTreeSet<String> = self.told.keys().chain(found.keys()).cloned().collect();
        for key in keys {
            if let Err(why) = self.explain(&key, found.get(&key), clean) {
                self.fail(format!("{key}: {why}"));
            }
        }
    }

    fn explain(&self, key: &str, found: Option<&Object>, clean: bool) -> Result<(), String> {
        let none = BTreeMap::new();
        let told = self.told.get(key).unwrap_or(&none);
        let open: Vec<&Asked> = self.asked.values().filter(|asked| is_about(asked, key)).collect();
        let late = !clean && is_lazy(key);
        let newest = told.last_key_value();
        let Some(object) = found else {
            return match newest {
                Some((_, Told::Present(_))) if !late && !open.iter().any(|asked| asked.removes) => {
                    Err(format!("it is not there; told: {newest:?}, open: {open:?}"))
                }
                _ => Ok(()),
            };
        };
        let (revision, text) = (revision_of(object), text(object));
        match (told.get(&revision), newest) {
            (Some(Told::Present(known)), _) if *known != text => Err(format!("told {known}, found {text}")),
            (_, Some((last, told))) if *last > revision && !late => {
                Err(format!("told {told:?} at {last}, found {text}"))
            }
            (Some(Told::Gone), _) if !late => Err(format!("it was gone at {revision}, and is {text}")),
            (Some(_), _) => Ok(()),
            (None, _) if open.is_empty() && !late => Err(format!("nobody asked for {text}; told: {newest:?}")),
            (None, _) => Ok(()),
        }
    }

    /// The process has ended: what has no answer gets none any more, and what is there is known.
    pub fn begin(&mut self, found: &BTreeMap<String, Object>) {
        self.asked.clear();
        self.told.clear();
        for (key, object) in found {
            self.told.insert(key.clone(), BTreeMap::from([(revision_of(object), Told::Present(text(object)))]));
        }
    }
}

/// Heartbeats and events may be late on the disk.
fn is_lazy(key: &str) -> bool {
    key.starts_with("leases")
}

fn is_about(asked: &Asked, key: &str) -> bool {
    asked.key == key || (asked.key.ends_with('/') && key.starts_with(&asked.key))
}

fn key_of(asked: &Asked, object: &Object) -> String {
    let resource = asked.key.split('/').next().unwrap_or_default();
    format!("{resource}/{}", object.name())
}

/// Marks that stand in an object.
fn marks(object: &Object) -> impl Iterator<Item = String> {
    let label = object.label("mark").map(str::to_owned);
    let status =
        object.at("status.conditions").and_then(|list| Some(list.get(0)?.get("message")?.as_str()?.to_owned()));
    label.into_iter().chain(status)
}

pub fn revision_of(object: &Object) -> u64 {
    object.resource_version().parse().unwrap_or(0)
}

pub fn text(object: &Object) -> String {
    object.clone().into_value().to_string()
}
