//! The server's `Table` documents as text.

use serde_json::Value;

use super::Tabs;

/// How tables are shown.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// `-o wide`: columns of lower priority too.
    pub wide: bool,
    /// `--no-headers`.
    pub no_headers: bool,
    /// `-A`: the namespace before the name.
    pub with_namespace: bool,
    /// `--show-labels`.
    pub show_labels: bool,
    /// `--output-watch-events`: the kind of change, as the first column.
    pub event: Option<String>,
    /// `-L`: a column for each label.
    pub label_columns: Vec<String>,
}

impl Tables {
    /// Adds the rows of one table, its headers before them if `headers`. `prefix` (`deployment.apps`)
    /// stands before each name.
    pub fn add(&self, tabs: &mut Tabs, table: &Value, columns: &[Value], prefix: Option<&str>, headers: bool) {
        let shown: Vec<usize> =
            (0..columns.len()).filter(|i| self.wide || columns[*i]["priority"].as_i64().unwrap_or(0) == 0).collect();
        if headers && !self.no_headers {
            let mut line: Vec<String> =
                shown.iter().map(|i| columns[*i]["name"].as_str().unwrap_or("").to_uppercase()).collect();
            if self.with_namespace {
                line.insert(0, "NAMESPACE".to_owned());
            }
            if self.event.is_some() {
                line.insert(0, "EVENT".to_owned());
            }
            line.extend(self.label_columns.iter().map(|l| l.rsplit('/').next().unwrap_or(l).to_uppercase()));
            if self.show_labels {
                line.push("LABELS".to_owned());
            }
            tabs.line(line);
        }
        for row in table["rows"].as_array().into_iter().flatten() {
            tabs.line(self.row(row, columns, &shown, prefix));
        }
    }

    fn row(&self, row: &Value, columns: &[Value], shown: &[usize], prefix: Option<&str>) -> Vec<String> {
        let mut line: Vec<String> = Vec::with_capacity(shown.len() + 2);
        let metadata = &row["object"]["metadata"];
        line.extend(self.event.clone());
        if self.with_namespace {
            line.push(metadata["namespace"].as_str().unwrap_or("").to_owned());
        }
        for i in shown {
            let text = cell(&row["cells"][*i]);
            let is_name = columns[*i]["format"] == "name" || *i == 0;
            match prefix {
                Some(prefix) if is_name => line.push(format!("{prefix}/{text}")),
                _ => line.push(text),
            }
        }
        let label = |key: &String| metadata["labels"][key].as_str().unwrap_or("").to_owned();
        line.extend(self.label_columns.iter().map(label));
        if self.show_labels {
            line.push(labels(&metadata["labels"]));
        }
        line
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => match text.find(['\n', '\r', '\u{c}']) {
            Some(end) => format!("{}...", &text[..end]),
            None => text.clone(),
        },
        other => other.to_string(),
    }
}

/// `a=1,b=2`, `<none>` if there are none.
pub fn labels(labels: &Value) -> String {
    let mut pairs: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
        .collect();
    pairs.sort();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}
