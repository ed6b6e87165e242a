//! Protobuf: envelopes, lists, frames, refusals. Whole kinds are in `tests/fixtures.rs`.

use bytes::{Bytes, BytesMut};
use serde_json::{Map, json};

use super::schema;
use crate::proto;

#[test]
fn lists_and_frames_are_put_together_from_encoded_items() {
    let config_map = schema("", "v1", "ConfigMap");
    let items: Vec<Bytes> = ["a", "b"]
        .iter()
        .map(|name| {
            let object = config_map.decode_value(&json!({"metadata": {"name": name}, "data": {"k": "v"}})).expect("decodes").object;
            Bytes::from(proto::message(config_map.root(), object.fields()))
        })
        .collect();
    let metadata = Map::from_iter([("resourceVersion".to_owned(), json!("7"))]);
    let mut list = BytesMut::from(&proto::list_head("v1", "ConfigMapList", &proto::list_metadata(&metadata), &items)[..]);
    for item in &items {
        proto::item_head(&mut list, item.len());
        list.extend_from_slice(item);
    }
    list.extend_from_slice(proto::LIST_END);
    let decoded = schema("", "v1", "ConfigMapList").decode_proto(&list).expect("decodes").object.into_value();
    assert_eq!(
        decoded,
        json!({
            "apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "7"},
            "items": [{"metadata": {"name": "a"}, "data": {"k": "v"}}, {"metadata": {"name": "b"}, "data": {"k": "v"}}],
        })
    );
    let mut frame = BytesMut::new();
    proto::watch_frame("ADDED", &proto::wrap("v1", "ConfigMap", &items[0]), &mut frame);
    assert_eq!(frame[..4], (frame.len() as u32 - 4).to_be_bytes());
    // Field 1, five bytes: a stream's events begin without an envelope.
    assert_eq!(frame[4..11], *b"\x0a\x05ADDED");
    let enveloped = proto::wrap("v1", "WatchEvent", &frame[4..]);
    let event = schema("", "v1", "WatchEvent").decode_proto(&enveloped).expect("decodes").object;
    assert_eq!(event.str_at("type"), "ADDED");
    assert_eq!(event.str_at("object.metadata.name"), "a");
}

#[test]
fn broken_messages_are_refused() {
    let pod = schema("", "v1", "Pod");
    let refused = |bytes: &[u8]| pod.decode_proto(bytes).expect_err("is refused").0;
    assert_eq!(refused(b""), "empty data");
    assert!(refused(b"{}").starts_with("provided data does not appear to be a protobuf message"));
    assert_eq!(refused(b"k8s\0\x12\x05\x0a"), "unexpected EOF");
    assert_eq!(refused(&proto::wrap("v1", "Pod", &[0x0b])), "proto: illegal wireType 3");
    assert!(schema("meta.k8s.io", "v1", "Table").encode_proto(&meta::Object::default()).is_none());
}

#[test]
fn a_revision_is_put_in_and_taken_out_without_decoding() {
    for (gvk, rest) in [(("", "v1", "ConfigMap"), json!({"data": {"k": "v".repeat(300)}})), (("apps", "v1", "Deployment"), json!({}))] {
        let schema = schema(gvk.0, gvk.1, gvk.2);
        let tree = |version: &str| {
            let mut tree = rest.clone();
            tree["metadata"] = json!({"name": "a", "uid": "u", "labels": {"x": "y".repeat(120)}, "resourceVersion": version});
            tree["kind"] = gvk.2.into();
            schema.decode_value(&tree).expect("decodes").object
        };
        let encoded = |version: &str| schema.encode_proto(&tree(version)).expect("has a form");
        for (from, to) in [("", "7"), ("7", ""), ("9", "18446744073709551615"), ("123456", "1")] {
            assert_eq!(proto::with_resource_version(&encoded(from), to).expect("is an object"), encoded(to), "{from} {to}");
        }
        let whole = encoded("5");
        let content = proto::content(&whole).expect("is an object");
        assert_eq!(content, proto::message(schema.root(), tree("5").fields()));
        let partial = proto::partial(&proto::metadata(&whole).expect("has metadata"));
        let shown = super::schema("meta.k8s.io", "v1", "PartialObjectMetadata")
            .decode_proto(&proto::wrap("meta.k8s.io/v1", "PartialObjectMetadata", &partial))
            .expect("decodes");
        assert_eq!(shown.object.at("metadata"), tree("5").at("metadata"));
    }
    assert!(proto::with_resource_version(b"{}", "1").is_none());
    assert!(proto::with_resource_version(b"k8s\0\x12\x05\x0a", "1").is_none());
}
