//! What expressions know of a place of a structural schema: types, and how large values may be (upstream:
//! `apiserver/pkg/cel/common/schemas.go`, `pkg/cel/types.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::cost::{self, Range, Sizes};
use cel::types::Objects;
use cel::{Type, escape, limits};
use schema::structural::Node;

use super::resource;

/// A place that expressions can see.
#[derive(Debug)]
pub struct Declared {
    form: Form,
    /// The most characters, bytes, items or entries. Upstream's sums may go round.
    most: i64,
    /// The least bytes of JSON.
    least: i64,
}

#[derive(Debug)]
enum Form {
    Simple(Type),
    List(Arc<Declared>),
    Map(Arc<Declared>),
    /// Fields by the names that expressions have for them.
    Object(BTreeMap<String, Arc<Declared>>),
}

/// Bytes of the largest request.
const REQUEST: i64 = limits::REQUEST as i64;
/// Characters of the longest moment and of the longest duration, quotes included.
const LONGEST_TIME: i64 = 32;
/// Characters of a date, quotes included.
const DATE: i64 = 12;

impl Declared {
    /// What a node is to expressions; `None` where they cannot see it. `resource`: whether it is an object with kind and
    /// metadata.
    pub fn of(node: &Node, resource: bool) -> Option<Arc<Declared>> {
        let made = match &*node.word {
            "int-or-string" => {
                let most = node.check.max_length.map_or(REQUEST - 2, characters);
                Declared { form: Form::Simple(Type::Dyn), most, least: 1 }
            }
            "array" => {
                let items = node.element()?;
                let items = Declared::of(items, items.embedded)?;
                let most = node.check.max_items.map_or((REQUEST - 2) / (items.least + 1), |most| most.max(0));
                Declared { form: Form::List(items), most, least: 2 }
            }
            // What has properties of its own at the root of an object is never a map.
            "object" => match node.values() {
                Some(values) => {
                    let values = Declared::of(values, values.embedded)?;
                    let most = node.check.max_properties.map_or((REQUEST - 2) / (values.least + 6), |most| most.max(0));
                    Declared { form: Form::Map(values), most, least: 2 }
                }
                None => Declared::object(node, resource),
            },
            "string" => Declared::text(node),
            "boolean" => Declared { form: Form::Simple(Type::Bool), most: 0, least: 4 },
            "number" => Declared { form: Form::Simple(Type::Double), most: 0, least: 1 },
            "integer" => Declared { form: Form::Simple(Type::Int), most: 0, least: 1 },
            _ => return None,
        };
        Some(Arc::new(made))
    }

    fn object(node: &Node, resource: bool) -> Declared {
        let (mut fields, mut least) = (BTreeMap::new(), 2i64);
        for (name, below) in resource::properties(node, resource) {
            let Some(declared) = Declared::of(below, below.embedded) else { continue };
            if below.default.is_none() && node.check.required.iter().any(|required| *required == *name) {
                let length = i64::try_from(name.len()).unwrap_or(i64::MAX);
                least = least.saturating_add(length).saturating_add(declared.least).saturating_add(4);
            }
            if let Some(name) = escape::escape(name) {
                fields.insert(name, declared);
            }
        }
        Declared { form: Form::Object(fields), most: 0, least }
    }

    fn text(node: &Node) -> Declared {
        let most = node.check.max_length;
        let simple = |of, most, least| Declared { form: Form::Simple(of), most, least };
        match &*node.check.format {
            "byte" => simple(Type::Bytes, most.map_or(REQUEST - 2, |most| most.max(0)), 2),
            "duration" => simple(Type::Duration, LONGEST_TIME, 3),
            "date" => simple(Type::Timestamp, DATE, DATE),
            "date-time" => simple(Type::Timestamp, LONGEST_TIME, 21),
            _ => {
                let lengths = node.check.values.iter().map(|value| value.as_str().map_or(0, str::len));
                let listed = lengths.max().map(|longest| i64::try_from(longest).unwrap_or(i64::MAX));
                simple(Type::String, most.map_or_else(|| listed.unwrap_or(REQUEST - 2), characters), 2)
            }
        }
    }

    /// The place of a property, if expressions can name it.
    pub fn field(&self, name: &str) -> Option<&Arc<Declared>> {
        match &self.form {
            Form::Object(fields) => fields.get(&escape::escape(name)?),
            _ => None,
        }
    }

    /// The place of items, or of the values of a map.
    pub fn below(&self) -> Option<&Arc<Declared>> {
        match &self.form {
            Form::List(below) | Form::Map(below) => Some(below),
            _ => None,
        }
    }

    /// How often the place can be in a request, if nothing around it says less.
    pub fn times(&self) -> u64 {
        u64::try_from(REQUEST / self.least.saturating_add(1)).unwrap_or(0)
    }

    fn type_at(&self, name: &str) -> Type {
        match &self.form {
            Form::Simple(of) => of.clone(),
            Form::List(items) => Type::list(items.type_at(&format!("{name}.@idx"))),
            Form::Map(values) => Type::map(Type::String, values.type_at(&format!("{name}.@elem"))),
            Form::Object(_) => Type::object(name),
        }
    }

    fn step(&self, step: &str) -> Option<&Declared> {
        match &self.form {
            Form::List(items) if step == "@idx" => Some(items),
            Form::Map(values) if step == "@elem" => Some(values),
            Form::Object(fields) => fields.get(step).map(|field| &**field),
            _ => None,
        }
    }
}

/// Upstream counts bytes, of which a character may have four.
fn characters(most: i64) -> i64 {
    most.max(0).wrapping_mul(4)
}

/// Sizes along a path from `self`.
impl Sizes for Declared {
    fn size(&self, node: &cost::Node<'_>) -> Option<Range> {
        let mut here = self;
        for step in node.path?.iter().skip(1) {
            here = match (&**step, &here.form) {
                ("@items" | "@values", Form::List(below) | Form::Map(below)) => below,
                ("@keys", Form::Map(_)) => return Some(Range { min: 0, max: 0 }),
                (name, Form::Object(fields)) => fields.get(name)?,
                _ => return None,
            };
        }
        Some(Range { min: 0, max: here.most.cast_unsigned() })
    }
}

/// A place under a name; the objects in it are named by their way from there.
pub struct Scope {
    name: String,
    root: Arc<Declared>,
}

impl Scope {
    /// Of a place.
    pub fn new(name: String, root: Arc<Declared>) -> Scope {
        Scope { name, root }
    }

    /// The type of the place itself.
    pub fn root(&self) -> Type {
        self.root.type_at(&self.name)
    }

    fn find(&self, name: &str) -> Option<&BTreeMap<String, Arc<Declared>>> {
        let rest = name.strip_prefix(&*self.name)?;
        let steps = rest.split('.').skip(1);
        let found = (rest.is_empty() || rest.starts_with('.')).then(|| steps.into_iter().try_fold(&*self.root, |here, step| here.step(step)))?;
        match &found?.form {
            Form::Object(fields) => Some(fields),
            _ => None,
        }
    }
}

impl Objects for Scope {
    fn exists(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn field(&self, name: &str, field: &str) -> Option<Type> {
        Some(self.find(name)?.get(field)?.type_at(&format!("{name}.{field}")))
    }
}
