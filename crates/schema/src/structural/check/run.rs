//! Holding a value against its schema, validator by validator in upstream's order.

use meta::field::{Error, Errors, Path, Sort};
use meta::limits;
use serde_json::{Map, Value};

use super::Check;
use super::old::Old;
use super::outcome::{Failure, Outcome};
use super::plain::{of_type, of_values};
use super::{formats, number, text};

/// One level needs less than this, in bytes of stack.
const STACK_LEFT: usize = 128 << 10;
/// What it gets when there is less left.
const STACK_MORE: usize = 2 << 20;

/// All that is wrong with a value.
pub fn validate(check: &Check, path: &Path, new: &Value, old: Option<&Value>) -> Errors {
    within(limits::VALIDATED, check, path, new, old)
}

fn within(work: usize, check: &Check, path: &Path, new: &Value, old: Option<&Value>) -> Errors {
    let mut run = Run { left: work, ended: false };
    let outcome = match old {
        Some(old) => run.ratcheted(check, new, "", &Old::new(check, new, old)),
        None => run.value(check, new, "", None),
    };
    if run.ended {
        // What was found till then says little: below `not` it would be right.
        return vec![Error::invalid(path, "", "the object is too complex for its schema to be validated")];
    }
    outcome.errors(path)
}

struct Run {
    left: usize,
    /// Whether it was given up.
    ended: bool,
}

impl Run {
    /// What was wrong with the same value before is none of this change's.
    fn ratcheted(&mut self, check: &Check, value: &Value, at: &str, old: &Old) -> Outcome {
        let mut outcome = self.value(check, value, at, Some(old));
        if !outcome.is_valid() && old.is_equal() {
            outcome.forgive();
        }
        outcome
    }

    fn below(&mut self, check: &Check, value: &Value, at: &str, old: Option<Old>) -> Outcome {
        match old {
            Some(old) => self.ratcheted(check, value, at, &old),
            None => self.value(check, value, at, None),
        }
    }

    /// Values are nested, and so are demands on each of them: together they may be deeper than the stack is.
    fn value(&mut self, check: &Check, value: &Value, at: &str, old: Option<&Old>) -> Outcome {
        stacker::maybe_grow(STACK_LEFT, STACK_MORE, || self.value_here(check, value, at, old))
    }

