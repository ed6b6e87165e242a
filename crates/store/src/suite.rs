//! The conformance suite of [`Store`]: every engine runs it.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;

use crate::{Durability, Entry, Error, Expect, Op, Revision, Store, Write};

/// A durable put of plain bytes.
pub fn put(key: &str, value: &str, expect: Expect) -> Write {
    let op = Op::Put(Bytes::copy_from_slice(value.as_bytes()));
    Write { key: key.into(), expect, op, durability: Durability::Sync, note: None }
}

/// A durable delete.
pub fn delete(key: &str, revision: Revision) -> Write {
    Write { key: key.into(), expect: Expect::Revision(revision), op: Op::Delete, durability: Durability::Sync, note: None }
}

/// Runs everything; each part gets a fresh, empty store.
pub async fn run<S: Store>(mut fresh: impl FnMut() -> S) {
    revisions_and_expectations(&fresh()).await;
    ranges_at_revisions(&fresh()).await;
    watches_from_any_point(&fresh()).await;
    compaction_forgets_history_only(&fresh()).await;
    notes_reach_those_who_watch(&fresh()).await;
    concurrent_writers_lose_nothing(Arc::new(fresh())).await;
    slow_watchers_are_cut_off(&fresh()).await;
}

async fn revisions_and_expectations(s: &dyn Store) {
    let start = s.revision();
    let (r1, e) = s.commit(put("/a", "1", Expect::Absent)).await.expect("create");
    assert_eq!((r1, e.created, e.modified), (start + 1, r1, r1));
    let again = s.commit(put("/a", "2", Expect::Absent)).await;
    assert!(matches!(again, Err(Error::Unexpected(Some(e))) if e.value == "1"));
    let (r2, e) = s.commit(put("/a", "2", Expect::Revision(r1))).await.expect("update");
    assert_eq!((r2, e.created), (r1 + 1, r1));
    assert!(matches!(s.commit(put("/a", "3", Expect::Revision(r1))).await, Err(Error::Unexpected(Some(_)))));
    assert!(matches!(s.commit(delete("/b", 1)).await, Err(Error::Unexpected(None))));
    let (r3, last) = s.commit(delete("/a", r2)).await.expect("delete");
    assert_eq!((r3, last.value.as_ref(), last.modified), (r2 + 1, b"2".as_ref(), r2));
    assert_eq!(s.get("/a").await.expect("get"), None);
    assert_eq!(s.revision(), r3);
}

async fn ranges_at_revisions(s: &dyn Store) {
    for key in ["/x/a", "/x/b", "/x/c", "/y/a"] {
        s.commit(put(key, "1", Expect::Absent)).await.expect("create");
    }
    let before = s.revision();
    let b = s.get("/x/b").await.expect("get").expect("exists");
    s.commit(delete("/x/b", b.modified)).await.expect("delete");
    s.commit(put("/x/d", "1", Expect::Absent)).await.expect("create");
    let keys = |page: &[Entry]| page.iter().map(|e| e.key.to_string()).collect::<Vec<_>>();
    let page = s.range("/x/", None, 0, None).await.expect("range");
    assert_eq!(keys(&page.entries), ["/x/a", "/x/c", "/x/d"]);
    assert_eq!((page.more, page.remaining, page.revision), (false, 0, s.revision()));
    let page = s.range("/x/", None, 2, Some(before)).await.expect("range");
    assert_eq!((keys(&page.entries), page.more, page.remaining), (vec!["/x/a".into(), "/x/b".into()], true, 1));
    let page = s.range("/x/", Some("/x/b"), 2, Some(before)).await.expect("range");
    assert_eq!((keys(&page.entries), page.more), (vec!["/x/c".into()], false));
    let ahead = s.range("/x/", None, 0, Some(s.revision() + 1)).await;
    assert!(matches!(ahead, Err(Error::Future { .. })));
}

