//! What is said of selectors in a question that cannot be understood. They only narrow a request down, so what is
//! left out makes the answer stricter, never more generous (upstream: `registry/authorization/util`).

use meta::Object;
use meta::selector::{Fields, Labels};
use meta::text::{label_value, qualified_name};
use serde_json::Value;

/// The sentence for `status.evaluationError`; empty when everything was understood.
pub fn ignored(review: &Object) -> String {
    let of = |what: &str, wrong: &dyn Fn(&Value) -> bool, parses: &dyn Fn(&str) -> bool| {
        let selector = review.at(&format!("spec.resourceAttributes.{what}"))?;
        let requirements = selector.get("requirements").and_then(Value::as_array).filter(|list| !list.is_empty());
        let partly = match requirements {
            Some(list) => {
                let count = list.iter().filter(|r| wrong(r)).count();
                (count > 0).then_some(count < list.len())?
            }
            None => {
                let raw = selector.get("rawSelector").and_then(Value::as_str).unwrap_or_default();
                (!parses(raw)).then_some(false)?
            }
        };
        let how = if partly { "partially ignored" } else { "ignored" };
        Some(format!("spec.resourceAttributes.{what} {how} due to parse error"))
    };
    let fields = of("fieldSelector", &field_is_wrong, &|raw| Fields::parse(raw).is_ok());
    let labels = of("labelSelector", &label_is_wrong, &|raw| Labels::parse(raw).is_ok());
    fields.into_iter().chain(labels).collect::<Vec<_>>().join("; ")
}

fn text<'a>(requirement: &'a Value, field: &str) -> &'a str {
    requirement.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn values(requirement: &Value) -> &[Value] {
    requirement.get("values").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Fields can be compared with one value alone.
fn field_is_wrong(requirement: &Value) -> bool {
    !matches!(text(requirement, "operator"), "In" | "NotIn") || values(requirement).len() != 1
}

fn label_is_wrong(requirement: &Value) -> bool {
    let values = values(requirement);
    let count_fits = match text(requirement, "operator") {
        "In" | "NotIn" => !values.is_empty(),
        "Exists" | "DoesNotExist" => values.is_empty(),
        _ => false,
    };
    let key = qualified_name(text(requirement, "key"));
    !count_fits || !key.is_empty() || values.iter().filter_map(Value::as_str).any(|v| !label_value(v).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_understood_is_said() {
        let of = |attributes: Value| {
            let review = json!({"spec": {"resourceAttributes": attributes}});
            ignored(&Object::from_value(review).expect("an object"))
        };
        let good = json!({"key": "a", "operator": "In", "values": ["b"]});
        assert_eq!(of(json!({"labelSelector": {"requirements": [good]}})), "");
        assert_eq!(
            of(json!({"labelSelector": {"requirements": [good, {"key": "a", "operator": ""}]}, "fieldSelector": {"rawSelector": "a"}})),
            "spec.resourceAttributes.fieldSelector ignored due to parse error; \
             spec.resourceAttributes.labelSelector partially ignored due to parse error"
        );
    }
}
