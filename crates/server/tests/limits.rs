//! What a client may send has bounds, and whatever is let in can be read, listed, printed, changed and deleted.

mod kit;

use http::Method;
use kit::Kit;
use meta::limits;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PARTIAL: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

/// A ConfigMap whose account is that deep; whole, it is four deeper.
fn with_account(name: &str, depth: usize) -> Value {
    let fields = (1..depth).fold(json!({}), |inner, _| json!({"f:a": inner}));
    let entry = json!({"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "managedFields": [entry]}, "data": {"a": "b"}})
}

#[tokio::test]
async fn what_is_let_in_can_be_read_in_every_form_and_deleted() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let refused = kit.post(MAPS, with_account("deep", 400)).await;
    assert_eq!(refused.code.as_u16(), 400, "{}", refused.text());
    assert!(refused.text().contains("exceeded max depth"), "{}", refused.text());
    let created = kit.post(MAPS, with_account("deep", limits::NESTING - 4)).await;
    assert_eq!(created.code.as_u16(), 201, "{}", created.text());
    for accept in ["application/json", "application/yaml", PROTOBUF, TABLE, PARTIAL] {
        let list = kit.ask(Method::GET, MAPS, &[("accept", accept)], "").await;
        assert_eq!(list.code.as_u16(), 200, "{accept}");
    }
    let read = kit.get(&format!("{MAPS}/deep")).await;
    let put = kit.ask(Method::PUT, &format!("{MAPS}/deep"), &[("content-type", "application/json")], read.body.clone()).await;
    assert_eq!(put.code.as_u16(), 200, "what is read can be sent back: {}", put.text());
    for (language, patch) in [
        ("application/merge-patch+json", r#"{"data":{"a":"c"}}"#),
        ("application/strategic-merge-patch+json", r#"{"data":{"a":"d"}}"#),
        ("application/json-patch+json", r#"[{"op":"replace","path":"/data/a","value":"e"}]"#),
        ("application/apply-patch+yaml?", r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"data":{"z":"f"}}"#),
    ] {
        let uri = if language.ends_with('?') { format!("{MAPS}/deep?fieldManager=x") } else { format!("{MAPS}/deep") };
        let patched = kit.ask(Method::PATCH, &uri, &[("content-type", language.trim_end_matches('?'))], patch).await;
        assert_eq!(patched.code.as_u16(), 200, "{language}: {}", patched.text());
    }
    assert_eq!(kit.ask(Method::DELETE, &format!("{MAPS}/deep"), &[], "").await.code.as_u16(), 200);
}

/// Protobuf in protobuf in protobuf: each level of it is small.
#[tokio::test]
async fn a_message_in_itself_ends_nothing() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let field = |number: u8, bytes: &[u8]| {
        let mut out = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length > 0x7f {
            out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(bytes);
        out
    };
    // metadata (1), managedFields (17), fieldsV1 (7), raw (1).
    let mut message = Vec::new();
    for _ in 0..1_000 {
        let envelope = schema::proto::wrap("v1", "ConfigMap", &message);
        let entry = field(7, &field(1, &envelope));
        let metadata = [field(1, b"a"), [&[0x8a, 0x01], &field(0, &entry)[1..]].concat()].concat();
        message = field(1, &metadata);
    }
    let body = schema::proto::wrap("v1", "ConfigMap", &message);
    let answer = kit.ask(Method::POST, MAPS, &[("content-type", PROTOBUF)], body).await;
    assert_eq!(answer.code.as_u16(), 201, "upstream does not look into it, and forgets the account: {}", answer.text());
    assert_eq!(kit.get(MAPS).await.code.as_u16(), 200);
    assert_eq!(kit.get(&format!("{MAPS}/a")).await.json()["metadata"]["managedFields"], Value::Null);
}

#[tokio::test]
async fn documents_in_every_language_have_a_depth() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    kit.post(MAPS, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})).await;
    for depth in [130, 1_000, 9_000, 100_000] {
        let deep = format!(r#"{{"metadata":{{"managedFields":[{{"fieldsV1":{}{}}}]}}}}"#, "[".repeat(depth), "]".repeat(depth));
        for (method, kind) in [
            (Method::POST, "application/json"),
            (Method::POST, "application/yaml"),
            (Method::PATCH, "application/merge-patch+json"),
            (Method::PATCH, "application/strategic-merge-patch+json"),
            (Method::PATCH, "application/apply-patch+yaml"),
            (Method::PATCH, "application/json-patch+json"),
            (Method::DELETE, "application/json"),
            (Method::DELETE, "application/yaml"),
        ] {
            let patch = kind == "application/json-patch+json";
            let body = if patch { format!(r#"[{{"op":"add","path":"/x","value":{deep}}}]"#) } else { deep.clone() };
            let uri = if method == Method::POST { MAPS.to_owned() } else { format!("{MAPS}/a?fieldManager=x") };
            let answer = kit.ask(method, &uri, &[("content-type", kind)], body).await;
            assert_eq!(answer.code.as_u16(), 400, "{depth} {kind}: {}", answer.text());
        }
    }
    assert_eq!(kit.get(&format!("{MAPS}/a")).await.code.as_u16(), 200);
}
