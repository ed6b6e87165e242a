//! A definition in the form in which upstream validates it: what all versions say alike stands beside them, and errors name
//! it there (`apis/apiextensions/v1/conversion.go`).

use meta::Object;
use schema::structural;
use serde_json::{Map, Value};

use crate::view::View;

/// A JSON object.
pub type Props = Map<String, Value>;

/// What stands beside the versions, or in them.
#[derive(Clone, Copy, Default)]
pub struct Parts<'d> {
    /// `schema`; beside the versions it is called `validation`.
    pub schema: Option<&'d Value>,
    pub subresources: Option<&'d Value>,
    pub columns: Option<&'d Value>,
    pub selectable: Option<&'d Value>,
}

pub struct Version<'d> {
    pub value: &'d Value,
    pub name: &'d str,
    pub parts: Parts<'d>,
}

pub struct Definition<'d> {
    pub spec: View<'d>,
    pub parts: Parts<'d>,
    pub versions: Vec<Version<'d>>,
    /// Whether unknown fields of all versions are kept, which only old definitions may say.
    pub kept: bool,
}

impl<'d> Definition<'d> {
    pub fn of(object: &'d Object) -> Definition<'d> {
        let spec = View::of(object, "spec");
        let list = spec.at("versions").list();
        let alike = |name: &str| {
            let first = list.first().map(|version| field(version, name));
            first.filter(|first| list.iter().all(|version| field(version, name) == *first))
        };
        const NAMES: [&str; 4] = ["schema", "subresources", "additionalPrinterColumns", "selectableFields"];
        let common = NAMES.map(alike);
        let parts = |[schema, subresources, columns, selectable]: [Option<&'d Value>; 4]| Parts { schema, subresources, columns, selectable };
        let versions = list
            .iter()
            .map(|value| {
                let own = std::array::from_fn(|at| if common[at].is_some() { None } else { field(value, NAMES[at]) });
                let name = value.get("name").and_then(Value::as_str).unwrap_or("");
                Version { value, name, parts: parts(own) }
            })
            .collect();
        let kept = spec.flag("preserveUnknownFields");
        Definition { parts: parts(common.map(Option::flatten)), versions, kept, spec }
    }

    /// All schemas, that beside the versions first.
    pub fn schemas(&self) -> impl Iterator<Item = &'d Props> {
        let own = self.versions.iter().map(|version| version.parts.schema);
        std::iter::once(self.parts.schema).chain(own).filter_map(open_api)
    }

    /// Whether something holds for any schema, or for any in it.
    pub fn any(&self, mut holds: impl FnMut(&Props) -> bool) -> bool {
        self.schemas().any(|schema| structural::any_schema(schema, &mut holds))
    }
}

fn field<'d>(value: &'d Value, name: &str) -> Option<&'d Value> {
    value.get(name).filter(|value| !value.is_null())
}

/// The schema in what upstream calls a validation.
pub fn open_api(validation: Option<&Value>) -> Option<&Props> {
    validation?.get("openAPIV3Schema")?.as_object()
}

/// Whether the status is a subresource.
pub fn has_status(subresources: Option<&Value>) -> bool {
    subresources.and_then(|subresources| field(subresources, "status")).is_some()
}

/// Formats that say nothing of their types, in all schemas.
pub fn unknown_formats(object: &Object) -> Vec<String> {
    let mut unknown = Vec::new();
    let text = |schema: &Props, name: &str| schema.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    Definition::of(object).any(|schema| {
        let format = text(schema, "format");
        if !format.is_empty() && !structural::is_known_format(&[text(schema, "type")], &format) {
            unknown.push(format);
        }
        false
    });
    unknown
}
