//! Server blocks, snippets, and what is refused with its line.

use super::*;

fn shape(text: &str) -> Result<String, String> {
    let files = Files::from([("extra".to_owned(), "example.net {\n whoami\n}\n".to_owned()), ("part".to_owned(), "log\nerrors".to_owned())]);
    let custom = [("a.override", "log"), ("b.override", "bufsize 9"), ("a.server", "a.test {\nlog\n}"), ("b.server", "b.test {\nerrors\n}")];
    let files: Files = files.into_iter().chain(custom.map(|(name, text)| (format!("custom/{name}"), text.to_owned()))).collect();
    let join = |words: &[Word]| words.iter().map(|w| w.text.clone()).collect::<Vec<_>>().join(" ");
    let directive = |d: &Directive| {
        let lines: Vec<String> = d.lines.iter().map(|l| join(l)).collect();
        format!("{}({})[{}]", d.name.text, join(&d.args), lines.join("; "))
    };
    let block = |b: &Block| format!("{}: {}", join(&b.keys), b.directives.iter().map(directive).collect::<Vec<_>>().join(", "));
    let blocks = blocks(text, &files).map_err(|fault| fault.to_string())?;
    Ok(blocks.iter().map(block).collect::<Vec<_>>().join(" | "))
}

#[test]
fn blocks_have_keys_directives_and_lines() {
    let text = ".:53 {\n    errors\n    health {\n       lameduck 5s\n    }\n    forward . 8.8.8.8 9.9.9.9 {\n max_fails 3\n policy random }\n}\n\
        example.org, example.net\n{\n log\n}\n";
    let wanted = ".:53: errors()[], health()[lameduck 5s], forward(. 8.8.8.8 9.9.9.9)[max_fails 3; policy random] | \
        example.org example.net: log()[]";
    assert_eq!(shape(text).as_deref(), Ok(wanted));
    assert_eq!(shape("example.org\nlog\nerrors").as_deref(), Ok("example.org: log()[], errors()[]"));
}

#[test]
fn snippets_and_keys_of_the_config_map_are_imported() {
    let text = "(common) {\n log\n cache {\n success 10\n }\n}\n. {\n import common\n import /etc/coredns/part\n}\n";
    assert_eq!(shape(text).as_deref(), Ok(".: log()[], cache()[success 10], log()[], errors()[]"));
    let bomb = "(a) {\n import a\n}\n. {\n import a\n}\n";
    assert!(shape(bomb).expect_err("bounded").contains("too much is imported"));
    assert!(shape(". {\n\n import /etc/coredns/absent\n}").expect_err("absent").starts_with("Corefile:3 - "));
    let all = ". {\n any\n import /etc/coredns/custom/*.override\n}\nimport /etc/coredns/custom/*.server\nimport /etc/coredns/*.none\n";
    assert_eq!(shape(all).as_deref(), Ok(".: any()[], log()[], bufsize(9)[] | a.test: log()[] | b.test: errors()[]"));
    assert!(shape("import */*\n").expect_err("two").contains("may only contain one wildcard"));
}

#[test]
fn what_is_broken_is_refused_with_its_line() {
    for (text, wanted) in [
        (". {\n log\n", "Corefile:2 - Error during parsing: Unexpected EOF"),
        ("{\n log\n}", "Corefile:2 - Error during parsing: Syntax error: a server block has no zone"),
        (". {\n log {\n class { all }\n }\n}", "Corefile:3 - Error during parsing: Unexpected token '{', expecting argument"),
        (". {\n forward . {$DNS}\n}", "Corefile:2 - Error during parsing: values from the environment are not supported"),
        (".\nlog\n}", "Corefile:3 - Error during parsing: Unexpected '}' because no matching opening brace"),
    ] {
        assert_eq!(shape(text), Err(wanted.to_owned()), "{text}");
    }
}
