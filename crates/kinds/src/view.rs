//! A value inside an object together with its path: what validation walks on.

use std::sync::LazyLock;

use meta::Object;
use meta::field::{Error, Errors, Path};
use meta::object::string_map;
use serde_json::{Map, Value};

/// One field, present or not, and where it stands. Absent strings read as `""`, absent numbers as 0, absent
/// flags as false, absent lists as empty: upstream's zero values.
#[derive(Clone, Debug)]
pub struct View<'a> {
    value: Option<&'a Value>,
    /// Where it stands.
    pub path: Path,
}

static NO_FIELDS: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

impl<'a> View<'a> {
    /// The field of an object's root.
    pub fn of(object: &'a Object, name: &str) -> Self {
        View { value: object.fields().get(name).filter(|v| !v.is_null()), path: Path::new(name) }
    }

    /// A value at a path of one's own choice.
    pub fn new(value: Option<&'a Value>, path: Path) -> Self {
        View { value: value.filter(|v| !v.is_null()), path }
    }

    /// The field of that name below.
    pub fn at(&self, name: &str) -> View<'a> {
        View { value: self.raw(name), path: self.path.child(name) }
    }

    /// The field of that name below, if present.
    pub fn get(&self, name: &str) -> Option<View<'a>> {
        self.raw(name).map(|v| View { value: Some(v), path: self.path.child(name) })
    }

    /// The entries of a list.
    pub fn items(&self) -> impl Iterator<Item = View<'a>> + use<'a> {
        let path = self.path.clone();
        self.list().iter().enumerate().map(move |(i, v)| View { value: Some(v), path: path.index(i) })
    }

    /// The entries of a list below.
    pub fn each(&self, name: &str) -> impl Iterator<Item = View<'a>> + use<'a> {
        self.at(name).items()
    }

    /// The entries of a map, with `[key]` in the path.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, View<'a>)> + use<'a> {
        let path = self.path.clone();
        self.map().iter().map(move |(k, v)| (k.as_str(), View { value: Some(v), path: path.key(k) }))
    }

    /// The value, if present.
    pub fn value(&self) -> Option<&'a Value> {
        self.value
    }

    /// Whether there is a value.
    pub fn exists(&self) -> bool {
        self.value.is_some()
    }

    /// Whether there is a field of that name.
    pub fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// The list; empty when absent.
    pub fn list(&self) -> &'a [Value] {
        self.value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The map; empty when absent.
    pub fn map(&self) -> &'a Map<String, Value> {
        self.value.and_then(Value::as_object).unwrap_or(&NO_FIELDS)
    }

    /// Whether a list or map is absent or empty.
    pub fn is_empty(&self) -> bool {
        self.list().is_empty() && self.map().is_empty()
    }

    /// The strings of a list.
    pub fn strings(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.list().iter().filter_map(Value::as_str)
    }

    /// The string entries of a map.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        string_map(self.value)
    }

    /// The string.
    pub fn str(&self) -> &'a str {
        self.value.and_then(Value::as_str).unwrap_or("")
    }

    /// The number.
    pub fn int(&self) -> Option<i64> {
        self.value.and_then(Value::as_i64)
    }

    /// The flag.
    pub fn bool(&self) -> Option<bool> {
        self.value.and_then(Value::as_bool)
    }

    /// The string field of that name.
    pub fn text(&self, name: &str) -> &'a str {
        self.raw(name).and_then(Value::as_str).unwrap_or("")
    }

    /// The number field of that name; 0 when absent.
    pub fn number(&self, name: &str) -> i64 {
        self.raw(name).and_then(Value::as_i64).unwrap_or(0)
    }

    /// The flag of that name; false when absent.
    pub fn flag(&self, name: &str) -> bool {
        self.raw(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn raw(&self, name: &str) -> Option<&'a Value> {
        self.value?.as_object()?.get(name).filter(|v| !v.is_null())
    }

    /// The value is wrong.
    pub fn invalid(&self, detail: impl Into<String>) -> Error {
        Error::invalid(&self.path, self.bad_value(), detail)
    }

    /// The value must be set.
    pub fn required(&self, detail: impl Into<String>) -> Error {
        Error::required(&self.path, detail)
    }

    /// The value may not be set.
    pub fn forbidden(&self, detail: impl Into<String>) -> Error {
        Error::forbidden(&self.path, detail)
    }

    /// The value is none of these.
    pub fn not_supported(&self, supported: &[&str]) -> Error {
        Error::not_supported(&self.path, self.bad_value(), supported)
    }

    /// The value occurred before.
    pub fn duplicate(&self) -> Error {
        Error::duplicate(&self.path, self.bad_value())
    }

    /// One error for each message.
    pub fn all_invalid(&self, messages: Vec<String>, errors: &mut Errors) {
        errors.extend(messages.into_iter().map(|m| self.invalid(m)));
    }

    /// One error for each message about a number, which is 0 when absent.
    pub fn all_invalid_number(&self, messages: Vec<String>, errors: &mut Errors) {
        let number = self.int().unwrap_or(0);
        errors.extend(messages.into_iter().map(|m| Error::invalid(&self.path, number, m)));
    }

    /// The value must be one of these, and may not be empty.
    pub fn one_of(&self, supported: &[&str], errors: &mut Errors) {
        if !supported.contains(&self.str()) {
            errors.push(self.not_supported(supported));
        }
    }

    /// The value must not be negative.
    pub fn not_negative(&self, errors: &mut Errors) {
        if self.int().is_some_and(|n| n < 0) {
            errors.push(self.invalid("must be greater than or equal to 0"));
        }
    }

    fn bad_value(&self) -> Value {
        self.value.cloned().unwrap_or_else(|| Value::from(""))
    }
}