    fn value_here(&mut self, check: &Check, value: &Value, at: &str, old: Option<&Old>) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(left) = self.left.checked_sub(1) else {
            self.ended = true;
            return outcome;
        };
        self.left = left;
        let typed = !check.types.is_empty() || !check.format.is_empty();
        if value.is_null() {
            outcome.merge(of_type(check, value, at));
            outcome.merge(of_values(check, value, at));
            return outcome;
        }
        let mut add = |part: Outcome| {
            outcome.merge(part);
            outcome.matches += 1;
        };
        if typed {
            add(of_type(check, value, at));
        }
        add(self.alternatives(check, value, at));
        match value {
            Value::String(string) => {
                add(text::check(check, string, at));
                if formats::exists(&check.format) {
                    add(formats::check(&check.format, string, at));
                }
            }
            Value::Number(n) => add(number::check(check, n, at)),
            Value::Array(list) => add(self.list(check, list, at, old)),
            _ => {}
        }
        add(of_values(check, value, at));
        if let Value::Object(map) = value {
            add(self.map(check, map, at, old));
        }
        outcome.matches += 1;
        outcome
    }

    fn alternatives(&mut self, check: &Check, value: &Value, at: &str) -> Outcome {
        let mut outcome = Outcome::default();
        if !check.any_of.is_empty() {
            self.any_of(check, value, at, &mut outcome);
        }
        if !check.one_of.is_empty() {
            self.one_of(check, value, at, &mut outcome);
        }
        if !check.all_of.is_empty() {
            let mut valid = 0;
            for below in &check.all_of {
                let result = self.value(below, value, at, None);
                valid += usize::from(result.is_valid());
                outcome.merge(result);
            }
            if valid != check.all_of.len() {
                let none = if valid == 0 { ". None validated" } else { "" };
                let at = meta::text::quoted(at);
                outcome.add(Failure::somewhere(format!("{at} must validate all the schemas (allOf){none}")));
            }
        }
        if let Some(below) = &check.not
            && self.value(below, value, at, None).is_valid()
        {
            let at = meta::text::quoted(at);
            outcome.add(Failure::somewhere(format!("{at} must not validate the schema (not)")));
        }
        outcome.matches += 1;
        outcome
    }

    fn any_of(&mut self, check: &Check, value: &Value, at: &str, outcome: &mut Outcome) {
        let mut closest: Option<Outcome> = None;
        for below in &check.any_of {
            let result = self.value(below, value, at, None);
            if result.is_valid() {
                return outcome.merge(result);
            }
            if closest.as_ref().is_none_or(|best| result.matches > best.matches) {
                closest = Some(result);
            }
        }
        let at = meta::text::quoted(at);
        outcome.add(Failure::somewhere(format!("{at} must validate at least one schema (anyOf)")));
        outcome.merge(closest.unwrap_or_default());
    }

    fn one_of(&mut self, check: &Check, value: &Value, at: &str, outcome: &mut Outcome) {
        let (mut closest, mut first, mut valid): (Option<Outcome>, Option<Outcome>, usize) = (None, None, 0);
        for below in &check.one_of {
            let result = self.value(below, value, at, None);
            if result.is_valid() {
                valid += 1;
                closest = None;
                first = first.or(Some(result));
            } else if valid == 0 && closest.as_ref().is_none_or(|best| result.matches > best.matches) {
                closest = Some(result);
            }
        }
        if valid == 1 {
            return outcome.merge(first.unwrap_or_default());
        }
        let found = if valid == 0 { "Found none valid".to_owned() } else { format!("Found {valid} valid alternatives") };
        let at = meta::text::quoted(at);
        outcome.add(Failure::somewhere(format!("{at} must validate one and only one schema (oneOf). {found}")));
        outcome.merge(closest.unwrap_or_default());
    }

    fn list(&mut self, check: &Check, list: &[Value], at: &str, old: Option<&Old>) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(items) = &check.items {
            for (index, value) in list.iter().enumerate() {
                let old = old.and_then(|old| old.index(index));
                outcome.merge(self.below(items, value, &format!("{at}[{index}]"), old));
            }
        }
        let size = i64::try_from(list.len()).unwrap_or(i64::MAX);
        if let Some(min) = check.min_items.filter(|min| size < *min) {
            let said = format!("{at} in body should have at least {min} items");
            outcome.add(Failure::invalid(at, size.into(), said));
        }
        if let Some(max) = check.max_items.filter(|max| size > *max) {
            outcome.add(too_many(at, size, max, format!("{at} in body should have at most {max} items")));
        }
        if check.unique_items && has_twins(list) {
            outcome.add(Failure::invalid(at, Value::from(""), format!("{at} in body shouldn't contain duplicates")));
        }
        outcome.matches += 1;
        outcome
    }

    fn map(&mut self, check: &Check, map: &Map<String, Value>, at: &str, old: Option<&Old>) -> Outcome {
        let mut outcome = Outcome::default();
        let size = i64::try_from(map.len()).unwrap_or(i64::MAX);
        if let Some(min) = check.min_properties.filter(|min| size < *min) {
            let said = format!("{at} in body should have at least {min} properties");
            outcome.add(Failure::invalid(at, size.into(), said));
        }
        if let Some(max) = check.max_properties.filter(|max| size > *max) {
            outcome.add(too_many(at, size, max, format!("{at} in body should have at most {max} properties")));
        }
        let old = |key: &str| old.filter(|_| !(at.is_empty() && matches!(key, "kind" | "apiVersion")))?.key(key);
        let others = map.iter().filter(|(key, _)| !check.properties.contains_key(*key));
        match &check.additional {
            Some((false, _)) => others.for_each(|(key, _)| {
                outcome.add(Failure::invalid(at, Value::from(&**key), format!("{at}.{key} in body is a forbidden property")));
            }),
            Some((true, Some(below))) => {
                for (key, value) in others {
                    outcome.merge(self.below(below, value, &format!("{at}.{key}"), old(key)));
                }
            }
            _ => {}
        }
        for (key, below) in &check.properties {
            let Some(value) = map.get(key) else { continue };
            let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            outcome.merge(self.below(below, value, &at, old(key)));
        }
        for key in check.required.iter().filter(|key| !map.contains_key(*key)) {
            let at = format!("{at}.{key}");
            let said = format!("{at} in body is required");
            outcome.add(Failure::of(Sort::Required, &at, Value::Null, String::new(), said));
        }
        outcome
    }
}

fn too_many(at: &str, size: i64, max: i64, said: String) -> Failure {
    let detail = match max {
        i64::MIN..=-1 => "has too many items".to_owned(),
        1 => "must have at most 1 item".to_owned(),
        max => format!("must have at most {max} items"),
    };
    Failure::of(Sort::TooMany, at, size.into(), detail, said)
}

fn has_twins(list: &[Value]) -> bool {
    let mut seen = std::collections::HashSet::new();
    // Upstream does not take 1 and 1.0 for the same.
    list.iter().any(|value| !seen.insert(value.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::structural::Formats;

    #[test]
    fn alternatives_for_many_values_end() {
        let schema = json!({"type": "array", "items": {"type": "string", "anyOf": [{"minLength": 2}, {"minLength": 3}]}});
        let check = Check::read(schema.as_object().expect("a map"), Formats::OfObjects).expect("structural");
        let said = |work| within(work, &check, &Path::default(), &json!(vec!["x"; 500]), None);
        let ended = |errors: Errors| errors.iter().any(|error| error.detail.starts_with("the object is too complex"));
        // The list, and for each element itself and two alternatives.
        assert!(ended(said(1500)) && !ended(said(1501)));
    }
}
