//! Literals of lists, maps and objects.

use std::sync::Arc;

use super::{Checker, Reference};
use crate::ast::{Entry, Field, Id};
use crate::types::Type;

impl Checker<'_> {
    /// The type of an item, of what it holds if it is an optional one.
    fn item(&mut self, id: Id, optional: bool) -> Type {
        let of = self.type_of(id);
        if !optional {
            return of;
        }
        if let Some(held) = of.held() {
            return held.clone();
        }
        if !of.is_dyn() {
            self.mismatch(id, &Type::optional(of.clone()), &of);
        }
        of
    }

    pub(super) fn list(&mut self, id: Id, items: &[Id], optional: &[bool]) {
        let mut of = None;
        for (item, optional) in items.iter().zip(optional) {
            self.check(*item);
            let next = self.item(*item, *optional);
            of = Some(self.join(of, next));
        }
        let of = of.unwrap_or_else(|| self.known.fresh());
        self.set(id, Type::list(of));
    }

    pub(super) fn map(&mut self, id: Id, entries: &[Entry]) {
        let (mut keys, mut values) = (None, None);
        for entry in entries {
            self.check(entry.key);
            let of = self.type_of(entry.key);
            keys = Some(self.join(keys, of));
            self.check(entry.value);
            let of = self.item(entry.value, entry.optional);
            values = Some(self.join(values, of));
        }
        let keys = keys.unwrap_or_else(|| self.known.fresh());
        let values = values.unwrap_or_else(|| self.known.fresh());
        self.set(id, Type::map(keys, values));
    }

    pub(super) fn object(&mut self, id: Id, name: &str, fields: &[Field]) {
        let found = self.find(name);
        let of = match found {
            None => {
                self.undeclared(id, name);
                return;
            }
            Some((_, Reference::Type(of @ Type::Struct(_)))) => of,
            Some((_, Reference::Type(of))) => {
                self.wrong(id, format!("'{}' is not a message type", of.name()));
                Type::Error
            }
            Some((of, _)) => {
                self.wrong(id, format!("'{}' is not a type", of.name()));
                Type::Error
            }
        };
        self.set(id, of.clone());
        let name: Arc<str> = of.name().into();
        self.refer(id, Reference::Object(name.clone()));
        for field in fields {
            self.check(field.value);
            let wanted = self.env.types().field(&name, &field.name);
            let given = self.item(field.value, field.optional);
            let Some(wanted) = wanted else {
                self.issues.at(field.at as usize, format!("undefined field '{}'", field.name));
                continue;
            };
            if !self.known.fits(&[&wanted], &[&given]) {
                let message = format!("expected type of field '{}' is '{wanted}' but provided type is '{given}'", field.name);
                self.issues.at(field.at as usize, message);
            }
        }
    }
}
