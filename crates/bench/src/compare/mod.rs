//! The same load on upstream's control plane and on ours, alternating, as ratios.
//!
//! A measurement is one file here and one line in the list. Its rows share one fresh start of a side.

mod deployment;
mod fanout;
mod page;
mod reads;
mod ready;
pub mod scheduling;
mod writes;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::target::Target;
use crate::upstream::Upstream;

/// How often each side is measured.
const ROUNDS: usize = 3;

/// One line of the table.
pub struct Row {
    /// What is measured.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Whether more is better.
    pub rate: bool,
}

/// How a side is started.
pub struct Start<'a> {
    program: &'a Path,
    programs: &'a Path,
    ours: bool,
}

/// Rows that share a start: one value for each, in order.
pub type Measure = for<'a> fn(&'a Start<'a>) -> Pin<Box<dyn Future<Output = Result<Vec<f64>>> + 'a>>;

/// A measurement.
pub struct Group {
    /// How it is called on the command line.
    pub name: &'static str,
    /// What it yields.
    pub rows: &'static [Row],
    /// How.
    pub measure: Measure,
}

/// Every measurement.
pub const ALL: &[Group] = &[ready::GROUP, writes::GROUP, reads::GROUP, fanout::GROUP, scheduling::GROUP, deployment::GROUP];

/// What one row came to on both sides: one value a round.
pub struct Outcome {
    /// The row.
    pub row: &'static Row,
    /// Upstream's values.
    pub upstream: Vec<f64>,
    /// Ours.
    pub ours: Vec<f64>,
}

pub(crate) const fn less(name: &'static str, unit: &'static str) -> Row {
    Row { name, unit, rate: false }
}

pub(crate) const fn more(name: &'static str) -> Row {
    Row { name, unit: "1/s", rate: true }
}

impl Start<'_> {
    /// Starts the side without waiting.
    pub fn launch(&self) -> Result<Target> {
        if self.ours {
            Ok(Target::Ours(Cluster::start(self.program, &[])?))
        } else {
            Ok(Target::Upstream(Upstream::start(self.programs)?))
        }
    }

    /// Starts the side and waits until it is ready.
    pub async fn api(&self) -> Result<Target> {
        let target = self.launch()?;
        target.ready().await?;
        Ok(target)
    }

    /// The same with controllers and a scheduler.
    pub async fn whole(&self) -> Result<Target> {
        let mut target = self.api().await?;
        if let Target::Upstream(upstream) = &mut target {
            upstream.start_actors(&[])?;
        }
        Ok(target)
    }
}

impl Outcome {
    /// The middle values: upstream's, ours.
    pub fn middle(&self) -> (f64, f64) {
        (crate::figures::median(self.upstream.clone()), crate::figures::median(self.ours.clone()))
    }

    /// How many times better ours is, by the middle values.
    pub fn ratio(&self) -> f64 {
        let (upstream, ours) = self.middle();
        if self.row.rate { ours / upstream } else { upstream / ours }
    }

    /// The largest distance from the middle value in percent, of both sides.
    pub fn spread(&self) -> f64 {
        let of = |values: &[f64], middle: f64| values.iter().map(|v| (v - middle).abs() / middle * 100.0).fold(0.0, f64::max);
        let (upstream, ours) = self.middle();
        of(&self.upstream, upstream).max(of(&self.ours, ours))
    }
}

/// Measures the groups of these names (all when there are none), prints the table, and writes the page.
pub async fn run(program: &Path, programs: &Path, names: &[String], page: Option<&Path>) -> Result<()> {
    let mut outcomes = Vec::new();
    for group in ALL.iter().filter(|g| names.is_empty() || names.iter().any(|n| n == g.name)) {
        let (mut upstream, mut ours) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // Who goes first alternates, too.
            for is_ours in [round % 2 == 1, round % 2 == 0] {
                let start = Start { program, programs, ours: is_ours };
                let side = if is_ours { "ours" } else { "upstream" };
                let values = (group.measure)(&start).await.with_context(|| format!("{} of {side}", group.name))?;
                eprintln!("{} {side}: {values:.2?}", group.name);
                if is_ours { ours.push(values) } else { upstream.push(values) }
            }
        }
        for (at, row) in group.rows.iter().enumerate() {
            let column = |rounds: &[Vec<f64>]| rounds.iter().filter_map(|values| values.get(at).copied()).collect();
            outcomes.push(Outcome { row, upstream: column(&upstream), ours: column(&ours) });
        }
    }
    print!("{}", page::table(&outcomes));
    page.map_or(Ok(()), |path| page::write(path, &outcomes))
}
