//! What only the disk engine promises.

use super::*;
use crate::suite::{delete, put};
use crate::{Durability, Expect};
use std::fs;
use std::path::PathBuf;

fn log_of(dir: &Path) -> PathBuf {
    let logs = fs::read_dir(dir).expect("dir").filter_map(|e| Some(e.ok()?.path()));
    logs.filter(|p| p.extension().is_some_and(|e| e == "log")).max().expect("a log")
}

/// What a log holds, without the zeros that it is filled with.
fn written(log: &Path) -> Vec<u8> {
    let mut bytes = fs::read(log).expect("read");
    bytes.truncate(bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1));
    bytes
}

async fn fill(dir: &Path, n: usize) -> Revision {
    let s = Disk::open(dir).expect("opens");
    for i in 0..n {
        s.commit(put(&format!("/k/{i:03}"), "value", Expect::Absent)).await.expect("put");
    }
    s.revision()
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let dirs = std::cell::RefCell::new(Vec::new());
    crate::suite::run(|| {
        let dir = tempfile::tempdir().expect("dir");
        let store = Disk::open(dir.path()).expect("opens");
        dirs.borrow_mut().push(dir);
        store
    })
    .await;
}

#[tokio::test]
async fn a_clean_restart_keeps_everything_and_the_revision() {
    let dir = tempfile::tempdir().expect("dir");
    let revision = fill(dir.path(), 5).await;
    let s = Disk::open(dir.path()).expect("opens");
    assert_eq!(s.revision(), revision);
    let e = s.get("/k/003").await.expect("get").expect("exists");
    s.commit(delete("/k/003", e.modified)).await.expect("delete");
    drop(s);
    let s = Disk::open(dir.path()).expect("opens");
    let keys: Vec<_> = s.range("/k/", None, 0, None).await.expect("range").entries;
    assert_eq!(keys.iter().map(|e| &*e.key).collect::<Vec<_>>(), ["/k/000", "/k/001", "/k/002", "/k/004"]);
    assert_eq!(s.revision(), revision + 1);
}

#[tokio::test]
async fn after_a_crash_no_revision_is_used_again() {
    let dir = tempfile::tempdir().expect("dir");
    let crashed = tempfile::tempdir().expect("dir");
    let s = Disk::open(dir.path()).expect("opens");
    s.commit(put("/a", "1", Expect::Absent)).await.expect("put");
    let mut lazy = put("/lease", "1", Expect::Absent);
    lazy.durability = Durability::Lazy;
    let (seen, _) = s.commit(lazy).await.expect("put");
    // What a power cut would leave: the files without what was not synced.
    fs::copy(log_of(dir.path()), crashed.path().join(log_of(dir.path()).file_name().expect("name"))).expect("copy");
    let s = Disk::open(crashed.path()).expect("opens");
    assert!(s.get("/a").await.expect("get").is_some() && s.get("/lease").await.expect("get").is_none());
    let (next, _) = s.commit(put("/b", "1", Expect::Absent)).await.expect("put");
    assert!(next > seen, "{next} was seen before as {seen}");
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_damage_is_reported() {
    let dir = tempfile::tempdir().expect("dir");
    fill(dir.path(), 20).await;
    let log = log_of(dir.path());
    let good = written(&log);
    for cut in 1..90 {
        fs::write(&log, &good[..good.len() - cut]).expect("write");
        let s = Disk::open(dir.path()).expect("a torn tail is no damage");
        assert!(s.range("/k/", None, 0, None).await.expect("range").entries.len() >= 18);
    }
    // In the middle, and in the very last frame, which no later one calls durable.
    for place in [good.len() / 2, good.len() - 9] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        fs::write(&log, &bad).expect("write");
        let error = Disk::open(dir.path()).err().expect("damage is reported");
        assert!(matches!(&error, Error::Corrupt(text) if text.contains("is damaged at byte")), "{error}");
        assert_eq!(fs::read(&log).expect("read"), bad, "nothing was changed");
    }
}

