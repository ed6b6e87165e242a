//! Where the resourceVersion stands in encoded bytes.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Root<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, rename = "resourceVersion")]
    resource_version: Option<&'a RawValue>,
}

/// The bytes inside the quotes of `metadata.resourceVersion`.
fn place(json: &[u8]) -> Option<Range<usize>> {
    let metadata = serde_json::from_slice::<Root>(json).ok()?.metadata?;
    let version = serde_json::from_str::<Metadata>(metadata.get()).ok()?.resource_version?.get();
    // A borrowed value points into `json`.
    let start = version.as_ptr() as usize - json.as_ptr() as usize;
    (version.len() >= 2 && version.starts_with('"')).then(|| start + 1..start + version.len() - 1)
}

/// The same object with another `metadata.resourceVersion`; unchanged if it has none.
pub(crate) fn with_revision(json: &Bytes, revision: u64) -> Bytes {
    let Some(place) = place(json) else { return json.clone() };
    let mut digits = itoa::Buffer::new();
    let mut out = BytesMut::with_capacity(json.len() + 4);
    out.put_slice(&json[..place.start]);
    out.put_slice(digits.format(revision).as_bytes());
    out.put_slice(&json[place.end..]);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_the_version_of_the_object() {
        let json = Bytes::from_static(
            br#"{"data":{"resourceVersion":"1"},"metadata":{"annotations":{"resourceVersion":"2"},"resourceVersion":"3"}}"#,
        );
        let want = br#"{"data":{"resourceVersion":"1"},"metadata":{"annotations":{"resourceVersion":"2"},"resourceVersion":"47"}}"#;
        assert_eq!(&with_revision(&json, 47)[..], &want[..]);
        let none = Bytes::from_static(br#"{"metadata":{}}"#);
        assert_eq!(with_revision(&none, 4), none);
    }
}
