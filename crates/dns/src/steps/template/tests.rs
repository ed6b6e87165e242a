//! What templates cannot be, and how long they may become. What they do: `tests/coredns/template.txt`.

use crate::corefile::Files;
use crate::kit::{self, Cluster};
use crate::plan::compile;

#[test]
fn what_cannot_be_done_is_refused() {
    for (line, why) in [
        ("answer \"{{ .Name }\"", "unclosed action"),
        ("answer \"{{ if .Name }}x{{ end }}\"", "this action is not supported"),
        ("answer \"{{ .Message.Id }}\"", "this action is not supported"),
        ("answer \"{{ .Meta \\\"a\\\" }}\"", "this action is not supported"),
        ("answer", "Wrong argument count"),
        ("match (", "could not parse regex"),
        ("rcode WHAT", "WHAT is not a valid rcode"),
        ("expr true", "property 'expr' is not supported"),
        ("what", "unknown property 'what'"),
    ] {
        let text = format!(". {{\n    template IN A {{\n        {line}\n    }}\n}}\n");
        let fault = compile(&text, &Files::new(), &kit::environment()).err().unwrap_or_else(|| panic!("{line} is taken"));
        assert!(fault.line == 3 && fault.why.contains(why), "{line}: {fault}");
    }
    for (head, why) in [("CH A", "invalid query class CH"), ("IN WHAT", "invalid type"), ("IN", "Wrong argument count")] {
        let fault = compile(&format!(". {{\n template {head}\n}}\n"), &Files::new(), &kit::environment()).err().expect("refused");
        assert!(fault.why.contains(why), "{head}: {fault}");
    }
}

#[tokio::test]
async fn a_text_does_not_grow_without_end() {
    let many = "{{ .Name }} ".repeat(50);
    let cluster = Cluster::new(&format!(". {{\n template IN TXT {{\n answer \"{{{{ .Name }}}} 5 IN TXT {many}\"\n }}\n}}\n"));
    assert!(cluster.ask("a.", "TXT").await.starts_with("NOERROR aa | a. 5 TXT a."));
    assert_eq!(cluster.ask(&"abcdefgh.".repeat(20), "TXT").await, "SERVFAIL");
}

#[tokio::test]
async fn who_asks_is_part_of_it() {
    let cluster = Cluster::new(". {\n template IN A {\n answer \"{{ .Question.Name }} 5 {{ .Class }} A {{ .Remote }}\"\n }\n}\n");
    assert_eq!(cluster.ask("who.", "A").await, format!("NOERROR aa | who. 5 A {}", kit::CLIENT));
}
