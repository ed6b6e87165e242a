//! `docs/performance.md` and its plot, out of the outcomes.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::Outcome;

const HEIGHT: usize = 26;
const LABELS: usize = 380;
const PLOT: usize = 420;

/// The outcomes as a Markdown table.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = "| what | unit | upstream | Ironclad | times better | spread |\n|---|---|---:|---:|---:|---:|\n".to_owned();
    for outcome in outcomes {
        let ((upstream, ours), row) = (outcome.middle(), outcome.row);
        let (upstream, ours) = (short(upstream), short(ours));
        let (ratio, spread) = (outcome.ratio(), outcome.spread());
        // A String takes everything.
        let _ = writeln!(text, "| {} | {} | {upstream} | {ours} | {ratio:.1} | ±{spread:.0} % |", row.name, row.unit);
    }
    text
}

fn short(value: f64) -> String {
    match value.abs() {
        v if v < 10.0 => format!("{value:.2}"),
        v if v < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Writes the page, and the plot beside it.
pub fn write(path: &Path, outcomes: &[Outcome]) -> Result<()> {
    let plot = path.with_extension("svg");
    let text = format!(
        "# Performance\n\nWritten by `cargo xtask bench --upstream`: the same load, from the same client, on upstream's \
         control plane (kube-apiserver 1.36.3 on etcd 3.7.3, kube-controller-manager, kube-scheduler, with room for \
         5,000 requests a second each) and on Ironclad, which also runs node agent, service proxy and DNS. Both sides \
         write durably; they take turns, {} rounds of each, each on an empty store. The middle value counts; the spread is \
         the largest distance from it. Client and servers share {} cores.\n\n{}\n![times better]({})\n",
        super::ROUNDS,
        std::thread::available_parallelism().map_or(1, usize::from),
        table(outcomes),
        plot.file_name().unwrap_or_default().to_string_lossy(),
    );
    std::fs::write(&plot, svg(outcomes)).with_context(|| format!("write {}", plot.display()))?;
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// One bar a row, as long as the logarithm of its ratio.
fn svg(outcomes: &[Outcome]) -> String {
    let most = outcomes.iter().map(Outcome::ratio).fold(10.0, f64::max).log10();
    let (width, height) = (LABELS + PLOT + 70, (outcomes.len() + 1) * HEIGHT);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (at, outcome) in outcomes.iter().enumerate() {
        let (top, ratio) = (at * HEIGHT + HEIGHT / 2, outcome.ratio());
        let length = (ratio.max(1.0).log10() / most * PLOT as f64).max(1.0);
        let (name, middle, bar) = (outcome.row.name, top + HEIGHT / 2, HEIGHT - 8);
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{LABELS}\" y=\"{top}\" width=\"{length:.0}\" height=\"{bar}\" fill=\"#b7410e\"/>\
             <text x=\"{:.0}\" y=\"{}\">{ratio:.1}×</text>",
            LABELS - 8,
            middle + 1,
            LABELS as f64 + length + 6.0,
            middle + 1,
        );
    }
    text + "</svg>\n"
}