async fn watches_from_any_point(s: &dyn Store) {
    let start = s.revision();
    let (r1, _) = s.commit(put("/w/a", "1", Expect::Absent)).await.expect("create");
    s.commit(put("/v/a", "1", Expect::Absent)).await.expect("create");
    let mut all = s.watch("/w/", start).await.expect("watch");
    let mut rest = s.watch("/w/", r1).await.expect("watch");
    let (r3, _) = s.commit(delete("/w/a", r1)).await.expect("delete");
    let first = all.next().await.expect("event").expect("no error");
    assert_eq!((first.revision, first.entry.is_some(), first.previous.is_none()), (r1, true, true));
    for watch in [&mut all, &mut rest] {
        let event = watch.next().await.expect("event").expect("no error");
        assert_eq!((event.revision, event.entry.is_none()), (r3, true));
        assert_eq!(event.previous.map(|e| e.value), Some(Bytes::from("1")));
    }
    assert!(matches!(s.watch("/w/", s.revision() + 1).await, Err(Error::Future { .. })));
}

async fn compaction_forgets_history_only(s: &dyn Store) {
    let (r1, _) = s.commit(put("/c/a", "1", Expect::Absent)).await.expect("create");
    let (r2, _) = s.commit(put("/c/a", "2", Expect::Revision(r1))).await.expect("update");
    let (r3, _) = s.commit(put("/c/b", "1", Expect::Absent)).await.expect("create");
    let (r4, _) = s.commit(delete("/c/b", r3)).await.expect("delete");
    s.compact(r3).await.expect("compact");
    assert_eq!(s.oldest(), r3);
    assert!(matches!(s.range("/c/", None, 0, Some(r2)).await, Err(Error::Compacted { .. })));
    assert!(matches!(s.watch("/c/", r2).await, Err(Error::Compacted { .. })));
    assert_eq!(s.range("/c/", None, 0, Some(r3)).await.expect("range").entries.len(), 2);
    s.compact(r4).await.expect("compact");
    let page = s.range("/c/", None, 0, Some(r4)).await.expect("range");
    assert_eq!(page.entries.iter().map(|e| &e.value[..]).collect::<Vec<_>>(), [b"2"]);
    assert!(matches!(s.compact(r3).await, Err(Error::Compacted { .. })));
}

async fn notes_reach_those_who_watch(s: &dyn Store) {
    let start = s.revision();
    let mut watch = s.watch("/t", start).await.expect("watch");
    let note: crate::Note = Arc::new("made for the write");
    let write = Write { durability: Durability::Lazy, note: Some(note), ..put("/t", "x", Expect::Absent) };
    s.commit(write).await.expect("create");
    let said = |event: Option<Result<crate::Event, Error>>| {
        let note = event.expect("an event").expect("no error").note?;
        note.downcast_ref::<&str>().map(ToString::to_string)
    };
    assert_eq!(said(watch.next().await).as_deref(), Some("made for the write"));
    let mut late = s.watch("/t", start).await.expect("watch");
    assert_eq!(said(late.next().await), None, "it is no part of the history");
}

async fn concurrent_writers_lose_nothing<S: Store>(s: Arc<S>) {
    let start = s.revision();
    let mut watch = s.watch("/n/", start).await.expect("watch");
    let writers: Vec<_> = (0..8)
        .map(|w| {
            let s = s.clone();
            tokio::spawn(async move {
                for i in 0..50 {
                    s.commit(put(&format!("/n/{w}-{i}"), "x", Expect::Absent)).await.expect("create");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("writer");
    }
    assert_eq!(s.revision(), start + 400);
    for expected in start + 1..=start + 400 {
        assert_eq!(watch.next().await.expect("event").expect("no error").revision, expected);
    }
    // Of many who expect the same, one wins.
    let race = (0..16).map(|i| s.commit(put("/race", &i.to_string(), Expect::Absent)));
    let won = futures::future::join_all(race).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1);
}

async fn slow_watchers_are_cut_off(s: &dyn Store) {
    let mut watch = s.watch("/s", s.revision()).await.expect("watch");
    let mut at = None;
    for _ in 0..20_000 {
        let mut write = put("/s", "x", at.map_or(Expect::Absent, Expect::Revision));
        write.durability = Durability::Lazy;
        at = Some(s.commit(write).await.expect("put").0);
    }
    let mut seen = 0;
    let end = loop {
        match watch.next().await.expect("ends with an error") {
            Ok(_) => seen += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(end, Error::Lagged) && seen < 20_000, "{end} after {seen}");
    assert!(watch.next().await.is_none());
}
