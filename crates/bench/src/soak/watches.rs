//! Watchers of the writers' ConfigMaps: every acknowledged revision comes once and in order, or the watcher is told
//! that it is too late (410) and lists again.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;

use super::api::Api;
use super::maps::{ALL, number_in, revision_of};
use super::scene::{Phase, Scene};

/// How long the last events may take when all is done.
const LATE: Duration = Duration::from_secs(60);
/// A watch is given up after this many seconds at the most, and taken up again.
const TURN: std::ops::Range<u64> = 5..90;
/// How long a watcher may be away between two turns, in seconds.
const AWAY: std::ops::Range<u64> = 0..20;

/// What one watcher has seen.
#[derive(Default)]
pub struct Seen {
    /// The state that the events make.
    objects: BTreeMap<String, u64>,
    last: u64,
    /// Revisions from a list's on, up to the last event before the next list: none of them may be missing.
    whole: Vec<(u64, u64)>,
    /// Events by revision.
    events: HashMap<u64, (String, u64)>,
}

/// Watches until the end.
pub async fn work(scene: Arc<Scene>, number: usize, mut rng: StdRng) {
    let (mut api, mut seen, mut phase) = (Api::new(&scene), Seen::default(), scene.phase());
    let mut listed = false;
    while *phase.borrow() != Phase::End {
        if !listed && let Err(error) = seen.list(&mut api).await {
            return scene.wrong(format!("watcher {number} cannot list: {error:#}"));
        }
        listed = true;
        let turn = Duration::from_secs(rng.random_range(TURN));
        let watched = tokio::select! {
            watched = tokio::time::timeout(turn, seen.watch(&scene, number)) => watched,
            _ = phase.wait_for(|phase| *phase == Phase::End) => break,
        };
        if let Ok(Err(error)) = &watched {
            let said = format!("{error:#}");
            listed = !said.contains("410");
            if said.contains("Too large resource version") {
                scene.wrong(format!("watcher {number}: revisions have gone back: {said}"));
            }
        }
        if watched.is_err() || !listed {
            scene.pause(Duration::from_secs(rng.random_range(AWAY))).await;
        } else {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let begun = Instant::now();
    while seen.last < scene.ledger.top() && begun.elapsed() < LATE {
        let _ = tokio::time::timeout(Duration::from_secs(1), seen.watch(&scene, number)).await;
    }
    seen.judge(&scene, number);
}

impl Seen {
    async fn list(&mut self, api: &mut Api) -> Result<()> {
        let Ok(list) = api.get(ALL).await? else { bail!("the list is refused") };
        let revision = revision_of(&list).context("the list has no revision")?;
        if revision < self.last {
            bail!("a list at revision {revision} after an event at {}", self.last);
        }
        self.objects.clear();
        for object in list["items"].as_array().into_iter().flatten() {
            let name = object["metadata"]["name"].as_str().context("a name")?;
            self.objects.insert(name.to_owned(), number_in(object).with_context(|| format!("{name} is damaged"))?);
        }
        self.last = revision;
        self.whole.push((revision, revision));
        Ok(())
    }

    /// Follows until the connection ends, which is an error.
    async fn watch(&mut self, scene: &Arc<Scene>, number: usize) -> Result<()> {
        let mut client = scene.cluster.connect().await?;
        let path = format!("{ALL}&watch=1&resourceVersion={}", self.last);
        let mut ended = None;
        let watched = client.watch(&path, |line| {
            match serde_json::from_slice::<Value>(line) {
                Ok(event) if event["type"] == "ERROR" => ended = Some(event["object"].to_string()),
                Ok(event) => {
                    if let Err(what) = self.take(&event) {
                        scene.wrong(format!("watcher {number}: {what}"));
                    }
                }
                Err(error) => scene.wrong(format!("watcher {number}: no JSON: {error}")),
            }
            ended.is_some()
        });
        watched.await?;
        bail!("{}", ended.unwrap_or_default())
    }

    /// Takes one event; says what is wrong with it.
    fn take(&mut self, event: &Value) -> Result<(), String> {
        let (kind, object) = (event["type"].as_str().unwrap_or_default(), &event["object"]);
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let (Some(number), Some(revision)) = (number_in(object), revision_of(object)) else {
            return Err(format!("a damaged event: {:.300}", event.to_string()));
        };
        let last = self.last;
        self.last = last.max(revision);
        if let Some(range) = self.whole.last_mut() {
            range.1 = self.last;
        }
        self.events.insert(revision, (name.clone(), number));
        let was = match kind {
            "DELETED" => self.objects.remove(&name),
            _ => self.objects.insert(name.clone(), number),
        };
        if revision <= last {
            return Err(format!("{kind} {name} at {revision} after {last}"));
        }
        if was.is_some() != (kind != "ADDED") {
            return Err(format!("{kind} {name} at {revision}, where it was {was:?}"));
        }
        Ok(())
    }

    /// All that was acknowledged was seen, nothing that was refused was, and the events make the state that is there.
    fn judge(&self, scene: &Scene, number: usize) {
        let books = scene.ledger.books();
        let mut wrong = Vec::new();
        for (from, to) in &self.whole {
            // The list's own revision came with the list.
            for (revision, write) in books.written.range((Bound::Excluded(*from), Bound::Included(*to))) {
                if self.events.get(revision) != Some(write) {
                    wrong.push(format!("{write:?} at {revision} was seen as {:?}", self.events.get(revision)));
                }
            }
        }
        let refused = self.events.iter().filter(|(_, (_, number))| books.refused.contains(number));
        wrong.extend(refused.map(|(revision, write)| format!("{write:?} at {revision} was refused")));
        let there = books.present.iter().filter_map(|(name, number)| Some((name.clone(), (*number)?)));
        if self.objects != there.collect::<BTreeMap<_, _>>() {
            wrong.push("its events do not make the state that is there".to_owned());
        }
        drop(books);
        println!("watcher {number}: {} events, {} lists", self.events.len(), self.whole.len());
        wrong.iter().take(10).for_each(|what| scene.wrong(format!("watcher {number}: {what}")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Seen;

    fn event(kind: &str, revision: u64) -> Value {
        let metadata = json!({"name": "a", "resourceVersion": revision.to_string()});
        json!({"type": kind, "object": {"metadata": metadata, "data": {"n": "7", "text": "7 7 7 7"}}})
    }

    #[test]
    fn disorder_is_seen() {
        let mut seen = Seen::default();
        assert_eq!(seen.take(&event("ADDED", 5)), Ok(()));
        assert!(seen.take(&event("ADDED", 6)).is_err(), "added twice");
        assert!(seen.take(&event("MODIFIED", 6)).is_err(), "the same revision again");
        assert_eq!(seen.take(&event("DELETED", 7)), Ok(()));
        assert!(seen.take(&event("MODIFIED", 8)).is_err(), "changed when it was not there");
    }
}
