//! Where the walk is: a list on the call stack, written out only for an error.

use crate::model::{Field, Type};

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

    /// Go's description for a type error: `DeploymentSpec.spec.replicas`; empty outside of any struct.
    pub fn go_field(&self) -> String {
        let mut names = Vec::new();
        let mut owner = None;
        let mut here = Some(self);
        while let Some(path) = here {
            if let Step::Field(t, field) = path.step {
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
