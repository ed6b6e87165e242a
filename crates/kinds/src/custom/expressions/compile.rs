//! Rules made ready to run (upstream: `apiserver/schema/cel/compilation.go`).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use cel::value::Error;
use cel::{Checked, Env, Program, Type, limits};
use schema::structural::Rule;

use super::declared::{Declared, Scope};

/// The variables of rules, in the order of their places.
pub const VARIABLES: [&str; 2] = ["self", "oldSelf"];

/// A rule, and what was found out about it.
pub struct Compiled {
    /// As it was written.
    pub rule: Rule,
    /// What is run, or why nothing can be; `None` of an empty rule.
    pub program: Option<Result<Program, String>>,
    /// Whether it speaks of the old value.
    pub uses_old: bool,
    /// What it may cost at most.
    pub cost: u64,
    /// The message that is computed, and what that may cost; or why it cannot be.
    pub message: Option<Result<(Program, u64), String>>,
}

/// What compiling the rules of a schema may still take, in nodes of expressions.
pub struct Work(usize);

impl Default for Work {
    fn default() -> Self {
        Work(limits::PER_DEFINITION_NODES)
    }
}

impl Work {
    /// For rules that were let in, in whatever order: the last one may have gone beyond the bound.
    pub fn of_stored() -> Work {
        Work(limits::PER_DEFINITION_NODES + 2 * limits::NODES)
    }

    fn done(&mut self, checked: Option<&Checked>) {
        self.0 = self.0.saturating_sub(checked.map_or(limits::PER_DEFINITION_NODES / 100, Checked::nodes));
    }
}

/// The rules of a place.
pub fn compile(rules: &[Rule], declared: &Arc<Declared>, work: &mut Work) -> Vec<Compiled> {
    // The name of the type is nothing that a rule could build on: it changes with every rule.
    let mut hasher = DefaultHasher::new();
    rules.iter().for_each(|rule| (&rule.rule, &rule.message_expression).hash(&mut hasher));
    let scope = Arc::new(Scope::new(format!("selfType{}", hasher.finish() % 1_000_000_000), declared.clone()));
    let env = |old: fn(Type) -> Type| {
        let types = [scope.root(), old(scope.root())];
        Env::new(VARIABLES.map(str::to_owned).into_iter().zip(types).collect()).objects(scope.clone())
    };
    let (env, optional) = (env(|of| of), env(Type::optional));
    let env = |rule: &Rule| if rule.optional_old_self == Some(true) { &optional } else { &env };
    rules.iter().map(|rule| one(rule, env(rule), declared, work)).collect()
}

fn one(rule: &Rule, env: &Env, declared: &Declared, work: &mut Work) -> Compiled {
    let mut made = Compiled { rule: rule.clone(), program: None, uses_old: false, cost: 0, message: None };
    if rule.rule.trim().is_empty() {
        return made;
    }
    let checked = match checked(env, &rule.rule, &Type::Bool, "compilation failed", "cel expression must evaluate to a bool", work) {
        Ok(checked) => checked,
        Err(why) => {
            made.program = Some(Err(why));
            return made;
        }
    };
    made.uses_old = checked.uses(VARIABLES[1]);
    match checked.program() {
        Ok(program) => made.program = Some(Ok(program)),
        Err(why) => {
            made.program = Some(Err(instantiation("program", &why)));
            return made;
        }
    }
    made.cost = checked.estimate(declared).max;
    if !rule.message_expression.is_empty() {
        made.message = Some(message(rule, env, declared, work));
    }
    made
}

fn message(rule: &Rule, env: &Env, declared: &Declared, work: &mut Work) -> Result<(Program, u64), String> {
    let (failed, other) = ("messageExpression compilation failed", "messageExpression must evaluate to a string");
    let checked = checked(env, &rule.message_expression, &Type::String, failed, other, work)?;
    let program = checked.program().map_err(|why| instantiation("messageExpression", &why))?;
    Ok((program, checked.estimate(declared).max))
}

fn checked(env: &Env, text: &str, wanted: &Type, failed: &str, other: &str, work: &mut Work) -> Result<Checked, String> {
    if work.0 == 0 {
        return Err(format!("{failed}: all rules together have more than {} nodes", limits::PER_DEFINITION_NODES));
    }
    let checked = env.compile(text);
    work.done(checked.as_ref().ok());
    let checked = checked.map_err(|issues| format!("{failed}: {issues}"))?;
    if checked.output() == wanted { Ok(checked) } else { Err(other.to_owned()) }
}

fn instantiation(what: &str, why: &Error) -> String {
    format!("{what} instantiation failed: {why}")
}

#[cfg(test)]
mod tests {
    use schema::structural::{Formats, root};
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_that_are_large_together_are_not_all_compiled() {
        let rules: Vec<_> = (0..4).map(|_| json!({"rule": "self > 1 && self > 2", "messageExpression": "'a'"})).collect();
        let schema = json!({"type": "integer", "x-kubernetes-validations": rules});
        let node = root(schema.as_object().expect("a map"), Formats::OfObjects).expect("structural");
        let declared = Declared::of(&node, false).expect("a number");
        // A rule has seven nodes, and its message one.
        let made = compile(&node.rules, &declared, &mut Work(15));
        let whole: Vec<bool> = made.iter().map(|rule| matches!(rule.program, Some(Ok(_)))).collect();
        assert_eq!(whole, [true, true, false, false]);
        assert!(matches!(made[0].message, Some(Ok(_))) && matches!(made[1].message, Some(Err(_))));
        let wrong = compile(&[Rule { rule: "self".to_owned(), ..Rule::default() }, Rule { rule: "+".to_owned(), ..Rule::default() }], &declared, &mut Work(5));
        assert!(matches!(&wrong[1].program, Some(Err(why)) if why.contains("Syntax error")));
        let mut work = Work(limits::PER_DEFINITION_NODES / 100);
        compile(&[Rule { rule: "+".to_owned(), ..Rule::default() }], &declared, &mut work);
        assert_eq!(work.0, 0, "what cannot be compiled counts");
    }
}
