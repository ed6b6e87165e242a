//! One client of both servers: asks them the same, at the same moment. Several lanes run side by side.

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::order;
use super::side::{Answer, Side};
use super::transcript::Case;
use super::tree::{self, Difference, Tree};
use super::verdict;

/// Lanes for cases that do not touch each other. As many as keep both servers busy.
pub const LANES: usize = 8;

/// How often upstream is asked again when it answered something else than ours: it walks maps in no order, and any of
/// its answers is right. It begins a small map at a random one of eight places, so that two entries change theirs in one
/// answer of eight; an order that is one of chance must not look fixed.
const AGAIN: usize = 72;

/// What stands for an answer that did not come.
const SILENCE: &str = "(no answer)";

/// A connection to each server.
pub struct Lane {
    pub upstream: Side,
    pub ours: Side,
}

/// A case and how the answers to it differ.
pub struct Asked {
    pub title: String,
    pub differences: Vec<Difference>,
    /// Whether upstream's server left it without an answer.
    pub silent: bool,
    /// Both answers side by side, if they differ.
    pub shown: String,
}

impl Lane {
    /// One more with connections of its own; it knows what this one has kept.
    pub fn another(&self) -> Lane {
        Lane { upstream: self.upstream.another(), ours: self.ours.another() }
    }

    /// Both sides, to be given the same.
    pub fn sides(&mut self) -> [&mut Side; 2] {
        [&mut self.upstream, &mut self.ours]
    }

    /// Asks both servers, and compares. An error: ours does not answer.
    pub async fn ask(&mut self, case: &Case) -> Result<Asked> {
        let (upstream, ours) = tokio::join!(self.upstream.ask_until(case), self.ours.ask_until(case));
        let (title, ours) = (case.title.clone(), ours.context("ours")?);
        let Ok(upstream) = upstream else {
            // Its handler panicked on the request: there is nothing to be equal to.
            let silence = Difference { at: "status".to_owned(), upstream: SILENCE.to_owned(), ours: ours.status.to_string() };
            return Ok(Asked { title, shown: format!("\n--- {}\nupstream gives no answer\n", case.title), differences: vec![silence], silent: true });
        };
        for (name, path) in &case.keep {
            for (side, answer) in [(&mut self.upstream, &upstream), (&mut self.ours, &ours)] {
                side.set(name, &value(answer, path));
            }
        }
        let now = Timestamp::now();
        let mut differences = verdict::compare(case, &upstream, &ours, now);
        if !differences.is_empty() && changes_nothing(case) {
            differences = self.again(case, &upstream, &ours, now, differences).await;
        }
        let shown = if differences.is_empty() { String::new() } else { verdict::show(case, &upstream, &ours, now) };
        Ok(Asked { title, differences, silent: false, shown })
    }

    /// Asks upstream until it answers as we do. If it only ever says the same in another order, that order is its own
    /// matter: what is left is compared without it.
    async fn again(&mut self, case: &Case, upstream: &Answer, ours: &Answer, now: Timestamp, mut differences: Vec<Difference>) -> Vec<Difference> {
        let mut shuffles = vec![verdict::body_of(case, upstream, now)];
        for _ in 0..AGAIN {
            if differences.is_empty() {
                return differences;
            }
            let Ok(another) = self.upstream.ask(case).await else { break };
            let found = verdict::compare(case, &another, ours, now);
            if found.len() < differences.len() {
                differences = found;
            }
            let body = verdict::body_of(case, &another, now);
            if order::shuffled(&shuffles[0], &body) {
                shuffles.push(body);
            }
        }
        if shuffles.len() > 1
            && let Some([a, b]) = order::sorted(&shuffles, &verdict::body_of(case, ours, now))
        {
            differences.retain(|difference| !difference.at.starts_with("body"));
            tree::compare("body", &a, &b, &mut differences);
        }
        differences
    }

    async fn script(mut self, cases: Vec<Case>) -> Result<Vec<Asked>> {
        let mut out = Vec::with_capacity(cases.len());
        for case in &cases {
            out.push(self.ask(case).await?);
        }
        Ok(out)
    }
}

/// Whether a request can be sent again.
fn changes_nothing(case: &Case) -> bool {
    let reads = case.method == "GET" && !case.path.contains("watch=");
    reads || case.path.contains("dryRun=All")
}

fn value(answer: &Answer, path: &str) -> String {
    let tree: Option<Tree> = serde_json::from_slice(&answer.body).ok();
    tree.as_ref().and_then(|t| t.at(path)).and_then(Tree::text).unwrap_or_default().to_owned()
}

/// Runs scripts side by side, each in order on a lane of its own.
pub async fn scripts(first: &Lane, scripts: Vec<Vec<Case>>) -> Result<Vec<Vec<Asked>>> {
    let running: Vec<_> = scripts.into_iter().map(|cases| tokio::spawn(first.another().script(cases))).collect();
    let mut out = Vec::with_capacity(running.len());
    for script in running {
        out.push(script.await??);
    }
    Ok(out)
}

/// Runs cases that do not touch each other; what was found is in the order of the cases.
pub async fn independent(first: &Lane, cases: Vec<Case>) -> Result<Vec<Asked>> {
    let mut dealt: Vec<Vec<Case>> = vec![Vec::new(); LANES];
    let count = cases.len();
    for (number, case) in cases.into_iter().enumerate() {
        dealt[number % LANES].push(case);
    }
    let mut lanes: Vec<_> = scripts(first, dealt).await?.into_iter().map(Vec::into_iter).collect();
    Ok((0..count).filter_map(|number| lanes[number % LANES].next()).collect())
}