#[tokio::test]
async fn a_directory_has_one_owner() {
    let dir = tempfile::tempdir().expect("dir");
    let _s = Disk::open(dir.path()).expect("opens");
    let error = Disk::open(dir.path()).err().expect("refused");
    assert!(error.to_string().contains("in use by another process"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_replaces_a_long_log() {
    let dir = tempfile::tempdir().expect("dir");
    let s = Disk::open(dir.path()).expect("opens");
    let value = "x".repeat(1 << 20);
    let mut at = s.commit(put("/big", &value, Expect::Absent)).await.expect("put").0;
    for _ in 0..70 {
        at = s.commit(put("/big", &value, Expect::Revision(at))).await.expect("put").0;
    }
    drop(s);
    let bytes: u64 = fs::read_dir(dir.path()).expect("dir").filter_map(|e| Some(e.ok()?.metadata().ok()?.len())).sum();
    assert!(bytes < 40 << 20, "{bytes} bytes for one of a megabyte");
    let s = Disk::open(dir.path()).expect("opens");
    assert_eq!(s.get("/big").await.expect("get").map(|e| (e.modified, e.value.len())), Some((at, 1 << 20)));
}

#[tokio::test]
async fn files_that_are_gone_are_missed_and_files_of_the_future_refused() {
    let dir = tempfile::tempdir().expect("dir");
    let revision = fill(dir.path(), 3).await;
    let log = log_of(dir.path());
    let away = dir.path().join("away");
    fs::rename(&log, &away).expect("rename");
    let error = Disk::open(dir.path()).err().expect("refused");
    assert!(error.to_string().contains("is missing, there is neither a snapshot nor a log"), "{error}");
    fs::rename(&away, &log).expect("rename");
    fs::write(dir.path().join(files::FORMAT), "3\n").expect("write");
    let error = Disk::open(dir.path()).err().expect("refused");
    assert!(error.to_string().contains("has format 3, this Ironclad knows formats up to 2"), "{error}");
    fs::write(dir.path().join(files::FORMAT), "2\n").expect("write");
    assert_eq!(Disk::open(dir.path()).expect("opens").revision(), revision);
}

#[tokio::test]
async fn nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("dir");
    let inner = dir.path().join("store");
    fill(&inner, 3).await;
    let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o7777;
    assert_eq!(mode(&inner), 0o700);
    for file in fs::read_dir(&inner).expect("dir") {
        let path = file.expect("entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn where_a_write_cannot_be_taken_back_nobody_is_answered() {
    use super::simulation::{Faults, SimulatedDisk, store};
    use futures::FutureExt;
    let disk = SimulatedDisk::new(1);
    let (told, mut lost) = tokio::sync::mpsc::unbounded_channel();
    let s = store(&disk, move |why| drop(told.send(why.to_owned()))).expect("opens");
    let (revision, _) = s.commit(put("/a", "1", Expect::Absent)).await.expect("put");
    disk.set_faults(Faults { room: Some(0), ..Faults::default() });
    let big = "x".repeat(100_000);
    let error = s.commit(put("/b", &big, Expect::Absent)).await.expect_err("no room");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert!(s.health().is_err_and(|why| why.contains("free some space")));
    disk.set_faults(Faults::default());
    assert_eq!(s.commit(put("/b", &big, Expect::Absent)).await.expect("room").0, revision + 1);
    assert_eq!(s.health(), Ok(()));
    disk.set_faults(Faults { ends_after: Some(0), ..Faults::default() });
    let mut answer = Box::pin(s.commit(put("/c", "1", Expect::Absent)));
    assert!(answer.as_mut().now_or_never().is_none(), "asked");
    let why = lost.recv().await.expect("the process would end");
    assert!(why.contains("could not be taken back"), "{why}");
    assert!(s.health().is_err());
}

#[tokio::test]
async fn a_recorded_store_of_this_format_means_what_it_meant() {
    let disk = simulation::SimulatedDisk::new(1);
    disk.put(FORMAT, include_bytes!("../../tests/data/format2/format").to_vec());
    disk.put("00000000000000000030.snap", include_bytes!("../../tests/data/format2/00000000000000000030.snap").to_vec());
    // It was killed: the log ends in zeros.
    disk.put("00000000000000000030.log", include_bytes!("../../tests/data/format2/00000000000000000030.log").to_vec());
    let s = simulation::store(&disk, |why| panic!("{why}")).expect("opens");
    let found = s.range("/", None, 0, None).await.expect("range").entries;
    let rows: Vec<_> = found.iter().map(|e| (&*e.key, e.created, e.modified, String::from_utf8_lossy(&e.value))).collect();
    let wanted = [(0, 2, 25), (1, 3, 26), (2, 4, 27), (4, 6, 29), (5, 7, 30), (6, 8, 32)].map(|(n, created, modified)| {
        let value = format!("{{\"n\":{},\"pad\":\"{}\"}}", 21 + n, "x".repeat(20));
        (format!("/registry/configmaps/default/c{n}"), created, modified, value)
    });
    let wanted: Vec<_> = wanted.iter().map(|(k, c, m, v)| (k.as_str(), *c, *m, v.as_str().into())).collect();
    assert_eq!(rows, wanted);
    // What that one had promised to nobody else is not handed out again.
    assert!(s.revision() > 10_000, "{}", s.revision());
}
