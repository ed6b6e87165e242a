//! Rules held against an object (upstream: `apiserver/schema/cel/validation.go`): place by place, within one budget.

use cel::plan::{Budget, Variables};
use cel::value::{Error as Fault, Outcome, Value, json};
use cel::{Program, limits};
use meta::field::{Error, Errors, Path, Sort};
use schema::structural::{Old, shown};
use serde_json::Value as Json;

use super::compile::{Compiled, VARIABLES};
use super::place::Place;
use super::value::view;

/// What rules have against an object.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is wrong.
    pub errors: Errors,
    /// What was wrong already and has not changed.
    pub warnings: Vec<String>,
}

/// The old value in a place, and whether it excuses what is wrong in it.
#[derive(Clone, Copy, Default)]
pub struct Was<'r, 'v> {
    old: Option<&'r Old<'v>>,
    /// The nearest place around that has an old value.
    around: Option<&'r Old<'v>>,
    excuses: bool,
}

impl<'r, 'v> Was<'r, 'v> {
    /// At the root. `excuses`: what is wrong and has not changed is let be.
    pub fn root(old: Option<&'r Old<'v>>, excuses: bool) -> Was<'r, 'v> {
        Was { old, around: None, excuses }
    }

    /// In a place below: `old` is the old value there.
    fn below<'s>(&self, old: Option<&'s Old<'v>>) -> Was<'s, 'v>
    where
        'r: 's,
    {
        Was { old, around: self.old.or(self.around), excuses: self.excuses }
    }

    /// The same of a property.
    fn property<'s>(&self, name: &str, old: Option<&'s Old<'v>>) -> Was<'s, 'v>
    where
        'r: 's,
    {
        // Both are read in one version: what was sent is not there to be compared.
        let kind = self.old.is_some() && self.around.is_none() && matches!(name, "apiVersion" | "kind");
        Was { excuses: self.excuses && !kind, ..self.below(old) }
    }

    fn is_excused(&self) -> bool {
        self.excuses && self.old.or(self.around).is_some_and(Old::is_equal)
    }
}

/// One object's rules.
pub struct Run {
    /// What all may still cost.
    left: u64,
    /// Whether nothing more is run.
    pub ended: bool,
    /// What was found.
    pub verdict: Verdict,
}

/// The variables of a rule.
struct Given<'a> {
    new: Outcome<'a>,
    old: Option<Outcome<'a>>,
}

impl<'a> Variables<'a> for Given<'a> {
    fn value(&self, place: usize) -> Outcome<'a> {
        match (place, &self.old) {
            (0, _) => self.new.clone(),
            (_, Some(old)) => old.clone(),
            _ => Err(Fault::made(format!("no such attribute(s): {}", VARIABLES[1]))),
        }
    }
}

impl Run {
    /// With a budget of units of cost.
    pub fn new(budget: u64) -> Run {
        Run { left: budget, ended: false, verdict: Verdict::default() }
    }

