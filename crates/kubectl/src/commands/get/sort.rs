//! `--sort-by`.

use std::cmp::Ordering;

use meta::Quantity;
use serde_json::Value;

use crate::discovery::Resource;
use crate::failure::Failure;
use crate::print::jsonpath;

/// Sorts objects by the first value that the path finds in each.
pub fn objects(found: &mut [(Resource, Value)], path: &str) -> Result<(), Failure> {
    jsonpath::find(path, &Value::Null).map_err(Failure::Message)?;
    if !found.is_empty() && found.iter().all(|(_, object)| key(object, path).is_none()) {
        let path = path.trim_start_matches('{').trim_end_matches('}').trim_start_matches('.');
        return Err(Failure::message(format!(
            "couldn't find any field with path \"{{.{path}}}\" in the list of objects"
        )));
    }
    found.sort_by(|a, b| order(&a.1, &b.1, path));
    Ok(())
}

/// Sorts the rows of a table. As upstream, a path that leads nowhere leaves no row.
pub fn rows(table: &mut Value, path: &str) {
    let Some(rows) = table["rows"].as_array_mut() else { return };
    if rows.iter().all(|row| key(&row["object"], path).is_none()) {
        rows.clear();
    }
    rows.sort_by(|a, b| order(&a["object"], &b["object"], path));
}

fn key(object: &Value, path: &str) -> Option<Value> {
    jsonpath::find(path, object).ok()?.first().map(|value| (*value).clone())
}

/// What has no value comes first; texts that are amounts are compared as amounts.
fn order(a: &Value, b: &Value, path: &str) -> Ordering {
    let (Some(a), Some(b)) = (key(a, path), key(b, path)) else {
        return key(a, path).is_some().cmp(&key(b, path).is_some());
    };
    match (&a, &b) {
        (Value::String(a), Value::String(b)) => match (Quantity::parse(a), Quantity::parse(b)) {
            (Ok(a), Ok(b)) => a.minus(b).sign().cmp(&0),
            _ => natural(a, b),
        },
        _ => a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0)),
    }
}

/// Runs of digits by their number, all else by its bytes.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        match (a, b) {
            ([x, ..], [y, ..]) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let run = |s: &[u8]| s.iter().take_while(|c| c.is_ascii_digit()).count();
                let ((left, rest_a), (right, rest_b)) = (a.split_at(run(a)), b.split_at(run(b)));
                let bare = |s: &[u8]| s.iter().copied().skip_while(|c| *c == b'0').collect::<Vec<u8>>();
                let (short_a, short_b) = (bare(left), bare(right));
                let by_number = short_a.len().cmp(&short_b.len()).then(short_a.cmp(&short_b));
                match by_number.then(left.len().cmp(&right.len())) {
                    Ordering::Equal => (a, b) = (rest_a, rest_b),
                    different => return different,
                }
            }
            ([x, rest_a @ ..], [y, rest_b @ ..]) if x == y => (a, b) = (rest_a, rest_b),
            _ => return a.cmp(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::natural;

    #[test]
    fn numbers_in_names_count() {
        assert_eq!(natural("a2", "a10"), Ordering::Less);
        assert_eq!(natural("a10b", "a10a"), Ordering::Greater);
        assert_eq!(natural("a", "ab"), Ordering::Less);
    }
}
