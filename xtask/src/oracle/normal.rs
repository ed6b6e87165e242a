//! Masks what must differ between two servers: identities, times, revisions, addresses, secrets.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use super::tree::Tree;

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).unwrap_or_else(|e| unreachable!("{e}")));
    };
}

pattern!(UID, "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
pattern!(TIME, r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)");
pattern!(SERVER, r"(127\.0\.0\.1|172\.30\.0\.1|localhost):\d+");
pattern!(TOKEN, r"eyJ[\w-]+\.[\w-]+\.[\w-]+");
pattern!(PEM, "-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n?");
pattern!(REVISION, r#"(resourceVersion\\*"?: ?\\*"?)[1-9]\d*"#);
pattern!(AGE, r"^(\d{1,3}s|\dm\d{1,2}s|\d{1,2}m)$");
pattern!(CLUSTER_IP, r"^10\.(9[6-9]|1[01]\d)\.\d+\.\d+$");
pattern!(TOKEN_VOLUME, "kube-api-access-[a-z0-9]{5}");
pattern!(PORTS, r":3[0-2]\d{3}/(TCP|UDP|SCTP)");
pattern!(CURRENT, r"current: \d+");
pattern!(GENERATED, r#""generateName": ?"([^"]+)""#);
pattern!(RECORD, r"in record \(\d+\)");
pattern!(NODE_PORT, r#"(nodePort\\?"?:)(3[0-2]\d{3})"#);
pattern!(ADDRESS, r"\b(10\.(?:9[6-9]|10\d|11[01])\.\d+\.\d+)\b");

/// Fields whose values the server chooses, unless the client does.
const CHOSEN: [&str; 5] = ["clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort", "ip"];

/// What masking needs to know of the request.
pub struct Context<'a> {
    /// The request's body: what stands in it is not masked as chosen by the server.
    pub sent: &'a str,
    /// The moment of the run.
    pub now: Timestamp,
}

impl Context<'_> {
    /// A text with everything masked that must differ.
    pub fn text(&self, text: &str) -> String {
        let mut text = UID.replace_all(text, "<uid>").into_owned();
        text = TIME.replace_all(&text, |found: &regex::Captures<'_>| self.time(&found[0])).into_owned();
        for (pattern, mask) in [(&SERVER, "<server>"), (&TOKEN, "<token>"), (&PEM, "<pem>"), (&CURRENT, "current: <rv>"), (&RECORD, "in record (<rv>)"), (&TOKEN_VOLUME, "kube-api-access-<random>")] {
            text = pattern.replace_all(&text, mask).into_owned();
        }
        for pattern in [&NODE_PORT, &ADDRESS] {
            let chosen = |found: &regex::Captures<'_>| {
                let value = found.iter().last().flatten().map_or("", |value| value.as_str());
                if self.sent.contains(value) { found[0].to_owned() } else { found[0].replace(value, "<chosen>") }
            };
            text = pattern.replace_all(&text, chosen).into_owned();
        }
        if let Some(prefix) = GENERATED.captures(self.sent).map(|found| found[1].to_owned()) {
            let name = |end: &str| end.len() == 5 && end.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            let mut parts = text.split(&*prefix).map(str::to_owned);
            let mut masked = parts.next().unwrap_or_default();
            for part in parts {
                let random = part.get(..5).filter(|end| name(end));
                let rest = random.map_or(&*part, |_| &part[5..]);
                masked.extend([&*prefix, if random.is_some() { "<random>" } else { "" }, rest]);
            }
            text = masked;
        }
        text = PORTS.replace_all(&text, ":<port>/$1").into_owned();
        REVISION.replace_all(&text, "${1}<rv>").into_owned()
    }

    /// A moment of this run by its form alone; another one as it is.
    fn time(&self, text: &str) -> String {
        let recent = |at: Timestamp| (self.now.as_second() - at.as_second()).abs() < 2 * 86_400;
        match text.parse::<Timestamp>() {
            Ok(at) if recent(at) && !self.sent.contains(text) => {
                if text.contains('.') { "<microtime>".to_owned() } else { "<time>".to_owned() }
            }
            _ => text.to_owned(),
        }
    }

    /// The tree with everything masked that must differ.
    pub fn tree(&self, tree: &mut Tree) {
        self.below("", tree);
    }

    fn below(&self, name: &str, tree: &mut Tree) {
        match tree {
            Tree::Map(fields) => {
                generated(fields);
                for (name, value) in fields {
                    self.below(name, value);
                    if name.contains("kube-api-access-") {
                        *name = self.text(name);
                    }
                }
            }
            Tree::List(items) if matches!(name, "resourceRules" | "nonResourceRules") => {
                // In the order in which a cache happens to have the bindings.
                items.sort_by_key(Tree::short);
            }
            Tree::List(items) if name == "paths" && items.iter().all(|item| matches!(item, Tree::Text(_))) => {
                // Paths are there or not; one more does not make all that follow another.
                *tree = Tree::Map(items.iter().map(|item| (item.text().unwrap_or_default().to_owned(), Tree::Leaf("there".to_owned()))).collect());
            }
            Tree::List(items) if name == "causes" && items.iter().all(|item| item.at("reason").and_then(Tree::text) == Some("FieldManagerConflict")) => {
                // In the order in which a map happens to have the managers.
                items.sort_by_key(Tree::short);
            }
            Tree::List(items) if name == "managedFields" => {
                for item in items.iter_mut() {
                    self.below(name, item);
                    if let Tree::Map(fields) = item {
                        fields.retain(|(name, _)| name != "time");
                    }
                }
                // They stand in the order of their seconds, which two servers do not have in common.
                items.sort_by_key(Tree::short);
            }
            Tree::List(items) => items.iter_mut().for_each(|item| self.below(name, item)),
            Tree::Text(text) => *text = self.string(name, text),
            Tree::Leaf(text) => {
                let chosen = CHOSEN.contains(&name) && text != "0" && !self.sent.contains(text.as_str());
                let in_protobuf = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
                if chosen || in_protobuf && (self.is_now(text) || self.is_node_port(text)) {
                    *text = "<chosen>".to_owned();
                }
            }
        }
    }

    /// Whether a number (in protobuf) is a moment of this run.
    fn is_now(&self, text: &str) -> bool {
        text.parse::<i64>().is_ok_and(|n| (self.now.as_second() - n).abs() < 2 * 86_400)
    }

    /// Whether a number (in protobuf) is a port that a server chose.
    fn is_node_port(&self, text: &str) -> bool {
        text.parse().is_ok_and(|n: i64| (30_000..=32_767).contains(&n)) && !self.sent.contains(text)
    }

    fn string(&self, name: &str, text: &str) -> String {
        let number = !text.is_empty() && text != "0" && text.bytes().all(|b| b.is_ascii_digit());
        // In protobuf: the version of an object and that of a list.
        if number && matches!(name, "resourceVersion" | "6" | "2") && !self.sent.contains(&format!("\"{text}\"")) {
            return "<rv>".to_owned();
        }
        if name == "continue" && !text.is_empty() {
            return "<continue>".to_owned();
        }
        if CLUSTER_IP.is_match(text) && !self.sent.contains(text) {
            return "<chosen>".to_owned();
        }
        // An age in a table; a run takes minutes.
        if name == "cells" && AGE.is_match(text) {
            return "<seconds>".to_owned();
        }
        self.text(text)
    }
}

/// Sorts the rules of a SelfSubjectRulesReview in protobuf: a cache has the bindings in no order.
pub fn sort_rules(tree: &mut Tree) {
    let status = ["2", "3"].into_iter().try_fold(tree, |tree, name| match tree {
        Tree::Map(fields) => fields.iter_mut().find(|(n, _)| n == name).map(|(_, value)| value),
        _ => None,
    });
    let Some(Tree::Map(fields)) = status else { return };
    for list in ["1", "2"] {
        let is_item = |name: &str| name == list || name.starts_with(&format!("{list}#"));
        let mut items: Vec<Tree> = fields.iter().filter(|(name, _)| is_item(name)).map(|(_, item)| item.clone()).collect();
        items.sort_by_key(|item| std::cmp::Reverse(item.short()));
        for (_, slot) in fields.iter_mut().filter(|(name, _)| is_item(name)) {
            if let Some(item) = items.pop() {
                *slot = item;
            }
        }
    }
}

/// Masks the end of a generated name.
fn generated(fields: &mut [(String, Tree)]) {
    let find = |name: &str| fields.iter().find(|(n, _)| n == name).and_then(|(_, v)| v.text()).map(str::to_owned);
    let (Some(prefix), Some(name)) = (find("generateName"), find("name")) else { return };
    if name.len() == prefix.len() + 5 && name.starts_with(&prefix) && !prefix.is_empty() {
        let masked = Tree::Text(format!("{prefix}<random>"));
        fields.iter_mut().filter(|(n, _)| n == "name").for_each(|(_, value)| *value = masked.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(sent: &str, json: &str) -> String {
        let context = Context { sent, now: "2026-05-01T00:00:00Z".parse().expect("time") };
        let mut tree: Tree = serde_json::from_str(json).expect("is JSON");
        context.tree(&mut tree);
        tree.short()
    }

    #[test]
    fn what_the_server_chooses_is_masked() {
        assert_eq!(
            masked("", r#"{"uid":"11111111-2222-3333-4444-555555555555","resourceVersion":"17","nodePort":30001}"#),
            r#"{"uid":"<uid>","resourceVersion":"<rv>","nodePort":<chosen>}"#
        );
        assert_eq!(masked(r#"{"generateName":"a-"}"#, r#"["no a-x7f2k"]"#), r#"["no a-<random>"]"#);
        assert_eq!(masked("30001", r#"{"nodePort":30001}"#), r#"{"nodePort":30001}"#);
        assert_eq!(masked("", r#"{"generateName":"a-","name":"a-x7f2k"}"#), r#"{"generateName":"a-","name":"a-<random>"}"#);
    }

    #[test]
    fn times_of_the_run_are_masked_by_form() {
        assert_eq!(masked("", r#"["2026-05-01T00:00:01Z","2026-05-01T00:00:01.000001Z"]"#), r#"["<time>","<microtime>"]"#);
        assert_eq!(masked("", r#"["2004-01-01T00:00:01Z"]"#), r#"["2004-01-01T00:00:01Z"]"#);
    }
}
