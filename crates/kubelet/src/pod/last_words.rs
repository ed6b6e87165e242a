//! Termination messages: what an ended container wrote to its file, or the end of its log.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use k8s_openapi::api::core::v1::{Container, Pod};
use runtime::Container as Seen;

use super::launch::termination_log;
use super::observed::exit;
use crate::log;

/// Most bytes of the file (upstream: `MaxContainerTerminationMessageLength`).
const LONGEST: u64 = 4096;
/// Most bytes and lines of the log.
const LONGEST_LOG: usize = 2048;
const MOST_LINES: usize = 80;

/// The message of an ended container; empty for none.
pub fn of(_pod: &Pod, container: Option<&Container>, seen: &Seen, pod_dir: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = log::open(&termination_log(pod_dir, &seen.name, seen.attempt)) {
        let _ = file.take(LONGEST).read_to_end(&mut bytes);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let falls_back =
        container.is_some_and(|c| c.termination_message_policy.as_deref() == Some("FallbackToLogsOnError"));
    let failed = exit(seen).is_some_and(|(code, _)| code != 0);
    if text.is_empty() && falls_back && failed { end_of_log(&seen.log_path) } else { text }
}

fn end_of_log(path: &Path) -> String {
    let Ok(mut file) = log::open(path) else { return String::new() };
    let length = file.metadata().map_or(0, |m| m.len());
    // The log's own framing takes room too.
    let _ = file.seek(SeekFrom::Start(length.saturating_sub(4 * LONGEST_LOG as u64)));
    let mut bytes = Vec::new();
    let _ = file.take(4 * LONGEST_LOG as u64).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(MOST_LINES);
    let mut out = String::new();
    for line in &lines[start..] {
        let mut parts = line.splitn(4, ' ').skip(2);
        let (Some(tag), Some(message)) = (parts.next(), parts.next()) else { continue };
        out.push_str(message);
        if tag.starts_with('F') {
            out.push('\n');
        }
    }
    let cut = out.len().saturating_sub(LONGEST_LOG);
    let cut = (cut..out.len()).find(|i| out.is_char_boundary(*i)).unwrap_or(0);
    out.split_off(cut)
}
