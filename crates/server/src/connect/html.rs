//! Links in HTML pages. Only what must change is changed: the page is not parsed beyond its tags.

/// Attributes that hold URLs, by tag (the HTML standard's index of attributes; upstream: `util/proxy/transport.go`).
const LINKS: &[(&str, &[&str])] = &[
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
];

/// Tags whose content is text until they close.
const RAW: [&str; 6] = ["script", "style", "textarea", "title", "iframe", "noscript"];

/// Rewrites every link of a page.
pub fn rewrite(page: &[u8], link: impl Fn(&str) -> String) -> Vec<u8> {
    let mut out = Vec::with_capacity(page.len() + page.len() / 8);
    let mut at = 0;
    while let Some(open) = find(page, at, b"<") {
        out.extend_from_slice(&page[at..open]);
        at = if page[open..].starts_with(b"<!--") {
            let end = find(page, open + 4, b"-->").map_or(page.len(), |end| end + 3);
            out.extend_from_slice(&page[open..end]);
            end
        } else if page.get(open + 1).is_some_and(u8::is_ascii_alphabetic) {
            tag(page, open, &link, &mut out)
        } else {
            out.push(b'<');
            open + 1
        };
    }
    out.extend_from_slice(&page[at..]);
    out
}

/// Copies the start tag at `open`, and what is text because of it. Where it ends.
fn tag(page: &[u8], open: usize, link: &impl Fn(&str) -> String, out: &mut Vec<u8>) -> usize {
    let mut at = word(page, open + 1);
    let name = lower(&page[open + 1..at]);
    let wanted = LINKS.iter().find(|(tag, _)| *tag == name).map_or(&[][..], |(_, names)| names);
    out.extend_from_slice(&page[open..at]);
    loop {
        let begin = at;
        at = skip(page, at, |b| b.is_ascii_whitespace() || b == b'/');
        out.extend_from_slice(&page[begin..at]);
        match page.get(at) {
            None => return at,
            Some(b'>') => break,
            Some(_) => at = attribute(page, at, wanted, link, out),
        }
    }
    out.push(b'>');
    at += 1;
    if !RAW.contains(&name.as_str()) {
        return at;
    }
    let end = closing(page, at, &name);
    out.extend_from_slice(&page[at..end]);
    end
}

/// Copies one attribute. Where it ends.
fn attribute(page: &[u8], begin: usize, wanted: &[&str], link: &impl Fn(&str) -> String, out: &mut Vec<u8>) -> usize {
    // A stray quote or equals sign is a part of the name, so that there is always progress.
    let end = skip(page, begin + 1, |b| !b.is_ascii_whitespace() && !matches!(b, b'=' | b'>' | b'/'));
    let name = lower(&page[begin..end]);
    let equals = skip(page, end, |b| b.is_ascii_whitespace());
    if page.get(equals) != Some(&b'=') {
        out.extend_from_slice(&page[begin..end]);
        return end;
    }
    let start = skip(page, equals + 1, |b| b.is_ascii_whitespace());
    let (value, after) = match page.get(start) {
        Some(quote @ (b'"' | b'\'')) => {
            let close = find(page, start + 1, &[*quote]).unwrap_or(page.len());
            (start + 1..close, (close + 1).min(page.len()))
        }
        _ => {
            let close = skip(page, start, |b| !b.is_ascii_whitespace() && b != b'>');
            (start..close, close)
        }
    };
    out.extend_from_slice(&page[begin..value.start]);
    match std::str::from_utf8(&page[value.clone()]) {
        Ok(text) if wanted.contains(&name.as_str()) => out.extend_from_slice(link(text).as_bytes()),
        _ => out.extend_from_slice(&page[value.clone()]),
    }
    out.extend_from_slice(&page[value.end..after]);
    after
}

fn closing(page: &[u8], from: usize, name: &str) -> usize {
    let mut at = from;
    while let Some(found) = find(page, at, b"</") {
        if lower(&page[found + 2..(found + 2 + name.len()).min(page.len())]) == name {
            return found;
        }
        at = found + 2;
    }
    page.len()
}

fn word(page: &[u8], from: usize) -> usize {
    skip(page, from, |b| !b.is_ascii_whitespace() && !matches!(b, b'/' | b'>'))
}

fn skip(page: &[u8], from: usize, while_: impl Fn(u8) -> bool) -> usize {
    let rest = page.get(from..).unwrap_or_default();
    from.min(page.len()) + rest.iter().position(|b| !while_(*b)).unwrap_or(rest.len())
}

fn find(page: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = page.get(from..)?;
    rest.windows(what.len()).position(|w| w == what).map(|at| from + at)
}

fn lower(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #[test]
    fn links_change_and_the_rest_does_not() {
        let link = |text: &str| if text.starts_with('/') { format!("/p{text}") } else { text.to_owned() };
        for (page, want) in [
            (r#"<a href="/x">y</a>"#, r#"<a href="/p/x">y</a>"#),
            ("<A class=b HREF='/x'/>", "<A class=b HREF='/p/x'/>"),
            ("<img src=/x usemap = /m>", "<img src=/p/x usemap = /p/m>"),
            ("<a title='/x' href='x'>", "<a title='/x' href='x'>"),
            ("<!-- <a href='/x'> --><p>1 < 2</p>", "<!-- <a href='/x'> --><p>1 < 2</p>"),
            ("<script src='/s'>\"<a href='/x'>\"</script><q cite=/x>", "<script src='/p/s'>\"<a href='/x'>\"</script><q cite=/p/x>"),
            ("<a href=\"/x", "<a href=\"/p/x"),
            ("<a =\"'/x> <", "<a =\"'/x> <"),
        ] {
            assert_eq!(String::from_utf8_lossy(&super::rewrite(page.as_bytes(), link)), want);
        }
    }
}
