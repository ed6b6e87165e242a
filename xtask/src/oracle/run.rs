//! Replays the corpus on both servers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Options;
use super::generate::{self, Seed, Served};
use super::known::Known;
use super::lane::{self, Asked};
use super::openapi;
use super::page;
use super::random::Random;
use super::servers::{self, Servers};
use super::transcript::{self, Case};
use super::tree::Difference;
use super::verdict;

/// Families of differences that are listed at the end.
const FAMILIES: usize = 150;

/// Requests that upstream may leave without an answer, before it counts as gone.
const SILENT: usize = 50;

/// A run and what it found.
struct Run<'a> {
    options: &'a Options,
    servers: Servers,
    known: Known,
    cases: usize,
    different: usize,
    /// How many of them are mutations.
    mutated: usize,
    silent: usize,
    listed: usize,
    families: BTreeMap<String, (usize, String)>,
}

/// Compares; an error when something differs.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    // Runs beside each other may have the same seed, and each sees itself as the first process.
    let moment = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let directory = std::env::temp_dir().join(format!("ironclad-oracle-{moment}"));
    std::fs::create_dir_all(&directory)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(compare(root, options, &directory));
    runtime.shutdown_background();
    if result.is_ok() {
        std::fs::remove_dir_all(&directory)?;
    }
    result
}

async fn compare(root: &Path, options: &Options, directory: &Path) -> Result<()> {
    let folder = root.join("tests/oracle");
    let known = Known::parse(&std::fs::read_to_string(folder.join("known.txt"))?).context("read known.txt")?;
    let servers = servers::start(&options.programs, directory).await?;
    let families = BTreeMap::new();
    let mut run = Run { options, servers, known, cases: 0, different: 0, mutated: 0, silent: 0, listed: 0, families };
    println!("seed {}", options.seed.unwrap_or_default());
    for (topic, cases) in transcript::read_all(&folder)? {
        if run.wants(&topic) {
            run.namespace(&format!("t-{topic}")).await?;
            run.topic(&cases).await?;
        }
    }
    if run.wants_any("openapi") {
        let found = openapi::compare(&mut run.servers.lane).await?;
        found.into_iter().try_for_each(|asked| run.count(asked))?;
    }
    let served = run.served().await?;
    run.rounds(&folder, &served).await?;
    run.mutations(&folder, &served).await?;
    // Last, since it leaves upstream with objects that ours has not.
    run.stored(&folder, &served, directory).await?;
    run.end()
}

