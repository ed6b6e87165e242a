//! Every figure. A group shares one cluster.

mod api;
mod idle;
mod overload;
mod pod;
mod pods;
mod scheduler;
mod services;
mod up;

pub(crate) use up::median;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use anyhow::Result;

/// One number that matters to users.
pub struct Figure {
    /// How it is called on the command line and in reports.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Where it should be.
    pub goal: Goal,
}

/// A bound.
#[derive(Clone, Copy)]
pub enum Goal {
    /// Less is better.
    AtMost(f64),
    /// More is better.
    AtLeast(f64),
}

/// Measures with this program: one value for each figure of the group, in order.
pub type Measure = fn(PathBuf) -> Pin<Box<dyn Future<Output = Result<Vec<f64>>>>>;

/// Figures that are measured together.
pub struct Group {
    /// What it yields.
    pub figures: &'static [Figure],
    /// How.
    pub measure: Measure,
}

/// Every group.
pub const ALL: &[Group] = &[up::GROUP, idle::GROUP, pod::GROUP, pods::GROUP, api::GROUP, overload::GROUP, services::GROUP, scheduler::GROUP];

pub(crate) const fn at_most(name: &'static str, unit: &'static str, goal: f64) -> Figure {
    Figure { name, unit, goal: Goal::AtMost(goal) }
}

pub(crate) const fn at_least(name: &'static str, unit: &'static str, goal: f64) -> Figure {
    Figure { name, unit, goal: Goal::AtLeast(goal) }
}
