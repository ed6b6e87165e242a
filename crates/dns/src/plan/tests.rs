//! Beside CoreDNS: the same questions to the same cluster get the same answers, record by record. What CoreDNS says was
//! recorded with its own program (`tests/upstream/coredns`). A line `!` after it is what we say instead, and a line `#`
//! before it says why.

use serde_json::Value;

use super::*;
use crate::kit::{self, Cluster, Upstream, lines, record};

/// A file of `tests/coredns`.
struct Case {
    corefile: String,
    /// Question, what CoreDNS says, what we say.
    questions: Vec<(String, String, String)>,
}

fn case(name: &str) -> Case {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/coredns").join(name);
    let text = std::fs::read_to_string(path).expect("a case");
    let (corefile, rest) = text.split_once("\n---\n").expect("a Corefile and questions");
    let mut questions: Vec<(String, String, String)> = Vec::new();
    for line in rest.lines().filter(|line| !line.starts_with('#')) {
        match (line.strip_prefix("= "), line.strip_prefix("! "), questions.last_mut()) {
            (Some(said), _, Some(last)) => (last.1, last.2) = (said.to_owned(), said.to_owned()),
            (_, Some(ours), Some(last)) => last.2 = ours.to_owned(),
            _ => questions.push((line.to_owned(), String::new(), String::new())),
        }
    }
    Case { corefile: corefile.to_owned(), questions }
}

/// The name server outside, for ever.
async fn outside(upstream: Upstream) {
    let tree: Value = serde_json::from_str(include_str!("../../tests/coredns/world.json")).expect("JSON");
    loop {
        let (question, from) = upstream.next().await;
        let query = &question.queries[0];
        let said = &tree["upstream"][format!("{} {}", query.name(), query.query_type())];
        let refused = if said.is_null() { "REFUSED" } else { said["code"].as_str().unwrap_or("NOERROR") };
        let code = crate::corefile::values::CODES.iter().find(|(name, _)| *name == refused).expect("a code").1;
        let records = |section: &str| -> Vec<_> {
            said[section].as_str().unwrap_or("").lines().map(|line| record(&line.replace(" IN ", " "))).collect()
        };
        let (answers, authorities) = (records("answer"), records("authority"));
        upstream.say(&question, from, |message| {
            message.metadata.response_code = code;
            (message.answers, message.authorities) = (answers, authorities);
        })
        .await;
    }
}

/// Each section in the order of the alphabet, which is not the order of the answer.
fn sorted(line: &str) -> String {
    let section = |text: &str| {
        let mut records: Vec<&str> = text.split("; ").collect();
        records.sort_unstable();
        records.join("; ").replace('"', "")
    };
    line.split(" | ").map(section).collect::<Vec<_>>().join(" | ")
}

/// How many answers are compared; all that differ are shown.
async fn compare(name: &str) -> usize {
    let case = case(name);
    let upstream = Upstream::new().await;
    let corefile = case.corefile.replace("UPSTREAM", &upstream.address.to_string());
    let server = tokio::spawn(outside(upstream));
    let zone = include_str!("../../tests/coredns/example.db").to_owned();
    let files = Files::from([("none".to_owned(), String::new()), ("example.db".to_owned(), zone)]);
    let mut compiled = compile(&corefile, &files, &kit::environment()).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let slot = crate::respond::Slot::new(compiled.sockets.remove(&kit::own()).expect("a plan"));
    let cluster = Cluster { slot, permits: crate::limits::Permits::new(64, 64) };
    let mut wrong = Vec::new();
    for (question, said, wanted) in &case.questions {
        let (name, kind) = question.split_once(' ').expect("a name and a type");
        let answer = sorted(&lines(&cluster.message(&kit::question(&format!("{}.", name.trim_end_matches('.')), kind)).await));
        if answer != *wanted {
            let coredns = if said == wanted { String::new() } else { format!("\n CoreDNS {said}") };
            wrong.push(format!("{question}\n    wanted {wanted}\n    is     {answer}{coredns}"));
        }
    }
    server.abort();
    assert!(wrong.is_empty(), "{name}: {} of {}\n{}", wrong.len(), case.questions.len(), wrong.join("\n"));
    case.questions.len()
}

#[tokio::test]
async fn names_of_the_cluster_are_those_of_coredns() {
    assert!(compare("kubernetes.txt").await > 250);
}

#[tokio::test]
async fn names_of_pods_that_are_there_are_those_of_coredns() {
    assert!(compare("verified.txt").await > 100);
}

#[tokio::test]
async fn hosts_are_those_of_coredns() {
    compare("hosts.txt").await;
}

#[tokio::test]
async fn rewritten_names_are_those_of_coredns() {
    compare("rewrite.txt").await;
}

#[tokio::test]
async fn templates_are_those_of_coredns() {
    compare("template.txt").await;
}

#[tokio::test]
async fn server_blocks_and_the_cache_are_those_of_coredns() {
    compare("blocks.txt").await;
}

#[tokio::test]
async fn zone_files_are_answered_as_coredns_answers_them() {
    compare("file.txt").await;
}

#[tokio::test]
async fn search_paths_are_walked_as_coredns_walks_them() {
    compare("autopath.txt").await;
}

#[tokio::test]
async fn local_names_and_translated_addresses_are_those_of_coredns() {
    compare("local.txt").await;
}

