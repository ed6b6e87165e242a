//! Scale: how `kubectl get --subresource=scale` shows it. It is no kind of its own: other kinds have it below them.

use meta::Object;
use serde_json::Value;

use crate::Now;
use crate::print::{AGE, integer, text};
use crate::rules::{Column, Rules, age};

static COLUMNS: [Column; 4] = [
    text("Name", "Name of the object"),
    integer("Desired", "Wanted number of instances"),
    integer("Available", "Actual number of instances"),
    AGE,
];

/// What of [`Rules`] concerns it: its table.
pub(crate) struct Scale;

impl Rules for Scale {
    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let number = |path: &str| Value::from(object.i64_at(path).unwrap_or(0));
        vec![object.name().into(), number("spec.replicas"), number("status.replicas"), age(object, now).into()]
    }
}
