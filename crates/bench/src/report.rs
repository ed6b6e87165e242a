//! Figures as a table or as JSON lines, each beside the one before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::figures::{Figure, Goal};

/// What is printed, and what is remembered of it.
pub struct Report {
    history: PathBuf,
    values: BTreeMap<String, f64>,
    json: bool,
    headed: bool,
}

impl Report {
    /// Reads the figures of the last run, if there was one on this machine.
    pub fn open(history: &Path, json: bool) -> Result<Self> {
        let values = match std::fs::read(history) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("read {}", history.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| format!("read {}", history.display())),
        };
        Ok(Report { history: history.to_owned(), values, json, headed: false })
    }

    /// Prints one figure.
    pub fn add(&mut self, figure: &Figure, value: f64) -> Result<()> {
        let value = rounded(value);
        let previous = self.values.insert(figure.name.to_owned(), value);
        let (Goal::AtMost(goal) | Goal::AtLeast(goal)) = figure.goal;
        if self.json {
            println!(
                "{}",
                json!({"name": figure.name, "value": value, "unit": figure.unit, "goal": goal, "previous": previous})
            );
            return Ok(());
        }
        if !self.headed {
            println!("{:<26} {:>10} {:<5} {:>10} {:>10}", "figure", "value", "unit", "previous", "goal");
            self.headed = true;
        }
        let (sign, met) = match figure.goal {
            Goal::AtMost(goal) => ("≤", value <= goal),
            Goal::AtLeast(goal) => ("≥", value >= goal),
        };
        let previous = previous.map_or_else(|| "-".to_owned(), |p| p.to_string());
        let missed = if met { "" } else { "  missed" };
        println!("{:<26} {:>10} {:<5} {:>10} {:>10}{missed}", figure.name, value, figure.unit, previous, format!("{sign} {goal}"));
        Ok(())
    }

    /// Remembers the figures for the next run.
    pub fn keep(self) -> Result<()> {
        if let Some(parent) = self.history.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let text = serde_json::to_string_pretty(&self.values)?;
        std::fs::write(&self.history, text + "\n").with_context(|| format!("write {}", self.history.display()))
    }
}

/// Three digits after the point for small values, none for large ones.
fn rounded(value: f64) -> f64 {
    let digits: i32 = match value.abs() {
        v if v < 10.0 => 3,
        v if v < 1000.0 => 1,
        _ => 0,
    };
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
