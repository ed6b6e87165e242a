//! What is accepted, and how the rest is refused.

use serde_json::json;

use super::schema;
use crate::{yaml_documents, yaml_to_json};

fn strict(kind: (&str, &str, &str), text: &str) -> Vec<String> {
    schema(kind.0, kind.1, kind.2).decode_json(text.as_bytes()).expect("decodes").strict_errors
}

fn refusal(kind: (&str, &str, &str), text: &str) -> String {
    schema(kind.0, kind.1, kind.2).decode_json(text.as_bytes()).expect_err("is refused").0
}

const DEPLOYMENT: (&str, &str, &str) = ("apps", "v1", "Deployment");
const POD: (&str, &str, &str) = ("", "v1", "Pod");
const CONFIG_MAP: (&str, &str, &str) = ("", "v1", "ConfigMap");

#[test]
fn unknown_and_duplicate_fields_are_told_apart() {
    let text = r#"{"spec":{"foo":1,"replicas":1,"replicas":2,"Replicas":3,"template":{"spec":{"containers":[{"name":"a","x":{"y":1}},{"name":"b","name":"c"}]}}},"metadata":{"labels":{"a":"1","a":"2"}},"bar":[]}"#;
    assert_eq!(
        strict(DEPLOYMENT, text),
        [
            r#"unknown field "spec.foo""#,
            r#"duplicate field "spec.replicas""#,
            r#"unknown field "spec.Replicas""#,
            r#"unknown field "spec.template.spec.containers[0].x""#,
            r#"duplicate field "spec.template.spec.containers[1].name""#,
            r#"duplicate field "metadata.labels.a""#,
            r#"unknown field "bar""#,
        ]
    );
    let object = schema("apps", "v1", "Deployment").decode_json(text.as_bytes()).expect("decodes").object;
    assert_eq!(object.i64_at("spec.replicas"), Some(2));
    assert_eq!(object.at("bar"), None);
}

