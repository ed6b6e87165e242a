//! Replays the corpus on both servers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::Value;

use super::Options;
use super::generate::{self, Seed, Served};
use super::known::Known;
use super::random::Random;
use super::servers::{self, Servers};
use super::transcript::{self, Case};
use super::tree::{Difference, Tree};
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
    silent: usize,
    listed: usize,
    families: BTreeMap<String, (usize, String)>,
}

/// Compares; an error when something differs.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let directory = std::env::temp_dir().join(format!("ironclad-oracle-{}", options.seed.unwrap_or_default()));
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
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
    let mut run = Run { options, servers, known, cases: 0, different: 0, silent: 0, listed: 0, families };
    println!("seed {}", options.seed.unwrap_or_default());
    for (topic, cases) in transcript::read_all(&folder)? {
        if run.wants(&topic) {
            run.namespace(&format!("t-{topic}")).await?;
            run.topic(&cases).await?;
        }
    }
    let served = run.served().await?;
    run.rounds(&folder, &served).await?;
    run.mutations(&folder, &served).await?;
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
            for side in [&mut self.servers.upstream, &mut self.servers.ours] {
                side.set("ns", name);
                let answer = side.ask(&case).await?;
                if answer.status != 201 {
                    bail!("{}: {}", case.path, String::from_utf8_lossy(&answer.body));
                }
            }
        }
        Ok(())
    }

    async fn topic(&mut self, cases: &[Case]) -> Result<()> {
        for case in cases {
            self.case(case).await?;
        }
        Ok(())
    }

    async fn case(&mut self, case: &Case) -> Result<()> {
        self.cases += 1;
        let Servers { upstream, ours, .. } = &mut self.servers;
        let (a, b) = tokio::join!(upstream.ask(case), ours.ask(case));
        let Ok(a) = a else {
            // Its handler panicked on the request: there is nothing to be equal to.
            println!("upstream gives no answer: {}", case.title);
            self.silent += 1;
            return if self.silent > SILENT { a.map(|_| ()).context("upstream") } else { Ok(()) };
        };
        let b = b.context("ours")?;
        for (name, path) in &case.keep {
            for (side, answer) in [(&mut self.servers.upstream, &a), (&mut self.servers.ours, &b)] {
                let tree: Option<Tree> = serde_json::from_slice(&answer.body).ok();
                let value = tree.as_ref().and_then(|t| t.at(path)).and_then(Tree::text).unwrap_or_default();
                side.set(name, value);
            }
        }
        let now = Timestamp::now();
        let all = verdict::compare(case, &a, &b, now);
        let new: Vec<&Difference> = all.iter().filter(|d| !self.known.has(&case.title, d)).collect();
        self.listed += all.len() - new.len();
        if new.is_empty() {
            return Ok(());
        }
        self.different += 1;
        for difference in &new {
            let family = self.families.entry(verdict::family(difference)).or_insert((0, case.title.clone()));
            family.0 += 1;
        }
        if !self.options.summary {
            println!("{}", verdict::show(case, &new, &a, &b, now));
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
        let answer = self.servers.ours.ask(&Case::new("discovery", "GET", path)).await?;
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
        for seed in generate::seeds(&folder.join("objects"), &self.fixtures(), served, "t-round")? {
            if self.wants(&format!("round/{}", seed.name)) {
                self.topic(&seed.round()).await?;
            }
        }
        Ok(())
    }

    async fn mutations(&mut self, folder: &Path, served: &[Served]) -> Result<()> {
        if !self.wants_any("mutation") {
            return Ok(());
        }
        self.namespace("t-mutation").await?;
        let seeds = generate::seeds(&folder.join("objects"), &self.fixtures(), served, "t-mutation")?;
        let seeds: Vec<Seed> = seeds.into_iter().filter(|s| self.wants(&format!("mutation/{}", s.name))).collect();
        for seed in seeds.iter().filter(|seed| seed.stored) {
            self.case(&seed.create()).await?;
        }
        let mut random = Random::new(self.options.seed.unwrap_or_default());
        for number in 0..self.options.cases {
            let case = random.pick(&seeds).mutation(&mut random, number);
            self.case(&case).await?;
        }
        Ok(())
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
        if *different > 0 || !unused.is_empty() {
            bail!("the servers differ");
        }
        Ok(())
    }
}
