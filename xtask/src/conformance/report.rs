//! Ginkgo's JSON report as rows: spec, result, seconds, first failing line.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// How a spec ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed, panicked, timed out or was interrupted.
    Failed,
    /// It was selected, and found that it cannot be run here.
    Skipped,
    /// It was not selected.
    NotRun,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::Skipped => "skipped",
            Outcome::NotRun => "not run",
        })
    }
}

/// One spec that was run.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its full name.
    pub name: String,
    /// Its file below `test/e2e`.
    pub file: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub seconds: f64,
    /// The first line that says why it failed or was skipped.
    pub line: String,
    /// It belongs to the conformance suite.
    pub conformance: bool,
}

impl Row {
    /// Whether it must not run beside others.
    pub fn serial(&self) -> bool {
        self.name.contains("[Serial]")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    spec_reports: Vec<Spec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    #[serde(default)]
    container_hierarchy_texts: Option<Vec<String>>,
    #[serde(default)]
    container_hierarchy_labels: Option<Vec<Option<Vec<String>>>>,
    leaf_node_type: String,
    leaf_node_text: String,
    #[serde(default)]
    leaf_node_labels: Option<Vec<String>>,
    leaf_node_location: Location,
    state: String,
    /// Nanoseconds.
    run_time: f64,
    #[serde(default)]
    failure: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Location {
    #[serde(default)]
    file_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    #[serde(default)]
    message: String,
}

/// All specs of a report, those that were not selected too. A suite that failed before its first spec is an error.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let file = BufReader::new(File::open(path).with_context(|| format!("read {}", path.display()))?);
    let reports: Vec<Report> = serde_json::from_reader(file).with_context(|| format!("read {}", path.display()))?;
    let mut rows = Vec::new();
    for spec in reports.into_iter().flat_map(|report| report.spec_reports) {
        let line = spec.failure.as_ref().map(|failure| first_line(&failure.message)).unwrap_or_default();
        if spec.leaf_node_type != "It" {
            if !matches!(spec.state.as_str(), "passed" | "skipped") {
                bail!("the suite's {} failed: {line}", spec.leaf_node_type);
            }
            continue;
        }
        let outcome = match spec.state.as_str() {
            "passed" => Outcome::Passed,
            // What the filters left out has no message.
            "skipped" if line.is_empty() => Outcome::NotRun,
            "pending" => Outcome::NotRun,
            "skipped" => Outcome::Skipped,
            _ => Outcome::Failed,
        };
        rows.push(row(spec, outcome, line));
    }
    Ok(rows)
}

fn row(spec: Spec, outcome: Outcome, line: String) -> Row {
    let texts = spec.container_hierarchy_texts.unwrap_or_default();
    let name = texts.iter().chain([&spec.leaf_node_text]).map(String::as_str).collect::<Vec<_>>().join(" ");
    let labels = spec.container_hierarchy_labels.unwrap_or_default().into_iter().flatten().flatten();
    let mut labels = labels.chain(spec.leaf_node_labels.unwrap_or_default());
    let conformance = labels.any(|label| label == "Conformance");
    let file = spec.leaf_node_location.file_name;
    let file = file.rsplit_once("test/e2e/").map_or(file.as_str(), |(_, below)| below).to_owned();
    Row {
        file,
        outcome,
        seconds: spec.run_time / 1e9,
        line,
        conformance,
        name,
    }
}

/// The line of a failure that says most: behind "Unexpected error:" comes the error's Go type, and then the error.
fn first_line(message: &str) -> String {
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut telling = lines.filter(|line| {
        let generic = line.ends_with("Unexpected error:") || *line == "{" || line.starts_with('<') && line.ends_with('{');
        !generic
    });
    let line = match telling.next().unwrap_or_default() {
        // An assertion: what was there and what should have been are on the lines below.
        "Expected" => format!("Expected {}", telling.take(4).collect::<Vec<_>>().join(" ")),
        line => line.to_owned(),
    };
    let line: String = line.chars().map(|c| if c == '|' { '¦' } else { c }).take(240).collect();
    line.trim().to_owned()
}

/// One line of the table, and the failing line below it.
pub fn print(row: &Row) {
    println!("{:<7} {:>6.1}  {}", row.outcome, row.seconds, row.name);
    if !row.line.is_empty() {
        println!("                 {}", row.line);
    }
}

/// `N passed, N failed, N skipped`.
pub fn summary(outcomes: impl Iterator<Item = Outcome>) -> String {
    let mut counts = BTreeMap::new();
    outcomes.for_each(|outcome| *counts.entry(outcome.to_string()).or_insert(0) += 1);
    let count = |outcome: Outcome| counts.get(&outcome.to_string()).copied().unwrap_or(0);
    format!("{} passed, {} failed, {} skipped", count(Outcome::Passed), count(Outcome::Failed), count(Outcome::Skipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_line_is_found() {
        let message = "Unexpected error:\n    <*errors.StatusError | 0xc000>: \n    {\n  the server could not find it";
        assert_eq!(first_line(message), "<*errors.StatusError ¦ 0xc000>:");
        assert_eq!(first_line("failed to x: Unexpected error:\n <*e>: {\n no such thing\n"), "no such thing");
        assert_eq!(first_line("Told to stop"), "Told to stop");
        assert_eq!(first_line("Expected\n    <bool>: false\nto be true"), "Expected <bool>: false to be true");
    }
}