impl Run<'_> {
    fn wants(&self, topic: &str) -> bool {
        let topics = &self.options.topic;
        topics.is_empty() || topics.iter().any(|wanted| wanted == topic || topic.starts_with(&format!("{wanted}/")))
    }

    /// Whether some topic below this one is wanted.
    fn wants_any(&self, topic: &str) -> bool {
        let topics = &self.options.topic;
        topics.is_empty() || topics.iter().any(|wanted| wanted.split('/').next() == Some(topic))
    }

    /// A fresh namespace on both servers, with what a controller would put into it.
    async fn namespace(&mut self, name: &str) -> Result<()> {
        let object = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
        let account = r#"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"}}"#;
        let accounts = format!("/api/v1/namespaces/{name}/serviceaccounts");
        for case in [Case::new("start", "POST", "/api/v1/namespaces").body(object), Case::new("start", "POST", accounts).body(account)] {
            for side in self.servers.lane.sides() {
                side.set("ns", name);
                let answer = side.ask(&case).await?;
                if answer.status != 201 {
                    bail!("{}: {}", case.path, String::from_utf8_lossy(&answer.body));
                }
            }
        }
        Ok(())
    }

    /// One case after the other.
    async fn topic(&mut self, cases: &[Case]) -> Result<()> {
        for case in cases {
            let asked = self.servers.lane.ask(case).await?;
            self.count(asked)?;
        }
        Ok(())
    }

    /// Takes note of what one case found.
    fn count(&mut self, asked: Asked) -> Result<()> {
        self.cases += 1;
        self.silent += usize::from(asked.silent);
        if self.silent > SILENT {
            bail!("upstream gives no answers any more: {}", asked.title);
        }
        let new: Vec<&Difference> = asked.differences.iter().filter(|d| !self.known.has(&asked.title, d)).collect();
        self.listed += asked.differences.len() - new.len();
        if new.is_empty() {
            return Ok(());
        }
        self.different += 1;
        self.mutated += usize::from(asked.title.starts_with("mutation/"));
        for difference in &new {
            let family = self.families.entry(verdict::family(difference)).or_insert((0, asked.title.clone()));
            family.0 += 1;
        }
        if !self.options.summary {
            println!("{}{}", asked.shown, verdict::places(&new));
        }
        Ok(())
    }

    /// The kinds that we serve.
    async fn served(&mut self) -> Result<Vec<Served>> {
        let groups: Value = self.document("/apis").await?;
        let mut paths = vec!["/api/v1".to_owned()];
        for version in groups["groups"].as_array().into_iter().flatten().flat_map(|g| g["versions"].as_array().into_iter().flatten()) {
            paths.push(format!("/apis/{}", version["groupVersion"].as_str().unwrap_or_default()));
        }
        let mut served = Vec::new();
        for path in paths {
            served.extend(generate::served(&self.document(&path).await?));
        }
        Ok(served)
    }

    async fn document(&mut self, path: &str) -> Result<Value> {
        let answer = self.servers.lane.ours.ask(&Case::new("discovery", "GET", path)).await?;
        serde_json::from_slice(&answer.body).with_context(|| format!("read {path}"))
    }

    /// Upstream's round-trip fixtures.
    fn fixtures(&self) -> PathBuf {
        self.options.programs.fixtures.clone().unwrap_or_default()
    }

    async fn rounds(&mut self, folder: &Path, served: &[Served]) -> Result<()> {
        if !self.wants_any("round") {
            return Ok(());
        }
        self.namespace("t-round").await?;
        let mut seeds = generate::seeds(&folder.join("objects"), &self.fixtures(), served, "t-round")?;
        seeds.retain(|seed| self.wants(&format!("round/{}", seed.name)));
        // Rounds wait for watches to end: all of them at once.
        let found = lane::scripts(&self.servers.lane, seeds.iter().map(Seed::round).collect()).await?;
        found.into_iter().flatten().try_for_each(|asked| self.count(asked))
    }

    /// What upstream has stored, read by ours.
    async fn stored(&mut self, folder: &Path, served: &[Served], directory: &Path) -> Result<()> {
        if !self.wants_any("stored") {
            return Ok(());
        }
        self.namespace("t-stored").await?;
        let mut seeds = generate::seeds(&folder.join("objects"), &self.fixtures(), served, "t-stored")?;
        seeds.retain(|seed| seed.stored);
        for case in seeds.iter().map(Seed::create).chain(page::custom()) {
            // Other topics have left some of it: what belongs to the whole cluster, and a Service with the same address.
            let answer = self.servers.lane.upstream.ask_until(&case).await?;
            let taken = String::from_utf8_lossy(&answer.body).contains("provided IP is already allocated");
            if !matches!(answer.status, 200 | 201 | 409) && !taken {
                bail!("{}: {}", case.title, String::from_utf8_lossy(&answer.body));
            }
        }
        let over = page::open(&self.options.programs, directory).await?;
        let mut kinds = served.to_vec();
        kinds.extend(generate::served(&serde_json::json!({"groupVersion": "page.example.com/v1", "resources": [
            {"name": "pages", "kind": "Page", "namespaced": false, "verbs": ["get", "list"]}]})));
        let found = page::compare(&mut self.servers.lane, over, &kinds).await?;
        found.into_iter().try_for_each(|asked| self.count(asked))
    }

    async fn mutations(&mut self, folder: &Path, served: &[Served]) -> Result<()> {
        if !self.wants_any("mutation") {
            return Ok(());
        }
        self.namespace("t-mutation").await?;
        let seeds = generate::seeds(&folder.join("objects"), &self.fixtures(), served, "t-mutation")?;
        let seeds: Vec<Seed> = seeds.into_iter().filter(|s| self.wants(&format!("mutation/{}", s.name))).collect();
        let creates: Vec<Case> = seeds.iter().filter(|seed| seed.stored).map(Seed::create).collect();
        self.topic(&creates).await?;
        let mut random = Random::new(self.options.seed.unwrap_or_default());
        let cases = (0..self.options.cases).map(|number| random.pick(&seeds).mutation(&mut random, number)).collect();
        // Each is a dry run.
        let found = lane::independent(&self.servers.lane, cases).await?;
        found.into_iter().try_for_each(|asked| self.count(asked))
    }

    fn end(&self) -> Result<()> {
        let mut families: Vec<_> = self.families.iter().collect();
        families.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        for (family, (count, example)) in families.iter().take(FAMILIES) {
            println!("{count:6}  {family}\n        first in {example}");
        }
        let Run { cases, different, listed, .. } = self;
        println!("{cases} cases, {different} with differences in {} families, {listed} known differences", families.len());
        let unused = if self.options.topic.is_empty() { self.known.unused(self.options.cases) } else { Vec::new() };
        unused.iter().for_each(|line| println!("known.txt, {line}: matches nothing"));
        let allowed = self.options.allow.min(self.mutated);
        if *different > allowed || !unused.is_empty() {
            bail!("the servers differ");
        }
        Ok(())
    }
}