#[test]
fn what_is_too_much_is_refused_with_its_line() {
    let refused = |text: &str| compile(text, &Files::new(), &kit::environment()).err().expect("refused").to_string();
    let patterns: String = (0..300).map(|n| format!("    rewrite name regex ^a{n}\\. b{n}.example\n")).collect();
    assert_eq!(refused(&format!(". {{\n{patterns}}}\n")), "Corefile:258 - Error during parsing: more than 256 regex patterns");
    let rules = "    rewrite type A AAAA\n".repeat(1100);
    assert_eq!(refused(&format!(". {{\n{rules}}}\n")), "Corefile:1026 - Error during parsing: more than 1024 rules");
    let blocks: String = (0..300).map(|n| format!("{n}.example {{\n}}\n")).collect();
    assert!(refused(&blocks).contains("more than 256 server blocks"));
    let ports: String = (0..30).map(|n| format!(".:{} {{\n}}\n", 1000 + n)).collect();
    assert!(refused(&ports).contains("more than 16 ports"));
    let twice = refused("a.example {\n}\n. A.example.:53 {\n}\n");
    assert_eq!(twice, "Corefile:3 - Error during parsing: cannot serve dns://a.example.:53 - it is already defined");
    let imports = format!("(a) {{\n{}}}\n. {{\n{}}}\n", "    errors\n".repeat(1000), "    import a\n".repeat(200));
    assert!(refused(&imports).contains("too much is imported"));
}

#[test]
fn what_coredns_knows_and_we_do_not_is_refused() {
    for (line, why) in [
        ("forward . quic://9.9.9.9", "'quic' is not supported as a destination protocol in forward"),
        ("forward . tls://9.9.9.9%a {\n tls_servername b\n }", "both forward ('b') and proxy level ('a') TLS servernames are set for upstream proxy 'tls://9.9.9.9:853'"),
        ("forward . tls://9.9.9.9%a_/", "invalid TLS servername 'a_/'"),
        ("forward . tls://9.9.9.9 {\n tls /etc/ssl/ca.crt\n }", "error reading /etc/ssl/ca.crt: it is no key of the ConfigMap"),
        ("forward . tls://9.9.9.9 {\n tls a b c d\n }", "Wrong argument count or unexpected line ending after 'd'"),
        ("forward . 192.0.2.1 {\n max_age 5s\n }", "max_age (5s) must not be less than expire (10s)"),
        ("forward . 192.0.2.1 {\n source_address a\n }", "invalid IP address: a"),
        ("autopath", "no resolv-conf specified"),
        ("autopath @hosts", "hosts does not implement the AutoPather interface"),
        ("autopath @etcd", "directive 'etcd' is not supported"),
        ("autopath /etc/other", "failed to parse \"/etc/other\": it is no key of the ConfigMap"),
        ("bind nosuch0", "not a valid IP address or interface name: \"nosuch0\""),
        ("forward . dns.example", "not an IP address, or /etc/resolv.conf"),
        ("forward . 192.0.2.1 {\n resolver 192.0.2.2\n }", "property 'resolver' is not supported"),
        ("forward .", "Wrong argument count or unexpected line ending after '.'"),
        ("cache 30 {\n serve_stale_policy prefer_positive\n }", "property 'serve_stale_policy' is not supported"),
        ("cache 30 {\n serve_stale 1h verify 5s\n }", "property '5s' is not supported"),
        ("cache 30 {\n serve_stale 1h later\n }", "invalid value for serve_stale refresh mode: later"),
        ("cache 30 {\n prefetch 1 1m 5%\n }", "percentage should fall in range"),
        ("cache 0", "'0' is no number between 1 and"),
        ("hosts /etc/hosts", "'/etc/hosts' is no key of the ConfigMap below /etc/coredns/"),
        ("hosts {\n fallthrough\n 192.0.2.1 a\n }", "unknown property '192.0.2.1'"),
        ("kubernetes cluster.local {\n endpoint http://a\n }", "property 'endpoint' is not supported"),
        ("kubernetes in-addr.arpa", "non-reverse zone name must be used"),
        ("kubernetes cluster.local {\n pods some\n }", "wrong value for pods: some"),
        ("kubernetes cluster.local {\n ttl 4000\n }", "'4000' is no number between 0 and 3600"),
        ("loadbalance weighted a", "property 'weighted' is not supported"),
        ("log . \"{remote}\"", "formats are not supported"),
        ("errors {\n consolidate 5m\n }", "Wrong argument count or unexpected line ending after '5m'"),
        ("errors {\n consolidate 5m a show_first warning\n }", "log level must come before show_first in consolidate"),
        ("errors {\n consolidate 5m a loud\n }", "unknown option in consolidate: loud"),
        ("errors\n errors", "this plugin can only be used once per Server Block"),
    ] {
        let fault = compile(&format!(". {{\n{line}\n}}\n"), &Files::new(), &kit::environment()).err();
        let fault = fault.unwrap_or_else(|| panic!("{line} is taken"));
        assert!(fault.why.contains(why) && fault.line >= 2, "{line}: {fault}");
    }
}

#[tokio::test]
async fn the_examples_of_the_manual_are_those_of_coredns() {
    compare("manual.txt").await;
}
