//! No field of a pod, a Service or an EndpointSlice is accepted and ignored.
//!
//! Each field of the schema is set alone in an otherwise valid object. The object goes to the API server; what that
//! stores goes to all who decide by it. Some decision must differ from that without the field, or the object be refused,
//! or the list in `fields.txt` say why not.

mod api;
mod deciders;
#[path = "../../../server/tests/kit/mod.rs"]
mod kit;
mod kubelet;
mod machine;
mod samples;
mod table;
mod walk;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use api::{Answer, Cluster};
use table::{Fate, Row};
use walk::Leaf;

/// See [`table`].
const LIST: &str = "tests/fields/fields.txt";

/// What is known of one value of one field.
#[derive(Default)]
struct Finding {
    /// It was taken.
    accepted: bool,
    /// It is no longer there.
    dropped: bool,
    /// Whose decisions differ.
    seen_by: Vec<&'static str>,
    /// Why it was refused, by whom it was.
    refused: Vec<String>,
}

/// Not a function among those of a test program: volumes are mounted, and only the thread that a process begins with can
/// look into a mount namespace of its own.
fn main() -> std::process::ExitCode {
    use nix::mount::{MsFlags, mount};
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).expect("private");
    // In memory: thousands of pods' files come and go.
    mount(Some("tmpfs"), &std::env::temp_dir(), Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("files in memory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (fields, wrong) = runtime.block_on(no_field_is_accepted_and_ignored());
    wrong.iter().for_each(|line| println!("{line}"));
    println!("{fields} fields, {} things to mend", wrong.len());
    if wrong.is_empty() { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}

async fn no_field_is_accepted_and_ignored() -> (usize, Vec<String>) {
    let (mut fields, mut wrong) = (0, Vec::new());
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(home.join(LIST)).expect("the list is there");
    let rows = table::read(&text, &mut wrong);
    let tests = table::tests(&home.join(".."));
    let mut used = BTreeMap::new();
    let dir = tempfile::tempdir().expect("directory");
    let cluster = Cluster::new(dir.path()).await;
    let core = "io.k8s.api.core.v1";
    // Metadata is the same for all kinds: the life cycle of objects looks after it.
    let metadata = ["kind", "apiVersion", "metadata"];
    let types = [
        ("Pod", format!("{core}.PodSpec"), &[][..]),
        ("Service", format!("{core}.ServiceSpec"), &[]),
        ("EndpointSlice", "io.k8s.api.discovery.v1.EndpointSlice".to_owned(), &metadata),
    ];
    let only = std::env::var("FIELD").unwrap_or_default();
    for (kind, definition, leave_out) in types {
        for leaf in walk::leaves(&definition, leave_out) {
            let path = format!("{kind}.{}", leaf.path);
            if !path.contains(&only) {
                continue;
            }
            fields += 1;
            let findings = match findings(&cluster, kind, &leaf).await {
                Ok(findings) => findings,
                Err(chance) => {
                    wrong.push(format!("{path}: two trials of one object end differently: {chance}"));
                    continue;
                }
            };
            match table::row(&rows, &path) {
                None => wrong.push(format!("{path}: not in the list; {}", describe(&findings))),
                Some(row) => {
                    *used.entry(row.pattern.clone()).or_insert(0) += 1;
                    if let Err(why) = judge(row, &findings, &tests) {
                        wrong.push(format!("{path} ({} {}): {why}; {}", row.pattern, row.words, describe(&findings)));
                    }
                }
            }
        }
    }
    if only.is_empty() {
        wrong.extend(rows.iter().filter(|r| !used.contains_key(&r.pattern)).map(|r| format!("{}: decides for no field", r.pattern)));
    }
    (fields, wrong)
}

/// What comes of each value. The error is what chance has a hand in: nothing could be told from it.
async fn findings(cluster: &Cluster, kind: &str, leaf: &Leaf) -> Result<Vec<(Value, Finding)>, String> {
    let base = cluster.ask(kind, leaf, leaf.plant(None)).await;
    let again = cluster.ask(kind, leaf, leaf.plant(None)).await;
    if base != again {
        let lines = |answer: &Answer| -> Vec<String> { answer.plans.values().flat_map(|p| p.lines()).map(str::to_owned).collect() };
        let (first, second) = (lines(&base), lines(&again));
        let other = first.iter().zip(&second).find(|(a, b)| a != b);
        return Err(other.map_or_else(|| "in their number of lines".to_owned(), |(a, b)| format!("{a:?}, then {b:?}")));
    }
    let mut findings = Vec::new();
    for value in samples::values(leaf) {
        let set = cluster.ask(kind, leaf, leaf.plant(Some(&value))).await;
        findings.push((value, compare(leaf, &base, &set)));
    }
    Ok(findings)
}

fn compare(leaf: &Leaf, base: &Answer, set: &Answer) -> Finding {
    let mut finding = Finding { refused: set.refused.clone(), ..Finding::default() };
    let Some(object) = &set.object else { return finding };
    finding.accepted = true;
    let Some(before) = &base.object else { return finding };
    finding.dropped = pruned(object.clone()) == pruned(before.clone());
    let (mut without, mut other) = (object.clone(), before.clone());
    leaf.cut(&mut without);
    leaf.cut(&mut other);
    if without != other {
        finding.seen_by.push("the API server");
    }
    let same = |who: &str| set.plans.get(who) == base.plans.get(who);
    finding.seen_by.extend(set.plans.keys().copied().filter(|who| !same(who)));
    finding
}

/// The tree without objects that hold nothing: with its last field, its owner goes.
fn pruned(tree: Value) -> Value {
    match tree {
        Value::Object(fields) => {
            let kept = fields.into_iter().map(|(name, value)| (name, pruned(value)));
            Value::Object(kept.filter(|(_, value)| value.as_object().is_none_or(|o| !o.is_empty())).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(pruned).collect()),
        plain => plain,
    }
}

/// Whether the fate of a field is what the list says.
fn judge(row: &Row, findings: &[(Value, Finding)], tests: &[String]) -> Result<(), String> {
    let all = |holds: &dyn Fn(&Finding) -> bool| !findings.is_empty() && findings.iter().all(|(_, f)| holds(f));
    let taken = findings.iter().any(|(_, f)| f.accepted && f.refused.is_empty());
    let seen = findings.iter().any(|(_, f)| f.accepted && !f.seen_by.is_empty());
    let says = |f: &Finding| f.refused.iter().any(|text| text.contains(&row.words));
    let named = || row.words.split_whitespace().find(|name| !tests.iter().any(|t| t == name));
    let check = |holds: bool, why: &str| if holds { Ok(()) } else { Err(why.to_owned()) };
    match row.fate {
        Fate::Acts | Fate::Needs | Fate::Test if named().is_some() => Err(format!("no test is called {}", named().unwrap_or_default())),
        Fate::Acts => check(seen, "nobody's decision differs"),
        Fate::Needs => check(seen || all(&|f| !f.refused.is_empty()), "nobody's decision differs, and nobody refuses it"),
        Fate::Refused | Fate::Pending => check(all(&says), "is not refused in these words"),
        Fate::Dropped => check(all(&|f| f.dropped), "is not dropped"),
        Fate::Test | Fate::Informative | Fate::Later if !taken => Err("no value of it is accepted".to_owned()),
        Fate::Test | Fate::Informative | Fate::Later => check(!seen, "is seen: it acts"),
    }
}

fn describe(findings: &[(Value, Finding)]) -> String {
    let one = |(value, f): &(Value, Finding)| {
        let fate = if f.dropped { "dropped" } else if f.accepted { "accepted" } else { "refused" };
        format!("{value} {fate}, seen by {:?}, refusals {:?}", f.seen_by, f.refused)
    };
    findings.iter().map(one).collect::<Vec<_>>().join(" | ")
}
