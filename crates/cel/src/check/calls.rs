//! Calls: which overloads of a function fit.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Checker, Reference};
use crate::ast::{Id, Kind, Literal};
use crate::library::Overload;
use crate::types::Type;

impl Checker<'_> {
    fn function(&self, name: &str) -> Option<&'static [Arc<Overload>]> {
        self.env.candidates(name).iter().find_map(|name| self.env.function(name))
    }

    pub(super) fn call(&mut self, id: Id, name: &str, target: Option<Id>, args: &[Id]) {
        if name == "_?._" {
            return self.optional_field(id, args);
        }
        for arg in args {
            self.check(*arg);
        }
        let Some(target) = target else {
            let Some(overloads) = self.function(name) else { return self.undeclared(id, name) };
            let name = overloads[0].row.name;
            self.rename(id, name, None, args);
            return self.overloads(id, name, overloads, None, args);
        };
        // What it is called on may be the first part of the function's name.
        if let Some(prefix) = self.ast.qualified_name(target)
            && let Some(overloads) = self.function(&format!("{prefix}.{name}"))
        {
            let name = overloads[0].row.name;
            self.rename(id, name, None, args);
            return self.overloads(id, name, overloads, None, args);
        }
        self.check(target);
        match self.function(name) {
            Some(overloads) => self.overloads(id, name, overloads, Some(target), args),
            None => self.undeclared(id, name),
        }
    }

    fn rename(&mut self, id: Id, name: &str, target: Option<Id>, args: &[Id]) {
        self.ast.nodes[id as usize].kind = Kind::Call { function: name.into(), target, args: args.to_vec() };
    }

    fn optional_field(&mut self, id: Id, args: &[Id]) {
        let [operand, field] = args else {
            return self.wrong(id, format!("unsupported optional field selection: incorrect signature. argument count: {}", args.len()));
        };
        let Kind::Literal(Literal::String(name)) = self.ast.kind(*field).clone() else {
            return self.wrong(*field, "unsupported optional field selection".to_owned());
        };
        let of = self.field(id, *operand, &name, true);
        self.set(*field, Type::String);
        self.set(id, self.known.resolve(&of, false));
        let overloads = self.function("_?._").unwrap_or_default();
        self.refer(id, Reference::Functions(overloads.to_vec()));
    }

    fn overloads(&mut self, id: Id, name: &str, overloads: &'static [Arc<Overload>], target: Option<Id>, args: &[Id]) {
        let given: Vec<Type> = target.iter().chain(args).map(|arg| self.type_of(*arg)).collect();
        if matches!(name, "_&&_" | "_||_") {
            return self.logic(id, overloads, args, &given);
        }
        let given_refs: Vec<&Type> = given.iter().collect();
        let mut fitting = Vec::new();
        let mut result: Option<Type> = None;
        for overload in overloads.iter().filter(|overload| overload.row.member == target.is_some()) {
            let of = if overload.parameters.is_empty() {
                self.known.fits(&given_refs, &overload.args.iter().collect::<Vec<_>>()).then(|| overload.result.clone())
            } else {
                let parameters: HashMap<Arc<str>, Type> =
                    overload.parameters.iter().map(|name| (name.clone(), self.known.fresh())).collect();
                let wanted: Vec<Type> = overload.args.iter().map(|arg| arg.with(&parameters)).collect();
                let fits = self.known.fits(&given_refs, &wanted.iter().collect::<Vec<_>>());
                fits.then(|| overload.result.with(&parameters))
            };
            let Some(of) = of else { continue };
            fitting.push(overload.clone());
            let of = self.known.resolve(&of, false);
            result = Some(match result {
                None => of,
                Some(before) if before.is_dyn() || of.same(&before) => before,
                Some(_) => Type::Dyn,
            });
        }
        match result {
            Some(of) => {
                self.set(id, of);
                self.refer(id, Reference::Functions(fitting));
            }
            None => {
                let given: Vec<String> = given.iter().map(|of| self.known.resolve(of, true).to_string()).collect();
                let signature = match (target, given.split_first()) {
                    (Some(_), Some((first, rest))) => format!("{first}.({})", rest.join(", ")),
                    _ => format!("({})", given.join(", ")),
                };
                self.wrong(id, format!("found no matching overload for '{name}' applied to '{signature}'"));
                self.set(id, Type::Error);
            }
        }
    }

    fn logic(&mut self, id: Id, overloads: &'static [Arc<Overload>], args: &[Id], given: &[Type]) {
        let mut right = true;
        for (arg, of) in args.iter().zip(given) {
            if !self.known.fits(&[of], &[&Type::Bool]) {
                self.mismatch(*arg, &Type::Bool, of);
                right = false;
            }
        }
        self.set(id, if right { Type::Bool } else { Type::Error });
        self.refer(id, Reference::Functions(overloads.to_vec()));
    }
}
