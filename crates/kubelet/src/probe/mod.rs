//! Startup, readiness and liveness probes: one timer task per probe of a running container.

pub mod check;
pub mod grpc;
pub mod http;
pub mod tally;
pub mod tcp;
pub mod timer;

/// The three sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// Until it succeeds once the others wait.
    Startup,
    /// Whether the container gets traffic.
    Readiness,
    /// Whether the container lives.
    Liveness,
}

impl Sort {
    /// As events name it.
    pub fn title(self) -> &'static str {
        match self {
            Sort::Startup => "Startup",
            Sort::Readiness => "Readiness",
            Sort::Liveness => "Liveness",
        }
    }
}

/// A probe's verdict changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Name of the container.
    pub container: String,
    /// Its id.
    pub id: String,
    /// Which probe.
    pub sort: Sort,
    /// The verdict.
    pub passed: bool,
}
