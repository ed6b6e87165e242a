//! Labels, annotations, taints, tolerations and selectors.

use serde_json::Value;

use super::page::Page;
use super::tree::{entries, is_empty, list, text, texts};

/// Longer annotations go to a line of their own and are cut there; in bytes.
const LONGEST: usize = 140;

/// What `kubectl apply` keeps for itself is not shown.
const HIDDEN: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A title and values, one a line; the title may begin with spaces.
pub fn column(page: &mut Page, title: &str, values: &[String]) {
    page.put(0, &format!("{title}:\t"));
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            // Two pieces, as upstream: in a nested page each is indented.
            page.put(0, "");
            page.put(0, "\t");
        }
        page.put(0, &format!("{value}\n"));
    }
    if values.is_empty() {
        page.put(0, "<none>\n");
    }
}

/// `key=value` lines in the order of the keys.
pub fn labels(page: &mut Page, title: &str, map: &Value) {
    let values: Vec<String> = entries(map).into_iter().map(|(k, v)| format!("{k}={}", text(v))).collect();
    column(page, title, &values);
}

/// `key: value` lines in the order of the keys.
pub fn annotations(page: &mut Page, title: &str, map: &Value) {
    let shown: Vec<(&str, &Value)> = entries(map).into_iter().filter(|(k, _)| *k != HIDDEN).collect();
    page.put(0, &format!("{title}:\t"));
    if shown.is_empty() {
        page.put(0, "<none>\n");
    }
    for (i, (key, value)) in shown.into_iter().enumerate() {
        if i > 0 {
            page.put(0, "\t");
        }
        let value = text(value);
        let value = value.strip_suffix('\n').unwrap_or(value);
        if value.len() + key.len() + 2 <= LONGEST && !value.contains('\n') {
            page.put(0, &format!("{key}: {value}\n"));
            continue;
        }
        page.put(0, &format!("{key}:\n"));
        for line in value.split('\n') {
            page.put(0, &format!("\t  {}\n", shorten(line, LONGEST - 2)));
        }
    }
}

/// At most so many bytes of a text.
pub fn shorten(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(longest)])
}

/// The taints of a node, by effect and key.
pub fn taints(page: &mut Page, taints: &Value) {
    let mut all: Vec<&Value> = list(taints).iter().collect();
    all.sort_by_key(|t| format!("{},{}", text(&t["effect"]), text(&t["key"])));
    column(page, "Taints", &all.into_iter().map(taint).collect::<Vec<_>>());
}

fn taint(taint: &Value) -> String {
    let (key, value, effect) = (text(&taint["key"]), text(&taint["value"]), text(&taint["effect"]));
    match (value, effect) {
        ("", "") => key.to_owned(),
        ("", effect) => format!("{key}:{effect}"),
        (value, effect) => format!("{key}={value}:{effect}"),
    }
}

/// The tolerations of a pod, by key.
pub fn tolerations(page: &mut Page, title: &str, tolerations: &Value) {
    let mut all: Vec<&Value> = list(tolerations).iter().collect();
    all.sort_by_key(|t| text(&t["key"]));
    column(page, title, &all.into_iter().map(toleration).collect::<Vec<_>>());
}

fn toleration(toleration: &Value) -> String {
    let field = |name: &str| text(&toleration[name]);
    let mut out = field("key").to_owned();
    if !field("value").is_empty() {
        out.push_str(&format!("={}", field("value")));
    }
    if !field("effect").is_empty() {
        out.push_str(&format!(":{}", field("effect")));
    }
    if field("operator") == "Exists" && field("value").is_empty() {
        out.push_str(if out.is_empty() { "op=Exists" } else { " op=Exists" });
    }
    if let Some(seconds) = toleration["tolerationSeconds"].as_i64() {
        out.push_str(&format!(" for {seconds}s"));
    }
    out
}

/// `a=b,c=d` of a map, `<none>` if it is empty.
pub fn joined(map: &Value) -> String {
    if is_empty(map) {
        return "<none>".to_owned();
    }
    entries(map).into_iter().map(|(k, v)| format!("{k}={}", text(v))).collect::<Vec<_>>().join(",")
}

/// A `LabelSelector` in its short form, empty if it selects everything.
pub fn selector(selector: &Value) -> String {
    let mut all: Vec<(&str, String)> =
        entries(&selector["matchLabels"]).into_iter().map(|(k, v)| (k, format!("{k}={}", text(v)))).collect();
    for expression in list(&selector["matchExpressions"]) {
        let key = text(&expression["key"]);
        let mut values = texts(&expression["values"]);
        values.sort_unstable();
        let values = values.join(",");
        all.push((
            key,
            match text(&expression["operator"]) {
                "In" => format!("{key} in ({values})"),
                "NotIn" => format!("{key} notin ({values})"),
                "DoesNotExist" => format!("!{key}"),
                _ => key.to_owned(),
            },
        ));
    }
    all.sort_by_key(|(key, _)| *key);
    all.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

/// A `LabelSelector` in its short form, `<none>` if it selects everything.
pub fn selector_or_none(value: &Value) -> String {
    Some(selector(value)).filter(|s| !s.is_empty()).unwrap_or_else(|| "<none>".to_owned())
}
