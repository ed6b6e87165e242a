//! One client of the API that comes again when its connection is lost, and never takes silence for an answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use super::scene::Scene;
use crate::https::{self, Client};

/// How long the API may be away, and how long an answer may take.
const AWAY: Duration = Duration::from_secs(90);
const ANSWER: Duration = Duration::from_secs(90);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(200);

/// What became of a request.
#[derive(Debug)]
pub enum Answer {
    /// It is done.
    Done(Value),
    /// It was answered with an error, so it is not done.
    Refused(u16, String),
    /// The connection ended before the answer came: it is done, or it is not.
    Lost(String),
}

/// A client with one connection.
pub struct Api {
    pub scene: Arc<Scene>,
    client: Option<Client>,
}

impl Api {
    pub fn new(scene: &Arc<Scene>) -> Self {
        Api { scene: scene.clone(), client: None }
    }

    /// Asks once, as soon as there is a server.
    pub async fn ask(&mut self, request: &[u8]) -> Answer {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => match self.connect().await {
                Ok(client) => client,
                Err(error) => return Answer::Lost(format!("{error:#}")),
            },
        };
        let answer = match tokio::time::timeout(ANSWER, client.answer(request)).await {
            Ok(answer) => answer,
            Err(_) => {
                let head = request.split(|b| *b == b'\r').next().unwrap_or_default();
                self.scene.wrong(format!("no answer within {ANSWER:?}: {}", String::from_utf8_lossy(head)));
                return Answer::Lost("no answer".to_owned());
            }
        };
        match answer {
            Ok((code, body)) if (200..300).contains(&code) => match serde_json::from_slice(&body) {
                Ok(value) => {
                    self.client = Some(client);
                    Answer::Done(value)
                }
                Err(error) => Answer::Lost(format!("an answer that is no JSON: {error}")),
            },
            Ok((code, body)) => {
                // After a refusal the server may want the connection closed: the next request gets one of its own.
                let said = String::from_utf8_lossy(&body);
                Answer::Refused(code, said.chars().take(400).collect())
            }
            Err(error) => Answer::Lost(format!("{error:#}")),
        }
    }

    /// Asks for something that may be asked twice, until it is answered for good: done, or an error that is the
    /// asker's own.
    pub async fn insist(&mut self, request: &[u8]) -> Result<Result<Value, u16>> {
        let began = Instant::now();
        loop {
            let last = match self.ask(request).await {
                Answer::Done(value) => return Ok(Ok(value)),
                Answer::Refused(code, _) if code < 500 && code != 429 => return Ok(Err(code)),
                Answer::Refused(code, said) => format!("{code} {said}"),
                Answer::Lost(why) => why,
            };
            if began.elapsed() > AWAY {
                bail!("no good answer within {AWAY:?}, at last: {last}");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    pub async fn get(&mut self, path: &str) -> Result<Result<Value, u16>> {
        self.insist(&https::get(path)).await
    }

    async fn connect(&self) -> Result<Client> {
        let began = Instant::now();
        loop {
            // A server that is stopped accepts, and says no more.
            match tokio::time::timeout(ANSWER, self.scene.cluster.connect()).await {
                Ok(Ok(client)) => return Ok(client),
                Ok(Err(error)) if began.elapsed() > AWAY => {
                    self.scene.wrong(format!("no connection within {AWAY:?}: {error:#}"));
                    return Err(error);
                }
                Err(_) => {
                    self.scene.wrong(format!("no TLS within {ANSWER:?}"));
                    bail!("no TLS within {ANSWER:?}");
                }
                Ok(Err(_)) => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}
