//! Types of expressions (upstream: cel-go `common/types/types.go`, `checker/types.go`, `checker/format.go`).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Known at run time alone.
    Dyn,
    /// Of what is wrong already.
    Error,
    /// Of `null`.
    Null,
    /// `true`, `false`
    Bool,
    /// 64 bits with a sign.
    Int,
    /// 64 bits without.
    Uint,
    /// 64 bits of IEEE 754.
    Double,
    /// Text.
    String,
    /// Bytes.
    Bytes,
    /// A span of time in nanoseconds.
    Duration,
    /// A moment.
    Timestamp,
    /// A type that `null` may be assigned to: a bool, a number, a string, bytes.
    Nullable(Arc<Type>),
    /// A list.
    List(Arc<Type>),
    /// A map.
    Map(Arc<Type>, Arc<Type>),
    /// A type as a value.
    Type(Option<Arc<Type>>),
    /// A type of which only functions know more: `net.IP`, `optional_type(int)`.
    Opaque(Arc<str>, Arc<[Type]>),
    /// An object with declared fields.
    Struct(Arc<str>),
    /// A parameter of a function's type.
    Param(Arc<str>),
    /// A type not known yet.
    Var(u32),
}

pub(crate) const OPTIONAL: &str = "optional_type";

impl Type {
    /// A list of these.
    pub fn list(item: Type) -> Type {
        Type::List(Arc::new(item))
    }

    /// A map from these to those.
    pub fn map(key: Type, value: Type) -> Type {
        Type::Map(Arc::new(key), Arc::new(value))
    }

    /// Perhaps one of these.
    pub fn optional(of: Type) -> Type {
        Type::Opaque(OPTIONAL.into(), [of].into())
    }

    /// An object's.
    pub fn object(name: &str) -> Type {
        Type::Struct(name.into())
    }

    /// What an optional may hold.
    pub fn held(&self) -> Option<&Type> {
        match self {
            Type::Opaque(name, of) if &**name == OPTIONAL => of.first(),
            _ => None,
        }
    }

    /// Its parameters.
    pub fn parameters(&self) -> Vec<&Type> {
        match self {
            Type::List(item) => vec![item],
            Type::Map(key, value) => vec![key, value],
            Type::Type(Some(of)) => vec![of],
            Type::Opaque(_, of) => of.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Its name at run time, without parameters.
    pub fn name(&self) -> &str {
        match self {
            Type::Dyn => "dyn",
            Type::Error => "error",
            Type::Null => "null_type",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Double => "double",
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::Duration => "google.protobuf.Duration",
            Type::Timestamp => "google.protobuf.Timestamp",
            Type::Nullable(of) => of.name(),
            Type::List(_) => "list",
            Type::Map(..) => "map",
            Type::Type(_) => "type",
            Type::Opaque(name, _) | Type::Struct(name) | Type::Param(name) => name,
            Type::Var(_) => "_var",
        }
    }

    /// Whether sizes of its values are always one.
    pub fn is_scalar(&self) -> bool {
        match self {
            Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => true,
            Type::Nullable(of) => of.is_scalar(),
            _ => self.held().is_some_and(Type::is_scalar),
        }
    }

    pub(crate) fn is_dyn(&self) -> bool {
        matches!(self, Type::Dyn)
    }

    pub(crate) fn is_parameter(&self) -> bool {
        matches!(self, Type::Param(_) | Type::Var(_))
    }

    /// Without the permission of null.
    fn plain(&self) -> &Type {
        match self {
            Type::Nullable(of) => of,
            other => other,
        }
    }

    /// Whether both are one type; what may be null counts as what it is otherwise.
    pub(crate) fn same(&self, other: &Type) -> bool {
        self.alike(other, true)
    }

    /// The same, where the names of types that are not known do not count.
    pub(crate) fn equivalent(&self, other: &Type) -> bool {
        self.alike(other, false)
    }

    fn alike(&self, other: &Type, names: bool) -> bool {
        let (one, two) = (self.plain(), other.plain());
        match (one, two) {
            (Type::List(a), Type::List(b)) => a.alike(b, names),
            (Type::Map(a, b), Type::Map(c, d)) => a.alike(c, names) && b.alike(d, names),
            (Type::Type(Some(a)), Type::Type(Some(b))) => a.alike(b, names),
            (Type::Opaque(a, p), Type::Opaque(b, q)) => {
                a == b && p.len() == q.len() && p.iter().zip(&**q).all(|(a, b)| a.alike(b, names))
            }
            (one, two) if one.is_parameter() && two.is_parameter() => !names || one == two,
            (one, two) => one == two,
        }
    }

    /// Replaces the parameters of a function's type.
    pub(crate) fn with(&self, parameters: &HashMap<Arc<str>, Type>) -> Type {
        match self {
            Type::Param(name) => parameters.get(name).cloned().unwrap_or_else(|| self.clone()),
            Type::List(item) => Type::list(item.with(parameters)),
            Type::Map(key, value) => Type::map(key.with(parameters), value.with(parameters)),
            Type::Type(Some(of)) => Type::Type(Some(Arc::new(of.with(parameters)))),
            Type::Opaque(name, of) => Type::Opaque(name.clone(), of.iter().map(|of| of.with(parameters)).collect()),
            other => other.clone(),
        }
    }
}

/// As the checker's messages name it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Error => f.write_str("!error!"),
            Type::Null => f.write_str("null"),
            Type::Duration => f.write_str("duration"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::Nullable(of) => write!(f, "wrapper({of})"),
            Type::Var(number) => write!(f, "_var{number}"),
            other => {
                f.write_str(other.name())?;
                let parameters = other.parameters();
                if parameters.is_empty() {
                    return Ok(());
                }
                for (index, parameter) in parameters.iter().enumerate() {
                    write!(f, "{}{parameter}", if index == 0 { "(" } else { ", " })?;
                }
                f.write_str(")")
            }
        }
    }
}

/// The fields of objects' types.
pub trait Objects: Send + Sync {
    /// Whether there is a type of this name.
    fn exists(&self, name: &str) -> bool;

    /// The type of a field.
    fn field(&self, name: &str, field: &str) -> Option<Type>;

    /// Makes an object of a type from its fields, in the order of the text; the error is what is said to the user. Without it
    /// objects are maps with a name.
    fn make<'a>(&self, name: &str, fields: Vec<(String, crate::Value<'a>)>) -> Result<crate::Value<'a>, crate::Error> {
        Ok(crate::value::object(name, fields))
    }
}

/// Types that are written down.
#[derive(Clone, Debug, Default)]
pub struct Declared(pub HashMap<String, HashMap<String, Type>>);

impl Objects for Declared {
    fn exists(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn field(&self, name: &str, field: &str) -> Option<Type> {
        self.0.get(name)?.get(field).cloned()
    }
}
