//! The corpus: files that read like a transcript, one topic each.
//!
//! A case opens with `=== TITLE`, then the request line, then headers and directives, then after an empty line
//! the body. Directives: `as: USER [GROUP…]` (impersonated; `as: nobody` sends no certificate), `type: merge`
//! (short for a media type), `keep: NAME = PATH` (a value of the answer, used later as `{{NAME}}`), `until: STATUS`
//! (asked again until it is answered so: what a server does in its own time).
//! `{{ns}}` is the topic's own namespace.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// One request of the corpus.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Case {
    /// `TOPIC/TITLE`.
    pub title: String,
    /// `GET` and the like.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers as they are sent.
    pub headers: Vec<(String, String)>,
    /// Whether the client shows its certificate.
    pub anonymous: bool,
    /// Names for values of the answer, by path.
    pub keep: Vec<(String, String)>,
    /// It is asked again until the answer has this status, or some time has passed.
    pub until: Option<u16>,
    /// The body.
    pub body: Vec<u8>,
}

/// Short names of media types.
const TYPES: &[(&str, &str)] = &[
    ("json", "application/json-patch+json"),
    ("merge", "application/merge-patch+json"),
    ("strategic", "application/strategic-merge-patch+json"),
    ("apply", "application/apply-patch+yaml"),
    ("yaml", "application/yaml"),
    ("protobuf", "application/vnd.kubernetes.protobuf"),
];

impl Case {
    /// A request without body or headers.
    pub fn new(title: impl Into<String>, method: &str, path: impl Into<String>) -> Case {
        Case { title: title.into(), method: method.to_owned(), path: path.into(), ..Case::default() }
    }

    /// With one more header; `type` may be short.
    pub fn header(mut self, name: &str, value: &str) -> Case {
        match name {
            "as" => self.identity(value),
            "type" => {
                let long = TYPES.iter().find(|(short, _)| *short == value).map_or(value, |(_, long)| long);
                self.headers.push(("Content-Type".to_owned(), long.to_owned()));
            }
            _ => self.headers.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// With a body; JSON if nothing else was said.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Case {
        self.body = body.into();
        let typed = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !typed && !self.body.is_empty() {
            self.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        self
    }

    fn identity(&mut self, text: &str) {
        let mut words = text.split_whitespace();
        let user = words.next().unwrap_or_default();
        if user == "nobody" {
            self.anonymous = true;
            return;
        }
        self.headers.push(("Impersonate-User".to_owned(), user.to_owned()));
        self.headers.extend(words.map(|group| ("Impersonate-Group".to_owned(), group.to_owned())));
    }
}

/// All topics of a folder, by name, in order of their names.
pub fn read_all(folder: &Path) -> Result<Vec<(String, Vec<Case>)>> {
    let mut topics = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        let topic = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_some_and(|e| e == "txt") && topic != "known" {
            let text = std::fs::read_to_string(&path)?;
            let cases = parse(&topic, &text).with_context(|| format!("read {}", path.display()))?;
            topics.push((topic, cases));
        }
    }
    topics.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(topics)
}

/// The cases of one topic.
pub fn parse(topic: &str, text: &str) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for block in format!("\n{text}").split("\n=== ").skip(1) {
        cases.push(case(topic, block).with_context(|| format!("case {:?}", block.lines().next().unwrap_or_default()))?);
    }
    Ok(cases)
}

fn case(topic: &str, block: &str) -> Result<Case> {
    let (head, body) = block.split_once("\n\n").unwrap_or((block, ""));
    let mut lines = head.lines();
    let title = lines.next().unwrap_or_default().trim();
    let request = lines.next().context("a title without a request")?;
    let (method, path) = request.split_once(' ').context("METHOD PATH")?;
    let mut case = Case::new(format!("{topic}/{title}"), method, path.trim());
    for line in lines {
        let (name, value) = line.split_once(':').with_context(|| format!("no header: {line:?}"))?;
        let value = value.trim();
        if name == "keep" {
            let Some((name, path)) = value.split_once('=') else { bail!("keep: NAME = PATH") };
            case.keep.push((name.trim().to_owned(), path.trim().to_owned()));
        } else if name == "until" {
            case.until = Some(value.parse().context("until: STATUS")?);
        } else {
            case = case.header(name, value);
        }
    }
    let body = body.lines().filter(|line| !line.starts_with("# ")).collect::<Vec<_>>().join("\n");
    Ok(case.body(body.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_reads_like_a_transcript() {
        let text = "# about\n=== make\nPOST /a\nas: jane devs\nkeep: rv = metadata.resourceVersion\n\n{\"a\":1}\n\n=== patch\nPATCH /a\ntype: merge\n\n{}\n";
        let cases = parse("t", text).expect("reads");
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[0].title, "t/make");
        assert_eq!(cases[0].body, b"{\"a\":1}");
        assert_eq!(cases[0].keep, [("rv".to_owned(), "metadata.resourceVersion".to_owned())]);
        assert!(cases[0].headers.contains(&("Impersonate-Group".to_owned(), "devs".to_owned())));
        assert_eq!(cases[1].headers, [("Content-Type".to_owned(), "application/merge-patch+json".to_owned())]);
        assert!(parse("t", "=== x\nGET\n").is_err());
    }
}
