//! Names of properties as expressions write them (upstream: `apiserver/pkg/cel/escaping.go`): `a.b` is `a__dot__b`.

const ESCAPES: [(&str, &str); 4] = [("__", "underscores"), (".", "dot"), ("-", "dash"), ("/", "slash")];
/// Words that no property can be named by.
const RESERVED: &[&str] = &[
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop",
    "package", "namespace", "return", "var", "void", "while",
];

/// The name under which an expression reaches a property; none if it cannot.
pub fn escape(name: &str) -> Option<String> {
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        if let Some((text, word)) = ESCAPES.iter().find(|(text, _)| rest.starts_with(text)) {
            out.push_str(&format!("__{word}__"));
            rest = &rest[text.len()..];
            continue;
        }
        if !c.is_ascii_alphanumeric() && c != '_' {
            return None;
        }
        out.push(c);
        rest = &rest[1..];
    }
    Some(out)
}

/// The property that a name in an expression means; none if it is no right escape.
pub fn unescape(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("__") {
        let inner = rest[at + 2..].find('_').map(|end| &rest[at + 2..at + 2 + end]);
        let Some(word) = inner.filter(|word| !word.is_empty() && rest[at + 2 + word.len()..].starts_with("__")) else {
            // The next place at which an escape may begin.
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        };
        out.push_str(&rest[..at]);
        match ESCAPES.iter().find(|(_, name)| *name == word) {
            Some((text, _)) => out.push_str(text),
            None if RESERVED.contains(&word) && name.len() == word.len() + 4 => out.push_str(word),
            None => return None,
        }
        rest = &rest[at + 4 + word.len()..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (name, escaped) in [
            ("a", "a"), ("a.b", "a__dot__b"), ("a-b/c", "a__dash__b__slash__c"), ("a__b", "a__underscores__b"), ("namespace", "__namespace__"),
            ("_", "_"), ("a_b", "a_b"), ("___", "__underscores___"), ("__dot__", "__underscores__dot__underscores__"),
        ] {
            assert_eq!(escape(name).as_deref(), Some(escaped), "{name}");
            assert_eq!(unescape(escaped).as_deref(), Some(name), "{escaped}");
        }
        for bad in ["", "1a", "a b", "ä", "$"] {
            assert_eq!(escape(bad), None, "{bad}");
        }
        for bad in ["a__what__b", "a__namespace__", "__in__b"] {
            assert_eq!(unescape(bad), None, "{bad}");
        }
    }
}
