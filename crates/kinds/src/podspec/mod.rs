//! The specification of pods, wherever it stands: in a Pod or in the template of a workload.

pub mod defaults;
pub mod gated;
pub mod image;
mod overlaps;
pub mod resources;
pub mod validate;
mod volume_defaults;
pub mod warnings;

use serde_json::Value;

/// The three lists of containers.
pub const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Containers and init containers of a pod spec.
pub fn lasting_containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"].into_iter().filter_map(|l| spec.get(l)).filter_map(Value::as_array).flatten()
}
