//! Where the walk is: a list on the call stack, written out only for an error.

use meta::field;

use crate::model::{Field, Kind, Type, TypeRef};

/// A place in a document.
pub struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

enum Step<'p> {
    Root,
    Field(&'p Type, &'p Field),
    Key(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    /// The whole document.
    pub fn root() -> Path<'static> {
        Path { parent: None, step: Step::Root }
    }

    /// A field of the type that is here.
    pub fn field(&'p self, owner: &'p Type, field: &'p Field) -> Path<'p> {
        Path { parent: Some(self), step: Step::Field(owner, field) }
    }

    /// A key of the map that is here.
    pub fn key(&'p self, key: &'p str) -> Path<'p> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    /// An element of the list that is here.
    pub fn index(&'p self, index: usize) -> Path<'p> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// The path of something below, for unknown and duplicate fields: `spec.containers[0].x`.
    pub fn strict(&self, leaf: &str) -> String {
        let mut text = String::new();
        self.write_strict(&mut text);
        push_name(&mut text, leaf);
        text
    }

    fn write_strict(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.write_strict(out);
        }
        self.write_step(out);
    }

    fn write_step(&self, out: &mut String) {
        match self.step {
            Step::Root => {}
            Step::Field(_, field) => push_name(out, &field.name),
            Step::Key(key) => push_name(out, key),
            Step::Index(index) => {
                out.push('[');
                out.push_str(&index.to_string());
                out.push(']');
            }
        }
    }

    /// Whether the metadata of an object of a custom resource is here or above, and whether that is the document itself.
    pub fn in_metadata(&self) -> Option<bool> {
        match (&self.step, self.parent) {
            (Step::Field(owner, _), Some(parent)) if owner.structural && self.is_metadata() => Some(matches!(parent.step, Step::Root)),
            (_, Some(parent)) => parent.in_metadata(),
            (_, None) => None,
        }
    }

    fn is_metadata(&self) -> bool {
        matches!(self.step, Step::Field(_, field) if matches!(field.shape.kind, Kind::Struct(TypeRef::Builtin(_))))
    }

    /// The path as errors about values have it.
    pub fn of_errors(&self, prefix: &field::Path) -> field::Path {
        let parent = self.parent.map_or_else(|| prefix.clone(), |parent| parent.of_errors(prefix));
        match self.step {
            Step::Root => parent,
            Step::Field(_, field) => parent.child(&field.name),
            Step::Key(key) => parent.key(key),
            Step::Index(index) => parent.index(index),
        }
    }

    /// The path of an unknown field in the metadata of an object within a custom resource: above the metadata it is
    /// written as in errors, below as by the decoder.
    pub fn below_metadata(&self, leaf: &str) -> String {
        let mut text = String::new();
        self.write_below(&mut text);
        push_name(&mut text, leaf);
        text
    }

    fn write_below(&self, out: &mut String) {
        match self.step {
            Step::Field(owner, _) if owner.structural => out.push_str(&self.of_errors(&field::Path::default()).to_string()),
            _ => {
                if let Some(parent) = self.parent {
                    parent.write_below(out);
                }
                self.write_step(out);
            }
        }
    }

    /// Go's description for a type error: `DeploymentSpec.spec.replicas`; empty outside of any struct.
    pub fn go_field(&self) -> String {
        let mut names = Vec::new();
        let mut owner = None;
        let mut here = Some(self);
        while let Some(path) = here {
            if let Step::Field(t, field) = path.step {
                // The metadata of a custom resource is decoded by itself.
                if t.structural {
                    break;
                }
                owner = owner.or(Some(t));
                names.push(field.name.as_ref());
                names.extend(field.embedded.iter().rev().map(AsRef::as_ref));
            }
            here = path.parent;
        }
        names.reverse();
        owner.map_or(String::new(), |t| format!("{}.{}", t.go_name, names.join(".")))
    }
}

fn push_name(out: &mut String, name: &str) {
    if !out.is_empty() {
        out.push('.');
    }
    out.push_str(name);
}
