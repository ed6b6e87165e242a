//! LIST: one page, all of it as of one revision.
//!
//! The rules of `resourceVersion` and `resourceVersionMatch` are upstream's (`apiserver/pkg/storage`).

use std::ops::Bound;
use std::sync::Arc;

use meta::field::{Error, Path};
use meta::{Encoded, Key, Status};
use store::Store;

use super::select::Selection;
use super::token::Token;
use crate::api::{List, ListOptions, VersionMatch};
use crate::cache::{Feed, Keys, Objects};
use crate::error::{LIST_EXPIRED, from_store, parse_revision, too_large};
use crate::kind::Kind;

/// Entries read from the store at once when a selector may drop many.
const CHUNK: usize = 1000;

const CONTINUE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. \
    You can start a new list without the continue parameter, or use the continue token in this response to retrieve \
    the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that \
    were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// Which state of the world is asked for.
#[derive(Debug, PartialEq, Eq)]
enum At {
    /// Everything that was acknowledged before the request.
    Newest,
    /// What the cache has, if it has reached this revision.
    Least(u64),
    /// Exactly this revision.
    Exactly(u64),
}

struct Plan {
    at: At,
    /// Key relative to the list's prefix.
    after: Option<String>,
}

impl Plan {
    fn new(options: &ListOptions) -> Result<Self, Status> {
        check_match(options)?;
        if !options.continue_token.is_empty() {
            let token = Token::decode(&options.continue_token)?;
            if !matches!(options.resource_version.as_str(), "" | "0") {
                return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
            }
            return Ok(Plan { at: token.revision.map_or(At::Newest, At::Exactly), after: Some(token.after) });
        }
        if options.resource_version.is_empty() {
            return Ok(Plan { at: At::Newest, after: None });
        }
        let revision = parse_revision(&options.resource_version)
            .map_err(|why| Status::bad_request(format!("invalid resource version: {why}")))?;
        let at = match options.version_match {
            Some(VersionMatch::Exact) => At::Exactly(revision),
            // A page of a list that began at this revision.
            None if options.limit > 0 && revision > 0 => At::Exactly(revision),
            _ => At::Least(revision),
        };
        Ok(Plan { at, after: None })
    }
}

