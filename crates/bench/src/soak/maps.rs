//! Writers of ConfigMaps. Each has objects of its own, so it knows what must be there after every answer, and looks
//! when there was none.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::api::{Answer, Api};
use super::scene::Scene;
use crate::https;

/// Where they are.
const MAPS: &str = "/api/v1/namespaces/soak/configmaps";
/// All of them, and not the certificate that every namespace gets.
pub const ALL: &str = "/api/v1/namespaces/soak/configmaps?labelSelector=soak";
/// Objects of one writer.
const OBJECTS: usize = 40;
/// Between two requests of one writer, in milliseconds.
const PACE: std::ops::Range<u64> = 20..180;

/// What is in an object: a number that is used once, and a text that follows from it.
pub struct Writer {
    api: Api,
    names: Vec<String>,
    present: Vec<Option<Kept>>,
    rng: StdRng,
    /// Bytes of every text; otherwise they follow from the number.
    size: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    number: u64,
    revision: u64,
}

/// Writes until the end.
pub async fn work(scene: Arc<Scene>, number: usize, rng: StdRng) {
    let mut writer = Writer::new(&scene, &format!("w{number}"), OBJECTS, None, rng);
    while scene.goes_on().await {
        writer.step().await;
        let pause = writer.rng.random_range(PACE);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// The text that belongs to a number.
fn text(number: u64, size: Option<usize>) -> String {
    let size = size.unwrap_or(match number % 50 {
        0 => 100_000,
        1..5 => 10_000,
        _ => (number % 1000) as usize,
    });
    let word = format!("{number} ");
    let mut text = word.repeat(size / word.len() + 1);
    text.truncate(size);
    text
}

/// The number in a ConfigMap, if its text is the one that belongs to it.
pub fn number_in(object: &Value) -> Option<u64> {
    let number = object["data"]["n"].as_str()?.parse().ok()?;
    let kept = object["data"]["text"].as_str()?;
    (kept == text(number, None) || kept == text(number, Some(kept.len()))).then_some(number)
}

pub fn revision_of(object: &Value) -> Option<u64> {
    object["metadata"]["resourceVersion"].as_str()?.parse().ok()
}

impl Writer {
    pub fn new(scene: &Arc<Scene>, name: &str, objects: usize, size: Option<usize>, rng: StdRng) -> Self {
        let names = (0..objects).map(|n| format!("{name}-{n}")).collect();
        Writer { api: Api::new(scene), names, present: vec![None; objects], rng, size }
    }

    /// One request; returns the code if it was refused.
    pub async fn step(&mut self) -> Option<u16> {
        let at = self.rng.random_range(0..self.names.len());
        match (self.present[at], self.rng.random_range(0..20)) {
            (None, 0) => self.misnamed(at).await,
            (None, _) => self.put(at, "POST", false).await,
            (Some(_), 0..3) => self.delete(at).await,
            (Some(_), 3..9) => self.put(at, "PUT", false).await,
            (Some(_), 9) => self.put(at, "PUT", true).await,
            (Some(_), 10) => self.put(at, "POST", true).await,
            (Some(_), _) => self.put(at, "PATCH", false).await,
        }
    }

    fn object(&self, at: usize, number: u64) -> Value {
        let metadata = json!({"name": self.names[at], "labels": {"soak": ""}});
        json!({"metadata": metadata, "data": {"n": number.to_string(), "text": text(number, self.size)}})
    }

    /// Creates its first object; says whether that is there now.
    pub async fn create(&mut self) -> bool {
        self.put(0, "POST", false).await.is_none() && self.present[0].is_some()
    }

    /// Removes all that it has.
    pub async fn clear(&mut self) {
        for at in 0..self.names.len() {
            while self.present[at].is_some() && self.delete(at).await.is_some() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// Creates, replaces or patches one object; with `in_the_way`, so that it must be a conflict.
    async fn put(&mut self, at: usize, method: &str, in_the_way: bool) -> Option<u16> {
        let (name, number) = (self.names[at].clone(), self.api.scene.ledger.number());
        let mut object = self.object(at, number);
        if let (Some(kept), "PUT") = (self.present[at], method) {
            let revision = if in_the_way { 1 } else { kept.revision };
            object["metadata"]["resourceVersion"] = revision.to_string().into();
        }
        let (body, path) = (object.to_string(), format!("{MAPS}/{name}"));
        let request = match method {
            "POST" => https::post(MAPS, body.as_bytes()),
            "PUT" => https::request(method, &path, "application/json", body.as_bytes()),
            _ => https::request(method, &path, "application/merge-patch+json", body.as_bytes()),
        };
        let expected = if in_the_way { 409 } else { 200 };
        self.send(at, &request, Some(number), expected, method).await
    }

    /// A key that no ConfigMap may have.
    async fn misnamed(&mut self, at: usize) -> Option<u16> {
        let number = self.api.scene.ledger.number();
        let mut object = self.object(at, number);
        object["data"]["not a key!"] = "".into();
        let request = https::post(MAPS, object.to_string().as_bytes());
        self.send(at, &request, Some(number), 422, "a bad POST").await
    }

    async fn delete(&mut self, at: usize) -> Option<u16> {
        let request = https::request("DELETE", &format!("{MAPS}/{}", self.names[at]), "application/json", b"");
        self.send(at, &request, None, 200, "DELETE").await
    }

    async fn send(&mut self, at: usize, request: &[u8], number: Option<u64>, expected: u16, what: &str) -> Option<u16> {
        let (name, scene) = (self.names[at].clone(), self.api.scene.clone());
        let before = scene.ledger.top();
        match (self.api.ask(request).await, number) {
            (Answer::Done(_), _) if expected != 200 => scene.wrong(format!("{what} {name}: done, and not {expected}")),
            (Answer::Done(object), Some(number)) => self.done(at, &object, number, before),
            (Answer::Done(_), None) => {
                self.present[at] = None;
                scene.ledger.deleted(&name);
            }
            // Upstream's time-out of a request: it may be done yet.
            (Answer::Refused(504, said), _) => self.look(at, number, &format!("{what}: 504 {said}")).await,
            (Answer::Refused(code, said), _) => {
                scene.ledger.refused(number, code);
                // Nobody else writes these objects: what is no error of the server is an error of the books.
                if code < 500 && code != 429 && code != expected {
                    scene.wrong(format!("{what} {name}: {code} {said}, known as {:?}", self.present[at]));
                }
                return Some(code);
            }
            (Answer::Lost(why), _) => self.look(at, number, &format!("{what}: {why}")).await,
        }
        None
    }

    fn done(&mut self, at: usize, object: &Value, number: u64, before: u64) {
        let scene = &self.api.scene;
        let name = &self.names[at];
        let (Some(revision), true) = (revision_of(object), number_in(object) == Some(number)) else {
            return scene.wrong(format!("{name}: acknowledged with something else: {:.300}", object.to_string()));
        };
        self.present[at] = Some(Kept { number, revision });
        if let Err(what) = scene.ledger.acknowledged(name, number, revision, before) {
            scene.wrong(what);
        }
    }

    /// After a request without an answer: the object is as before, or as it was asked for, and stays so.
    async fn look(&mut self, at: usize, asked: Option<u64>, why: &str) {
        let (name, scene) = (self.names[at].clone(), self.api.scene.clone());
        let found = match self.api.get(&format!("{MAPS}/{name}")).await {
            Ok(Ok(object)) => match (number_in(&object), revision_of(&object)) {
                (Some(number), Some(revision)) => Some(Kept { number, revision }),
                _ => return scene.wrong(format!("{name} is damaged after {why}: {:.300}", object.to_string())),
            },
            Ok(Err(404)) => None,
            other => return scene.wrong(format!("{name} cannot be read after {why}: {other:?}")),
        };
        let number = found.map(|kept| kept.number);
        if found != self.present[at] && number != asked {
            scene.wrong(format!("{name} was {:?}, {asked:?} was asked ({why}), and it is {found:?}", self.present[at]));
        }
        self.present[at] = found;
        scene.ledger.found(&name, number);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{number_in, text};

    #[test]
    fn a_text_of_another_number_is_damage() {
        for number in [1, 50, 777, 1000] {
            let object = json!({"data": {"n": number.to_string(), "text": text(number, None)}});
            assert_eq!(number_in(&object), Some(number));
            let object = json!({"data": {"n": number.to_string(), "text": format!("{}x", text(number, None))}});
            assert_eq!(number_in(&object), None);
        }
    }
}
