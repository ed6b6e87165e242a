//! What calls cost: at run time and as estimated from the sizes that schemas allow.
//!
//! One rule for each way in which a function's cost depends on its arguments (upstream: cel-go `interpreter/runtimecost.go`,
//! `checker/cost.go`, `ext/lists.go`, `ext/sets.go`; Kubernetes' `apiserver/pkg/cel/library/cost.go`). The two figures of a
//! rule do not always agree with each other: they are upstream's.

mod actual;
mod calls;
mod estimate;
mod extensions;
mod range;
mod sizes;
mod walk;

pub(crate) use actual::actual;
pub use estimate::{Node, Sizes, Unknown};
pub(crate) use walk::estimate;
pub use range::Range;

/// Of a name or a selection.
pub(crate) const SELECT: u64 = 1;
/// Of a new list.
pub(crate) const LIST: u64 = 10;
/// Of a new map.
pub(crate) const MAP: u64 = 30;
/// Of a new object.
pub(crate) const OBJECT: u64 = 40;
/// Of a character that is looked at.
pub(crate) const TEXT: f64 = 0.1;
/// Of a character of a regular expression.
pub(crate) const PATTERN: f64 = 0.25;

/// How a call's cost depends on what it is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cost {
    /// Always one.
    One,
    /// Always this; whatever overload is called.
    Fixed(u64),
    /// A text is read and another one of its length comes out.
    Copied,
    /// Parts of a text are replaced.
    Replace,
    /// A text is cut.
    Split,
    /// Texts are put together.
    Join,
    /// A pattern is looked for.
    Find,
    /// A text is read.
    Parsed,
    /// A text is read and compared with what comes out.
    ParsedTwice,
    /// An address is compared with a network; whether it must be read first.
    ContainsIp(bool),
    /// A network is compared with a network; whether it must be read first.
    ContainsCidr(bool),
    /// A format is checked.
    Validate,
    /// A selector is read.
    Selector,
    /// A whole tree is looked at.
    Traverse,
    /// The begin or the end of a text is compared.
    Prefix,
    /// Bytes of a text.
    ToBytes,
    /// Text of bytes.
    ToText,
    /// Text in quotes.
    Quote,
    /// A text is put together from a format.
    Format,
    /// A list is searched.
    InList,
    /// Two texts are compared.
    Compare,
    /// `==`
    Equal,
    /// `!=`
    Differ,
    /// Two texts become one.
    AddText,
    /// Two lists become one.
    AddList,
    /// A pattern is matched.
    Matches,
    /// A text is searched for another one.
    Contains,
    /// `&&`, `||`
    Logic,
    /// `? :`
    Conditional,
    /// An item of a list.
    IndexList,
    /// A value of a map.
    IndexMap,
    /// Each item of one list with each of another, this often.
    Sets(u64),
    /// A part of a list.
    Slice,
    /// Numbers up to another.
    Numbers,
    /// A list backwards.
    Reverse,
    /// Lists in lists.
    Flatten,
    /// Each item of a list with each other.
    Distinct,
    /// A list in order; whether its items are texts.
    Sort(bool),
    /// A list in the order of another.
    SortBy(bool),
}

impl Cost {
    /// Whether upstream finds the rule by the function's name, also where it is open which overload is called.
    pub(crate) fn by_name(self) -> bool {
        matches!(
            self,
            Cost::Fixed(_)
                | Cost::Copied
                | Cost::Replace
                | Cost::Split
                | Cost::Join
                | Cost::Find
                | Cost::Parsed
                | Cost::ParsedTwice
                | Cost::ContainsIp(_)
                | Cost::ContainsCidr(_)
                | Cost::Validate
                | Cost::Selector
                | Cost::Traverse
        )
    }

    /// Whether it is known only by what comes out.
    pub(crate) fn by_result(self) -> bool {
        matches!(self, Cost::Join | Cost::Slice | Cost::Reverse)
    }

    /// The rule where it is open which overload is called.
    pub(crate) fn open(self) -> Cost {
        match self {
            Cost::ContainsIp(_) => Cost::ContainsIp(false),
            Cost::ContainsCidr(_) => Cost::ContainsCidr(false),
            rule if rule.by_name() => rule,
            _ => Cost::One,
        }
    }
}
