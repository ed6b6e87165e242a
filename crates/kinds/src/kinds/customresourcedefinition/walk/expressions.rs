//! What is wrong with the expressions of rules: whether they can be compiled, and what they may cost (upstream:
//! `pkg/apis/apiextensions/validation/cel_validation.go`).

use std::sync::Arc;

use cel::limits;
use meta::field::{Error, Errors, Path};
use schema::structural::Node;
use serde_json::Value;

use super::super::definition::Props;
use super::super::printed;
use super::{Place, Walk, each};
use crate::custom::{Compiled, Declared, compile};

/// What expressions know of a place.
pub struct Context<'n> {
    node: &'n Arc<Node>,
    /// Whether the place or one around it has rules.
    within: bool,
    /// What they may see, if they are within; or why they see nothing.
    declared: Result<Arc<Declared>, &'static str>,
    /// How often the place is in an object at most; `None` if nothing says so.
    times: Option<u64>,
}

impl<'n> Context<'n> {
    /// The root of a kind.
    pub fn root(node: &'n Arc<Node>) -> Context<'n> {
        let within = !node.rules.is_empty();
        Context { node, within, declared: if within { declared(node, true) } else { Err(UNKNOWN) }, times: Some(1) }
    }

    /// A place below; `known`: what is said of it where this place is within.
    fn below(&self, node: &'n Arc<Node>, known: impl FnOnce(&Declared) -> Option<Result<Arc<Declared>, &'static str>>) -> Context<'n> {
        let within = self.within || !node.rules.is_empty();
        let declared = match &self.declared {
            _ if !within => Err(UNKNOWN),
            Ok(around) => known(around).unwrap_or_else(|| declared(node, node.embedded)),
            Err(why) if self.within => Err(*why),
            Err(_) => declared(node, node.embedded),
        };
        let times = self.times.zip(self.factor()).map(|(times, factor)| times.saturating_mul(factor));
        Context { node, within, declared, times }
    }

    /// A property.
    pub fn property(&self, name: &str) -> Option<Context<'n>> {
        Some(self.below(self.node.property(name)?, |around| around.field(name).cloned().map(Ok)))
    }

    /// The elements of a list.
    pub fn items(&self) -> Option<Context<'n>> {
        Some(self.below(self.node.element()?, inner))
    }

    /// The values of a map.
    pub fn values(&self) -> Option<Context<'n>> {
        Some(self.below(self.node.values()?, inner))
    }

    /// How often there is something below for each time that the place is there.
    fn factor(&self) -> Option<u64> {
        let most = match &*self.node.written {
            "object" if matches!(self.node.fields.others, schema::Others::Each(_)) => self.node.check.max_properties,
            "array" => self.node.check.max_items,
            _ => Some(1),
        };
        most.map(|most| u64::try_from(most).unwrap_or(0))
    }
}

/// What is said where expressions cannot see what a schema describes.
const UNKNOWN: &str = "internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert \
                       structural schema to CEL declarations";

fn declared(node: &Node, resource: bool) -> Result<Arc<Declared>, &'static str> {
    Declared::of(node, resource).ok_or(UNKNOWN)
}

/// Elements and values are never looked at by themselves.
fn inner(around: &Declared) -> Option<Result<Arc<Declared>, &'static str>> {
    Some(around.below().cloned().ok_or("failed to convert to declType for CEL validation rules"))
}

/// What all rules of a schema may cost, and the four that may cost most.
#[derive(Default)]
pub struct Total {
    sum: u64,
    dearest: Vec<(Path, u64)>,
}

impl Total {
    fn add(&mut self, path: &Path, cost: u64) {
        self.sum = self.sum.saturating_add(cost);
        if cost < limits::PER_DEFINITION_ESTIMATE / 100 {
            return;
        }
        self.dearest.push((path.clone(), cost));
        self.dearest.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
        self.dearest.truncate(4);
    }

    /// What is said if that is too much.
    pub fn errors(self, path: &Path) -> Errors {
        const LIMIT: u64 = limits::PER_DEFINITION_ESTIMATE;
        if self.sum <= LIMIT {
            return Errors::new();
        }
        let why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
        let mut errors: Errors = self.dearest.iter().map(|(path, _)| Error::forbidden(path, why)).collect();
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        errors.push(Error::forbidden(path, too_much(what, self.sum, LIMIT)));
        errors
    }
}

fn too_much(what: &str, cost: u64, limit: u64) -> String {
    let times = cost as f64 / limit as f64;
    let factor = match times {
        _ if times > 100.0 => "more than 100x".to_owned(),
        _ if times < 1.5 => format!("{times:.6}x"),
        _ => format!("{times:.1}x"),
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where \
         arrays, maps, and strings are declared)"
    )
}

impl Walk<'_> {
    /// The rules of a place, of which the form is right.
    pub(super) fn expressions(&mut self, schema: &Props, path: &Path, place: Place) {
        let Some(context) = place.context.filter(|context| !context.node.rules.is_empty()) else { return };
        let path = path.child("x-kubernetes-validations");
        let declared = match &context.declared {
            Ok(declared) => declared,
            Err(why) => return self.found.push(Error::internal(&path, *why)),
        };
        let times = context.times.unwrap_or_else(|| declared.times());
        let rules = compile(&context.node.rules, declared, &mut self.work);
        for (index, (rule, written)) in rules.iter().zip(each(schema, "x-kubernetes-validations")).enumerate() {
            self.costs(rule, times, &path.index(index));
            self.compiled(rule, written, &path.index(index), place);
        }
    }

    fn costs(&mut self, rule: &Compiled, times: u64, path: &Path) {
        const LIMIT: u64 = limits::PER_EXPRESSION_ESTIMATE;
        let message = rule.message.as_ref().and_then(|message| message.as_ref().ok()).map(|(_, cost)| *cost);
        let costs = [("rule", Some(rule.cost.saturating_mul(times))), ("messageExpression", message)];
        for (field, cost) in costs.into_iter().filter_map(|(field, cost)| Some((field, cost?))) {
            let path = path.child(field);
            if !self.known && cost > LIMIT {
                self.found.push(Error::forbidden(&path, too_much(&format!("estimated {field} cost"), cost, LIMIT)));
            }
            self.total.add(&path, cost);
        }
    }

    fn compiled(&mut self, rule: &Compiled, written: &Value, path: &Path, place: Place) {
        let mut refuse = |field: &str, why: &str| {
            let error = Error::invalid(&path.child(field), "", why);
            self.found.push(error.showing(printed::rule(written)));
        };
        if let Some(Err(why)) = &rule.program {
            refuse("rule", why);
        }
        if let Some(Err(why)) = &rule.message {
            refuse("messageExpression", why);
        }
        match (rule.uses_old, place.uncorrelated, rule.rule.optional_old_self) {
            (true, Some(around), _) => {
                let why = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {around}");
                self.found.push(Error::invalid(&path.child("rule"), &*rule.rule.rule, why));
            }
            (false, _, Some(optional)) => {
                let why = "may not be set if oldSelf is not used in rule";
                self.found.push(Error::invalid(&path.child("optionalOldSelf"), optional, why));
            }
            _ => {}
        }
    }
}