#[test]
fn wrong_types_are_refused_in_go_words() {
    for (kind, text, expected) in [
        (DEPLOYMENT, r#"{"spec":{"replicas":"3"}}"#, "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        (DEPLOYMENT, r#"{"spec":{"replicas":1.5}}"#, "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        (CONFIG_MAP, r#"{"data":{"a":1}}"#, "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        (CONFIG_MAP, r#"{"data":[]}"#, "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string"),
        (CONFIG_MAP, r#"{"binaryData":{"a":"$"}}"#, "illegal base64 data at input byte 0"),
        (POD, r#"{"spec":{"containers":{}}}"#, "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"),
        (POD, r#"{"spec":{"containers":["a"]}}"#, "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container"),
        (POD, r#"{"spec":{"volumes":[{"secret":1}]}}"#, "json: cannot unmarshal number into Go struct field Volume.spec.volumes.VolumeSource.secret of type v1.SecretVolumeSource"),
        (POD, r#"{"spec":{"restartPolicy":true}}"#, "json: cannot unmarshal bool into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy"),
        (CONFIG_MAP, r#"{"metadata":{"creationTimestamp":"x"}}"#, r#"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#),
        (CONFIG_MAP, r#"{"binaryData":{"a":[1,300]}}"#, "json: cannot unmarshal number 300 into Go struct field ConfigMap.binaryData of type uint8"),
        (CONFIG_MAP, r#"{"kind":1}"#, "json: cannot unmarshal number into Go struct field ConfigMap.TypeMeta.kind of type string"),
        (CONFIG_MAP, "[]", "json: cannot unmarshal array into Go value of type v1.ConfigMap"),
        (CONFIG_MAP, r#"{"data":}"#, "couldn't get version/kind; json parse error: invalid character '}' looking for beginning of value"),
        (CONFIG_MAP, r#"{"data":{"a":"b" "c"}}"#, "couldn't get version/kind; json parse error: invalid character '\"' after object key:value pair"),
        (CONFIG_MAP, r#"{"data""#, "couldn't get version/kind; json parse error: unexpected end of JSON input"),
        (CONFIG_MAP, "{} x", "couldn't get version/kind; json parse error: invalid character 'x' after top-level value"),
    ] {
        assert_eq!(refusal(kind, text), expected, "{text}");
    }
    let quantity = r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"1x1"}}}]}}"#;
    assert!(refusal(POD, quantity).starts_with("quantities must match the regular expression"));
}

#[test]
fn values_become_what_go_would_print() {
    let pod = schema("", "v1", "Pod");
    let text = r#"{"metadata":{"creationTimestamp":"2026-01-01T02:00:00+02:00","labels":{},"name":null,"annotations":{"n":null}},
        "spec":{"nodeSelector":null,"hostPID":false,"containers":[{"name":"\u0061\ud83d\ude00","image":"","resources":{"limits":{"cpu":"1000m","memory":1024}},"env":[null]}],"tolerations":[{"tolerationSeconds":0}]}}"#;
    let decoded = pod.decode_json(text.as_bytes()).expect("decodes");
    assert_eq!(decoded.strict_errors, Vec::<String>::new());
    assert_eq!(
        decoded.object.into_value(),
        json!({
            "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"n": ""}},
            "spec": {
                "containers": [{"name": "a😀", "resources": {"limits": {"cpu": "1", "memory": "1024"}}, "env": [{}]}],
                "tolerations": [{"tolerationSeconds": 0}],
            },
        })
    );
}

#[test]
fn yaml_is_read_as_upstream_reads_it() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  a: |\n    x\n  b: \"true\"\n  1: w\n  a: z\nfoo: 1\n";
    let decoded = schema("", "v1", "ConfigMap").decode_yaml(text.as_bytes()).expect("decodes");
    assert_eq!(decoded.object.at("data"), Some(&json!({"1": "w", "a": "z", "b": "true"})));
    assert_eq!(
        decoded.strict_errors,
        ["yaml: unmarshal errors:\n  line 10: key \"a\" already set in map", r#"unknown field "foo""#]
    );
    assert!(schema("", "v1", "ConfigMap").decode_yaml(b"a: [").is_err());
}

#[test]
fn yaml_scalars_are_those_of_yaml_1_1() {
    let read = |text: &str| yaml_to_json(text).map(|(value, _)| value);
    for (text, expected) in [
        ("a: 0644", json!({"a": 420})),
        ("a: 0o644", json!({"a": 420})),
        ("a: 0x1F", json!({"a": 31})),
        ("a: yes", json!({"a": true})),
        ("a: off", json!({"a": false})),
        ("a: ~", json!({"a": null})),
        ("a: 2001-01-01", json!({"a": "2001-01-01"})),
        ("a: !!str 1", json!({"a": "1"})),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", json!({"a": {"b": 1}, "c": {"b": 1, "d": 2}})),
        ("# first\n---\na: 1\n--- # second\nb: 2\n", json!({"a": 1})),
    ] {
        assert_eq!(read(text), Ok(expected), "{text}");
    }
    let error = "yaml: line 2: mapping values are not allowed in this context";
    assert_eq!(read("a: b\n c: d"), Err(error.to_owned()));
    assert_eq!(yaml_documents("---\n# x\n---\na: 1\n---\n---\nb: |\n  --- x\n").count(), 2);
    let deployment = schema("apps", "v1", "Deployment").decode_yaml(b"spec: {replicas: 3.0}").expect("decodes").object;
    assert_eq!(deployment.at("spec.replicas"), Some(&json!(3)));
}

#[test]
fn depth_is_limited_before_the_stack_is() {
    let nested = |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
    let config_map = schema("", "v1", "ConfigMap");
    let text = format!(r#"{{"unknown":{}}}"#, nested("[", "]", 100_000));
    assert!(config_map.decode_json(text.as_bytes()).expect_err("too deep").0.ends_with("exceeded max depth"));
    assert!(config_map.decode_yaml(nested("[", "]", 10_000).as_bytes()).is_err());
    assert!(config_map.decode_yaml("- ".repeat(10_000).as_bytes()).is_err());
}

#[test]
fn names_within_names_keep_no_more_than_a_few_bodies() {
    let nested = |levels: usize, inner: &str| {
        let open: String = (0..levels).map(|level| format!("&a{level} [")).collect();
        format!("{open}{inner}{}", "]".repeat(levels))
    };
    let refused = Err("yaml: document contains excessive aliasing".to_owned());
    let text = "x".repeat(200 << 10);
    assert!(yaml_to_json(&nested(3, &text)).is_ok());
    assert_eq!(yaml_to_json(&nested(100, &text)), refused);
    let many = "[],".repeat(20_000);
    assert!(yaml_to_json(&nested(3, &many)).is_ok());
    assert_eq!(yaml_to_json(&nested(100, &many)), refused, "nodes that have no text count as well");
}

#[test]
fn aliases_make_no_more_than_a_body() {
    let read = |text: &str| yaml_to_json(text).map(|(value, _)| value);
    let text = |length: usize, aliases: usize| format!("a: &x {}\nb: [{}]\n", "y".repeat(length), vec!["*x"; aliases].join(","));
    assert!(read(&text(1000, 1000)).is_ok());
    let error = "yaml: document contains excessive aliasing";
    assert_eq!(read(&text(1 << 20, 10)).expect_err("too much text"), error);
    let level = |n: usize| format!("l{}: &l{} [{}]\n", n + 1, n + 1, vec![format!("*l{n}"); 10].join(","));
    let bomb: String = std::iter::once("l0: &l0 [a]\n".to_owned()).chain((0..9).map(level)).collect();
    assert_eq!(read(&bomb).expect_err("too many nodes"), error);
    assert_eq!(read("a: &x [*x]").expect_err("a ring"), "yaml: anchor value contains itself");
    assert_eq!(read("a: .nan").expect_err("no number"), "yaml: json: unsupported value: NaN");
    assert_eq!(read("null: a").expect_err("no name"), "yaml: unsupported map key of type: nil, key: <nil>");
}

#[test]
fn what_is_not_closed_lacks_an_item_or_an_end() {
    let wrong = |text: &str| yaml_to_json(text).expect_err("broken");
    assert_eq!(wrong("a: [b\n"), "yaml: line 1: did not find expected ',' or ']'");
    assert_eq!(wrong("a: b\nc: [d,\n"), "yaml: line 2: did not find expected node content");
}
