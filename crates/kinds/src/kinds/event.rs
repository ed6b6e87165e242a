//! Event, in two forms over one storage: core `v1` (stored) and `events.k8s.io/v1`.

use crate::descriptor::Descriptor;
use crate::rules::Rules;

struct Event {
    core: bool,
}

/// The core form, in which events are stored.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Event", "events", Event { core: true }).short("ev").lazy()
}

/// The newer form.
pub fn events_v1() -> Descriptor {
    Descriptor::builtin("events.k8s.io/v1", "Event", "events", Event { core: false }).short("ev").lazy()
}

impl Rules for Event {
    fn has_generation(&self) -> bool {
        let _ = self.core;
        false
    }
}
