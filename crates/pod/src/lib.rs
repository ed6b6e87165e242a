//! The one meaning of a pod: what it requests, its quality of service, the ports of the node that it takes, whether it
//! is active, ready, at its end.
//!
//! Place in the straight line: vocabulary. The kinds (which have objects as JSON), the scheduler, the node agent, the
//! controllers and kubectl all ask here, so that none of them places what another refuses.
//!
//! Invariants: pure functions of a pod; the same answer for a pod and for its JSON.

pub mod life;
pub mod nodes;
pub mod ports;
pub mod qos;
pub mod resources;
mod spec;

pub use resources::{Amounts, Side};
pub use spec::{Port, Role, Spec};