fn check_match(options: &ListOptions) -> Result<(), Status> {
    let Some(wanted) = options.version_match else { return Ok(()) };
    let path = Path::new("resourceVersionMatch");
    let mut errors = Vec::new();
    let mut forbid = |why: &str| errors.push(Error::forbidden(&path, why));
    if options.resource_version.is_empty() {
        forbid("resourceVersionMatch is forbidden unless resourceVersion is provided");
    }
    if !options.continue_token.is_empty() {
        forbid("resourceVersionMatch is forbidden when continue is provided");
    }
    if wanted == VersionMatch::Exact && options.resource_version == "0" {
        forbid("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid("meta.k8s.io", "ListOptions", "", &errors)) }
}

/// What a list reads from.
pub(crate) struct Reader<'a> {
    pub store: &'a dyn Store,
    pub feed: &'a Feed,
    pub kind: &'a Kind,
    pub selection: &'a Selection,
}

impl Reader<'_> {
    /// One page.
    pub async fn list(&self, options: &ListOptions) -> Result<List, Status> {
        let plan = Plan::new(options)?;
        self.kind.cache.loaded().await;
        let paging = plan.after.is_some();
        match plan.at {
            At::Newest => {
                let newest = self.store.revision();
                if !self.feed.reach(newest).await {
                    return self.store_page(plan.after, options.limit, None, paging).await;
                }
            }
            At::Least(revision) => {
                if !self.feed.reach(revision).await {
                    return Err(too_large(revision, self.feed.revision()));
                }
            }
            At::Exactly(revision) => {
                if !self.feed.reach(revision).await {
                    return Err(too_large(revision, self.store.revision()));
                }
                let (objects, last, keys) = self.kind.cache.selected(self.selection);
                if revision < last {
                    return self.store_page(plan.after, options.limit, Some(revision), paging).await;
                }
                // Nothing has changed since.
                return self.snapshot_page(objects, keys, plan.after, options.limit, revision).await;
            }
        }
        // Asked before the snapshot is taken, so that the snapshot has at least that much.
        let reached = self.feed.revision();
        let (objects, last, keys) = self.kind.cache.selected(self.selection);
        self.snapshot_page(objects, keys, plan.after, options.limit, reached.max(last)).await
    }

    /// The part of a key after the list's prefix, and back.
    fn relative(&self, key: &Key) -> String {
        if self.selection.namespace.is_some() { key.name.to_string() } else { key.to_string() }
    }

    fn absolute(&self, relative: &str) -> Key {
        let relative = relative.trim_start_matches('/');
        match (&self.selection.namespace, relative.split_once('/')) {
            (Some(namespace), _) => Key { namespace: namespace.clone(), name: relative.into() },
            (None, Some((namespace, name))) => Key::new(namespace, name),
            (None, None) => Key::new("", relative),
        }
    }

    /// A page out of the objects; `keys`: those among which are all that are selected.
    async fn snapshot_page(
        &self,
        objects: Objects,
        keys: Option<Keys>,
        after: Option<String>,
        limit: usize,
        revision: u64,
    ) -> Result<List, Status> {
        let list = List { items: Vec::new(), revision, continue_token: String::new(), remaining: None };
        let limit = if limit == 0 { usize::MAX } else { limit };
        if let Some(key) = self.selection.object(self.kind.descriptor.namespaced) {
            let found = objects.get(&key).cloned().into_iter().collect();
            return self.converted_page(list, found, limit).await;
        }
        if self.kind.converter().is_some() {
            let rest = self.rest(&objects, keys.as_ref(), after).cloned().collect();
            return self.converted_page(list, rest, limit).await;
        }
        self.plain_page(list, &objects, keys.as_ref(), after, limit)
    }

    /// The objects that may be on the page, in key order.
    fn rest<'o>(
        &self,
        objects: &'o Objects,
        keys: Option<&'o Keys>,
        after: Option<String>,
    ) -> Box<dyn Iterator<Item = &'o Arc<Encoded>> + 'o> {
        let namespace = self.selection.namespace.clone();
        let from = match (&after, &namespace) {
            (Some(after), _) => Bound::Excluded(self.absolute(after)),
            (None, Some(namespace)) => Bound::Included(Key { namespace: namespace.clone(), name: "".into() }),
            (None, None) => Bound::Unbounded,
        };
        let in_scope = move |key: &Key| namespace.as_ref().is_none_or(|n| *n == key.namespace);
        match keys {
            Some(keys) => {
                let keys = keys.range((from, Bound::Unbounded)).take_while(move |key| in_scope(key));
                Box::new(keys.filter_map(|key| objects.get(key)))
            }
            None => Box::new(objects.range((from, Bound::Unbounded)).take_while(move |(key, _)| in_scope(key)).map(|(_, o)| o)),
        }
    }

    fn plain_page(
        &self,
        mut list: List,
        objects: &Objects,
        keys: Option<&Keys>,
        after: Option<String>,
        limit: usize,
    ) -> Result<List, Status> {
        let mut rest = self.rest(objects, keys, after);
        if self.selection.is_plain() && limit == usize::MAX && self.selection.namespace.is_none() {
            list.items.reserve(objects.len());
        }
        // A page is full when one more matches: only then a token is due.
        for object in rest.by_ref() {
            let shown = self.kind.present_now(object)?;
            if !self.selection.matches(&shown) {
                continue;
            }
            if list.items.len() == limit {
                self.continued(&mut list, 1 + rest.count() as u64);
                break;
            }
            list.items.push(shown);
        }
        Ok(list)
    }

    /// The same where somebody may have to be asked: no more than it takes is converted.
    async fn converted_page(&self, mut list: List, rest: Vec<Arc<Encoded>>, limit: usize) -> Result<List, Status> {
        let chunk = if self.selection.is_plain() { limit } else { CHUNK };
        let mut done = 0;
        while done < rest.len() {
            if list.items.len() == limit && self.selection.is_plain() {
                self.continued(&mut list, (rest.len() - done) as u64);
                break;
            }
            let next = &rest[done..done.saturating_add(chunk).min(rest.len())];
            for (at, shown) in self.kind.present_all(next).await?.into_iter().enumerate() {
                if !self.selection.matches(&shown) {
                    continue;
                }
                if list.items.len() == limit {
                    self.continued(&mut list, (rest.len() - done - at) as u64);
                    return Ok(list);
                }
                list.items.push(shown);
            }
            done += next.len();
        }
        Ok(list)
    }

    fn continued(&self, list: &mut List, remaining: u64) {
        let Some(last) = list.items.last() else { return };
        let token = Token { revision: Some(list.revision), after: self.relative(&last.key) };
        list.continue_token = token.encode();
        list.remaining = self.selection.is_plain().then_some(remaining);
    }

    /// The same from the store: for revisions that the cache has left behind.
    async fn store_page(
        &self,
        after: Option<String>,
        limit: usize,
        at: Option<u64>,
        paging: bool,
    ) -> Result<List, Status> {
        let prefix = match &self.selection.namespace {
            Some(namespace) => format!("{}{namespace}/", self.kind.descriptor.storage),
            None => self.kind.descriptor.storage.to_string(),
        };
        let expired = |error: store::Error| match error {
            store::Error::Compacted { .. } if paging => continue_expired(after.as_deref().unwrap_or_default()),
            store::Error::Compacted { .. } => Status::expired(LIST_EXPIRED),
            other => from_store(other),
        };
        let mut list = List { items: Vec::new(), revision: 0, continue_token: String::new(), remaining: None };
        let mut from = after.as_deref().map(|after| format!("{prefix}{}", after.trim_start_matches('/')));
        let mut at = at;
        let limit = if limit == 0 { usize::MAX } else { limit };
        let chunk = if self.selection.is_plain() && limit != usize::MAX { limit } else { CHUNK };
        loop {
            let page = self.store.range(&prefix, from.as_deref(), chunk, at).await.map_err(&expired)?;
            at = Some(page.revision);
            list.revision = page.revision;
            from = page.entries.last().map(|e| e.key.to_string());
            let mut shown = self.kind.encoded_all(&page.entries).await?.into_iter();
            while let Some(next) = shown.next() {
                if self.selection.matches(&next) {
                    list.items.push(next);
                }
                if list.items.len() == limit {
                    let remaining = shown.len() as u64 + page.remaining;
                    if remaining > 0 {
                        self.continued(&mut list, remaining);
                    }
                    return Ok(list);
                }
            }
            if !page.more {
                return Ok(list);
            }
        }
    }
}

