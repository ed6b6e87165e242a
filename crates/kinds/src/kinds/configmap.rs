//! ConfigMap.

use crate::descriptor::Descriptor;
use crate::rules::Rules;

struct ConfigMap;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "ConfigMap", "configmaps", ConfigMap).short("cm")
}

impl Rules for ConfigMap {}
