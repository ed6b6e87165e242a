//! Every limit on what comes from outside, in one table. Decoders, patches and listeners take their figures from here,
//! so that what is let in can be stored, read, listed, printed and deleted.
//!
//! Where upstream has a figure, it is upstream's. Nesting is the exception: upstream goes 10,000 deep, but common
//! readers of JSON stop at 127 (`serde_json`), and what nobody can read must not be stored.

use std::time::Duration;

/// The largest body of a request, in bytes (upstream: `MaxRequestBodyBytes`).
pub const BODY: usize = 3 << 20;

/// How deep an object may be nested: maps and lists on the longest way from its root, the root counted.
pub const NESTING: usize = 100;

/// The same for documents that have objects in them: lists, patches, reviews, tables.
pub const NESTING_AROUND: usize = 120;

/// The same for what is read over and dropped without being kept (upstream: `encoding/json`, `maxNestingDepth`).
pub const NESTING_DROPPED: usize = 10_000;

/// The same for what is stored already: older versions let that much in.
pub const NESTING_STORED: usize = 600;

/// From this many bytes on, work on an object is long: it is not done on threads that serve others.
pub const LONG: usize = 64 << 10;

/// Operations in one JSON patch (upstream: `maxJSONPatchOperations`).
pub const PATCH_OPERATIONS: usize = 10_000;

/// Bytes that the `copy` operations of one JSON patch may add (upstream: `JSONPatchMaxCopyBytes`).
pub const PATCH_COPIED: usize = 3 << 20;

/// The most bytes that all keys and values of the annotations of an object may have together (upstream:
/// `TotalAnnotationSizeLimitB`).
pub const ANNOTATIONS: usize = 256 << 10;

/// The longest field manager, in bytes (upstream: `FieldManagerMaxLength`).
pub const MANAGER: usize = 128;

/// The longest DNS label, in bytes.
pub const LABEL: usize = 63;

/// The longest DNS subdomain, in bytes: names of most objects.
pub const SUBDOMAIN: usize = 253;

/// The largest object that is stored, in bytes of JSON: what is read can be sent back. (Upstream's etcd stops at
/// 1.5 MiB of protobuf.)
pub const OBJECT: usize = BODY;

/// What an object that is larger already may grow by in a write that deletes it, in bytes.
pub const OBJECT_END: usize = 1 << 10;

/// The most that a refusal says of what is wrong with an object, in bytes.
pub const REFUSAL: usize = 1 << 20;

/// What all warnings of an answer may have, in characters; of more only the beginnings are sent (upstream:
/// `endpoints/filters/warning.go`, `truncateAtTotalRunes`).
pub const WARNINGS: usize = 4096;

/// The beginning of a warning, in characters (upstream: `truncateItemRunes`).
pub const WARNING: usize = 256;

/// Bytes of a compiled pattern.
pub const REGEX: usize = 10 << 20;

/// Schemas in the schema of a custom resource; upstream has no bound. The largest that are in use have some 20,000.
pub const SCHEMAS: usize = 60_000;

/// Pairs of a value and a schema that are looked at for one custom resource, alternatives included; upstream has no bound.
pub const VALIDATED: usize = 8_000_000;

/// The longest that a conversion by a webhook takes, its turn included.
pub const CONVERSION: Duration = Duration::from_secs(30);

/// Requests to the webhook that converts the objects of one definition at once; others wait for their turn.
pub const CONVERSIONS: usize = 8;

/// Objects in one such request.
pub const CONVERTED: usize = 100;

/// Bytes of stored objects in one such request, in which there is at least one.
pub const CONVERTED_BYTES: usize = 1 << 20;

/// The largest manifest, index or configuration of an image, in bytes (containerd and registries: 4 MiB). What else
/// registries and images are held to stands in `runtime::limits`.
pub const MANIFEST: usize = 4 << 20;

/// The longest time that a client can ask for, in seconds: about 292 years, Go's longest `time.Duration`.
pub const SECONDS: i64 = i64::MAX / 1_000_000_000;

/// A client's seconds as a time: negative ones are none, and there are no more than [`SECONDS`].
pub fn seconds(asked: i64) -> Duration {
    Duration::from_secs(asked.clamp(0, SECONDS).unsigned_abs())
}

/// Whether a tree is nested no deeper than `limit`. Looks no deeper either.
pub fn fits(value: &serde_json::Value, limit: usize) -> bool {
    let below = |value| limit > 0 && fits(value, limit - 1);
    match value {
        serde_json::Value::Array(list) => limit > 0 && list.iter().all(below),
        serde_json::Value::Object(map) => limit > 0 && map.values().all(below),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nesting_is_counted_in_maps_and_lists() {
        for (tree, deep) in [(json!(1), 0), (json!([]), 1), (json!({"a": [1, {"b": 2}]}), 3)] {
            assert!(fits(&tree, deep) && (deep == 0 || !fits(&tree, deep - 1)), "{tree}");
        }
    }

    #[test]
    fn what_is_let_in_is_read_by_common_readers() {
        let list = format!("{}{}", "[".repeat(NESTING_AROUND), "]".repeat(NESTING_AROUND));
        assert!(serde_json::from_str::<serde_json::Value>(&list).is_ok());
        const { assert!(NESTING + 10 < NESTING_AROUND) };
    }

    #[test]
    fn any_number_of_seconds_is_a_time() {
        assert_eq!(seconds(-1), Duration::ZERO);
        assert_eq!(seconds(5), Duration::from_secs(5));
        assert!(std::time::Instant::now().checked_add(seconds(i64::MAX)).is_some());
    }
}
