//! Why there is no value.

use std::fmt;
use std::sync::Arc;

/// Why there is no value. A fault is a value to `&&` and `||`; the other reasons end everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The expression's own fault, in upstream's words.
    Fault(Fault),
    /// The limit of cost has been reached.
    CostLimit,
    /// Somebody has asked for the end.
    Interrupted,
}

/// The words of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Fixed ones.
    Fixed(&'static str),
    /// Ones made on the way.
    Made(Arc<str>),
}

impl Error {
    /// A fault with fixed words.
    pub const fn fixed(text: &'static str) -> Self {
        Error::Fault(Fault::Fixed(text))
    }

    /// A fault with words made on the way.
    pub fn made(text: impl Into<Arc<str>>) -> Self {
        Error::Fault(Fault::Made(text.into()))
    }

    pub(crate) const NO_OVERLOAD: Error = Error::fixed("no such overload");

    /// Whether `&&` and `||` may go on.
    pub(crate) fn ends_all(&self) -> bool {
        !matches!(self, Error::Fault(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Fault(Fault::Fixed(text)) => text,
            Error::Fault(Fault::Made(text)) => text,
            Error::CostLimit => "operation cancelled: actual cost limit exceeded",
            Error::Interrupted => "operation interrupted",
        })
    }
}

impl std::error::Error for Error {}
