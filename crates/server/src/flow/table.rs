//! The configuration at work: schemas in their order, and levels with their requests.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use meta::Attributes;
use tokio::time::Instant;

use super::Class;
use super::borrow::{Party, divide_seats};
use super::config::{Config, LevelSpec, Seats};
use super::demand::Demand;
use super::level::Level;
use super::queues::Response;
use super::schema::FlowSchema;
use super::subjects::Subjects;
use super::tally::Tally;

/// A level with its place in the configuration.
#[derive(Clone)]
pub struct Placed {
    /// The level itself.
    pub level: Arc<Level>,
    /// What its object says.
    pub spec: LevelSpec,
    /// What it is entitled to.
    pub seats: Seats,
    /// What it has.
    pub current: u32,
    /// What it wanted at the last division.
    pub target: f64,
    /// What it could have used.
    pub demand: Demand,
    /// Its object is gone; it stays until its requests have ended.
    pub leaving: bool,
}

/// A schema with its level.
#[derive(Clone)]
pub struct Flowing {
    /// The schema itself.
    pub schema: FlowSchema,
    /// Where its level stands.
    pub level: usize,
    /// Its figures.
    pub tally: Arc<Tally>,
}

/// All of it.
#[derive(Clone, Default)]
pub struct Table {
    /// By name.
    pub levels: Vec<Placed>,
    /// In the order in which they are asked.
    pub schemas: Vec<Flowing>,
    /// Whom their rules are about.
    subjects: Arc<Subjects>,
    /// Each schema there is, and whether its level is there.
    pub found: Vec<(String, bool)>,
    /// Deals the queues: nobody outside can tell who meets whom there.
    hasher: RandomState,
}

impl Placed {
    /// Whether its requests never wait.
    pub fn is_exempt(&self) -> bool {
        self.spec.response == Response::Exempt
    }

    /// What its object asks for: to be kept as it is.
    fn wanted(&self, levels: &[meta::Object]) -> bool {
        levels.iter().any(|level| level.name() == self.level.name)
    }
}

impl Flowing {
    /// How answers name it.
    pub fn class(&self, placed: &Placed) -> Class {
        Class { level: placed.spec.uid.clone(), schema: self.schema.uid.clone() }
    }
}

impl Table {
    /// The schema that a request belongs to; the last one, which takes everything, if none matches.
    pub fn classify(&self, a: &Attributes) -> Option<usize> {
        let found = self.subjects.first(a, |at| &self.schemas[at].schema);
        found.or_else(|| self.schemas.len().checked_sub(1))
    }

    /// The hash of a request's flow.
    pub fn hash(&self, flowing: &Flowing, a: &Attributes) -> u64 {
        self.hasher.hash_one((&*flowing.schema.name, flowing.schema.flow(a)))
    }

    /// The same requests under other objects.
    pub fn configured(
        &self,
        levels: &[meta::Object],
        schemas: &[meta::Object],
        total: u32,
        began: Instant,
    ) -> Table {
        let gone = self.levels.iter().filter(|placed| !placed.wanted(levels) && !placed.level.is_idle());
        let leaving: Vec<LevelSpec> = gone.map(|placed| placed.spec.clone()).collect();
        let config = Config::digest(levels, schemas, &leaving, total);
        let placed: Vec<Placed> = config.levels.into_iter().map(|(spec, seats)| self.place(spec, seats, began)).collect();
        let flowing = |schema: FlowSchema| {
            let level = placed.iter().position(|placed| placed.level.name == schema.level)?;
            let known = self.schemas.iter().find(|f| f.schema.name == schema.name && f.schema.level == schema.level);
            let tally = known.map(|flowing| flowing.tally.clone());
            let tally = tally.unwrap_or_else(|| Arc::new(Tally::new(&schema.level, &schema.name)));
            Some(Flowing { schema, level, tally })
        };
        let schemas: Vec<Flowing> = config.schemas.into_iter().filter_map(flowing).collect();
        let subjects = Arc::new(Subjects::new(schemas.iter().map(|flowing| &flowing.schema)));
        let mut table = Table { levels: placed, schemas, subjects, found: config.found, hasher: self.hasher.clone() };
        for placed in &mut table.levels {
            placed.leaving = leaving.contains(&placed.spec) && !placed.wanted(levels);
        }
        table
    }

    fn place(&self, spec: LevelSpec, seats: Seats, began: Instant) -> Placed {
        if let Some(known) = self.levels.iter().find(|placed| placed.level.name == spec.name) {
            known.level.configure(spec.response, known.current);
            return Placed { spec, seats, leaving: false, ..known.clone() };
        }
        // Half of what it lends is lent at first.
        let current = seats.nominal - (seats.nominal - seats.least) / 2;
        let level = Level::new(&spec.name, spec.response, current, began);
        Placed { level, spec, seats, current, target: 0.0, demand: Demand::default(), leaving: false }
    }

    /// With the seats divided anew; the part of its target that a level gets.
    pub fn balanced(&self) -> (Table, f64) {
        let mut table = self.clone();
        for placed in &mut table.levels {
            placed.demand.update(placed.level.demand());
        }
        let party = |p: &Placed| Party { seats: p.seats, demand: p.demand, exempt: p.is_exempt() };
        let division = divide_seats(&table.levels.iter().map(party).collect::<Vec<_>>());
        for (placed, (seats, target)) in table.levels.iter_mut().zip(division.seats.into_iter().zip(division.targets)) {
            (placed.current, placed.target) = (seats, target);
            placed.level.configure(placed.spec.response, seats);
        }
        (table, division.fraction)
    }
}
