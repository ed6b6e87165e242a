//! `$(VAR)` references in environment values, commands and arguments.

/// Replaces `$(NAME)` by its value; unknown names stay as they are, `$$` is a single `$`.
pub fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            match lookup(name) {
                Some(value) => out.push_str(&value),
                None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn references() {
        let lookup = |name: &str| (name == "A").then(|| "1".to_owned());
        for (text, want) in [
            ("x$(A)y", "x1y"), ("$(B)", "$(B)"), ("$$(A)", "$(A)"), ("$A", "$A"), ("$(A", "$(A"), ("100$", "100$"),
            ("$$$(A)", "$1"), ("$(A)$(A)", "11"), ("", ""),
        ] {
            assert_eq!(super::expand(text, lookup), want, "{text}");
        }
    }
}