/// 410, with a token that goes on at the newest revision.
fn continue_expired(after: &str) -> Status {
    let mut status = Status::expired(CONTINUE_EXPIRED);
    status.continue_token = Token { revision: None, after: after.to_owned() }.encode();
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_mean_what_upstream_says() {
        let plan = |rv: &str, limit, version_match| {
            let options = ListOptions { resource_version: rv.to_owned(), limit, version_match, ..ListOptions::default() };
            Plan::new(&options).map(|p| p.at).map_err(|s| s.message)
        };
        assert_eq!(plan("", 0, None), Ok(At::Newest));
        assert_eq!(plan("0", 5, None), Ok(At::Least(0)));
        assert_eq!(plan("7", 0, None), Ok(At::Least(7)));
        assert_eq!(plan("7", 5, None), Ok(At::Exactly(7)));
        assert_eq!(plan("7", 5, Some(VersionMatch::NotOlderThan)), Ok(At::Least(7)));
        assert_eq!(plan("7", 0, Some(VersionMatch::Exact)), Ok(At::Exactly(7)));
        assert!(plan("x", 0, None).is_err_and(|m| m.contains(r#"parsing "x": invalid syntax"#)));
        for (rv, wanted) in [("", VersionMatch::NotOlderThan), ("0", VersionMatch::Exact)] {
            assert!(plan(rv, 0, Some(wanted)).is_err_and(|m| m.contains("is forbidden")));
        }
    }
}