    /// What may still be spent.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// A value in a place, and all that is in it.
    pub fn value<'v>(&mut self, place: &'v Place, path: &Path, value: &'v Json, was: Was<'_, 'v>) {
        if self.ended || value.is_null() {
            return;
        }
        self.rules(place, path, value, was);
        match value {
            Json::Array(list) => {
                let Some(below) = &place.items else { return };
                for (index, value) in list.iter().enumerate() {
                    let old = was.old.and_then(|old| old.index(index));
                    self.value(below, &path.index(index), value, was.below(old.as_ref()));
                }
            }
            Json::Object(map) => {
                let old = |name: &str| was.old.and_then(|old| old.key(name));
                for (name, value) in map.iter().filter(|_| place.values.is_some()) {
                    let Some(below) = &place.values else { return };
                    self.value(below, &path.key(name), value, was.property(name, old(name).as_ref()));
                }
                for (name, below) in &place.fields {
                    let Some(value) = map.get(name) else { continue };
                    self.value(below, &path.child(name), value, was.property(name, old(name).as_ref()));
                }
            }
            _ => {}
        }
    }

    fn rules<'v>(&mut self, place: &'v Place, path: &Path, value: &'v Json, was: Was<'_, 'v>) {
        if self.ended {
            return;
        }
        let rules = match &place.rules {
            Ok(rules) if rules.is_empty() => return,
            Ok(rules) => rules,
            Err(why) => return self.wrong(place, path, format!("rule compiler initialization error: {why}")),
        };
        if self.left == 0 {
            return self.spent(place, path);
        }
        let old = was.old.map(Old::value).filter(|old| place.uses_old && !old.is_null());
        let given = Given { new: view(&place.node, place.resource, value), old: old.map(|old| view(&place.node, place.resource, old)) };
        for rule in rules {
            self.rule(At { place, path, value, was, given: &given }, rule);
            if self.ended {
                return;
            }
        }
    }

    fn rule<'v>(&mut self, at: At<'_, 'v>, rule: &'v Compiled) {
        let At { place, path, given, .. } = at;
        let program = match &rule.program {
            None => return,
            Some(Err(why)) => return self.wrong(place, path, format!("rule compile error: {why}")),
            Some(Ok(program)) => program,
        };
        let optional = rule.rule.optional_old_self == Some(true);
        // A rule on changes is asked of changes.
        if rule.uses_old && given.old.is_none() && !optional {
            return;
        }
        let old = || at.was.old.map(Old::value).zip(given.old.as_ref());
        let perhaps = (optional && place.uses_old).then(|| Given { new: given.new.clone(), old: Some(maybe(old())) });
        let (outcome, cost) = program.run(perhaps.as_ref().unwrap_or(given), Budget::default());
        if cost > self.left {
            return self.spent(place, path);
        }
        self.left -= cost;
        match outcome {
            Ok(Value::Bool(true)) => {}
            Ok(_) => self.broken(at, rule),
            Err(Fault::CostLimit) => {
                let (why, rule) = (Fault::CostLimit, name(rule));
                let said = format!("'{why}': no further validation rules will be run due to call cost exceeds limit for rule: {rule}");
                self.wrong(place, path, said);
                self.ended = true;
            }
            Err(why) => {
                let (why, rule) = (why.to_string(), name(rule));
                let said = if why.starts_with("no such overload") {
                    format!("'{why}': call arguments did not match a supported operator, function or macro signature for rule: {rule}")
                } else {
                    format!("{why} evaluating rule: {rule}")
                };
                self.wrong(place, path, said);
            }
        }
    }

    /// A rule does not hold.
    fn broken<'v>(&mut self, at: At<'_, 'v>, rule: &'v Compiled) {
        let At { place, path, value, was, given } = at;
        let field = &*rule.rule.field_path;
        // Upstream looks at the field last, and not after a message that cannot be computed.
        let unnamed = field.is_empty() || matches!(rule.message, Some(Err(_)));
        let path = if unnamed { path.clone() } else { path.child(field) };
        let excused = !rule.uses_old && was.is_excused();
        let detail = match rule.message.as_ref().and_then(|message| message.as_ref().ok()) {
            Some((program, _)) => match self.message(program, &rule.rule.message_expression, given) {
                Ok(message) => message,
                Err(why) => {
                    self.add(Error::invalid(&path, &*place.node.written, why), excused);
                    self.ended = true;
                    return;
                }
            },
            None => None,
        };
        let detail = detail.unwrap_or_else(|| if rule.rule.message.is_empty() { format!("failed rule: {}", name(rule)) } else { name(rule).to_owned() });
        let sort = match &*rule.rule.reason {
            "FieldValueForbidden" => Sort::Forbidden,
            "FieldValueRequired" => Sort::Required,
            "FieldValueDuplicate" => Sort::Duplicate,
            _ => Sort::Invalid,
        };
        let detail = if sort == Sort::Duplicate { String::new() } else { detail };
        let error = Error { sort, ..Error::invalid(&path, value.clone(), detail) };
        // What is large is not shown.
        let large = matches!(&*place.node.written, "object" | "array");
        self.add(if large { error.valueless() } else { error.showing(shown(value)) }, excused);
    }

    /// The message that an expression makes; none if it makes none that is right. The error is why nothing more is run.
    fn message<'a>(&mut self, program: &'a Program, written: &str, given: &Given<'a>) -> Result<Option<String>, String> {
        let (outcome, cost) = program.run(given, Budget::default());
        if cost > self.left {
            let why = "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run";
            return Err(why.to_owned());
        }
        if outcome.as_ref().is_err_and(|why| *why == Fault::CostLimit) {
            let written = meta::text::quoted(written);
            let why = "no further validation rules will be run due to call cost exceeds limit for messageExpression";
            return Err(format!("{why}: {written}"));
        }
        self.left -= cost;
        let Ok(Value::String(text)) = outcome else { return Ok(None) };
        let text = text.trim();
        let is_right = !text.is_empty() && text.len() <= limits::MESSAGE && !text.contains('\n');
        Ok(is_right.then(|| text.to_owned()))
    }

    fn add(&mut self, error: Error, excused: bool) {
        if excused {
            self.verdict.warnings.push(error.to_string());
        } else {
            self.verdict.errors.push(error);
        }
    }

    fn wrong(&mut self, place: &Place, path: &Path, why: String) {
        self.verdict.errors.push(Error::invalid(path, &*place.node.written, why));
    }

    fn spent(&mut self, place: &Place, path: &Path) {
        self.wrong(place, path, "validation failed due to running out of cost budget, no further validation rules will be run".to_owned());
        self.ended = true;
    }
}

/// Where a rule is held against what.
#[derive(Clone, Copy)]
struct At<'r, 'v> {
    place: &'v Place,
    path: &'r Path,
    value: &'v Json,
    was: Was<'r, 'v>,
    given: &'r Given<'v>,
}

/// An old value that may be there, as upstream's optionals hold it: what is in a list or a map has no schema any more.
fn maybe<'a>(old: Option<(&'a Json, &Outcome<'a>)>) -> Outcome<'a> {
    match old {
        None => Ok(Value::Optional(None)),
        Some((tree, Ok(Value::List(_) | Value::Map(_)))) => Ok(Value::some(json::view(tree))),
        Some((_, Ok(old))) => Ok(Value::some(old.clone())),
        Some((_, Err(why))) => Err(Fault::made(format!("unsupported conversion to ref.Val: (*errors.errorString){why}"))),
    }
}

/// What messages call a rule.
fn name(rule: &Compiled) -> &str {
    let Compiled { rule, .. } = rule;
    if rule.message.is_empty() { rule.rule.trim() } else { rule.message.trim() }
}
