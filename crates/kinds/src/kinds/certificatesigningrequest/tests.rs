//! Requests from the first word to the certificate, as the life cycle changes and checks them.

use base64::Engine;
use jiff::Timestamp;
use meta::{Info, Object, User};
use serde_json::{Value, json};

use super::*;

/// Of joe in `system:masters`, with a key of the curve P-256.
const REQUEST: &str = "\
-----BEGIN CERTIFICATE REQUEST-----\n\
MIHhMIGJAgEAMCcxFzAVBgNVBAoMDnN5c3RlbTptYXN0ZXJzMQwwCgYDVQQDDANq\n\
b2UwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT43w4k7/pTMgaCFHcSguUQaKTt\n\
7iGgOSrwSQsCPIWUT5T+SsPbpQs0U0gsCG1gCTaeSEe/3dFBHBN5nByWbXnYoAAw\n\
CgYIKoZIzj0EAwIDRwAwRAIgYGlCte39PfC9cMnm1ZibtJpSxZzIkvuMicRxrufb\n\
rf8CIADXV4a4Q7MKyGmry518FHxHubd5Np0ULG2QQNWxEmnw\n\
-----END CERTIFICATE REQUEST-----\n\
";

/// Of joe in two organizations, with an RSA key.
const RSA: &str = "\
-----BEGIN CERTIFICATE REQUEST-----\n\
MIICazCCAVMCAQAwJjEKMAgGA1UECgwBYTEKMAgGA1UECgwBYjEMMAoGA1UEAwwD\n\
am9lMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwzxh6zyg+WJRzuY+\n\
UL+/jzXOJDC9IohQijjLU4+uHoLjKyDx1sa53HtFz/9kWigFUT3hN/Y+lKJmxYD0\n\
Z3u1RODaagB6Fl0OZWp41sXxkfVr7YmJ4zOVJxkqfMFUVKEeNYxzQIeRnMujgMzR\n\
cpEoRbNHPRaYUnyk2I59fQkABx3INW9p9sYdpgdYbj7LGIx0vtwVuFNOrfbNozIx\n\
0m1og63mo2z/SVtZGM0PMgRylt2ESR+S5JMfNMBvRB/mNTzp4mroY1UZ8nGbSw/R\n\
YmvKPSjfAPhpiADbCjRqKqdyx7UUj5EfRwTl02/VecoeZk2bvbJcAt+Mb/l3bfmR\n\
EU5b5QIDAQABoAAwDQYJKoZIhvcNAQELBQADggEBAKOoEvpl5KU7SN+cIJRYZTfQ\n\
M1N71KlEN1JL/ID3uLOuG3+gTO79Jw6XKKDIjnRpP7IdHLrNwr3D9Eqnjklm+wOI\n\
kdYlJrBTlMM9j7RnGh4LXmqvvO5oWU/9EgDwyZaeKXNMbt/7JUm4fgWhm7hKddkd\n\
kVaEaa2BvizBbK0hqF8/SkAnS0XI6q/jUzavSP6/acOSacrj2whJjAaKf9XD7RsU\n\
zV4QaXlnEnd77rvNyhZ3az+wYTNRlKNGSp03QuTOyjFDydcsCqu8jvlrq7quDu2K\n\
0RhljgkPQtgKHIGqfQDEvmtePMAks5BbAqVRc2zBgn5fo0CgbRRiieGOlgUgeL8=\n\
-----END CERTIFICATE REQUEST-----\n\
";

const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBbjCCARWgAwIBAgIUAak33aiDB66y/D0Mg4ncxz+yyPswCgYIKoZIzj0EAwIw\n\
DDEKMAgGA1UEAwwBeDAgFw0yNjEyMDExMjE0MjVaGA8yMTI2MTEwNzEyMTQyNVow\n\
DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN8VgeyQBfMi\n\
kL2aLUsA9EEJeLlXYyZaFM0dqSheBkSXJMAHeDysowi7PZiLkOwGIPXDM+Av06EV\n\
Evytj0ZDQEOjUzBRMB0GA1UdDgQWBBRLFA1JQvFN587t3gT8iXvaPk+uDjAfBgNV\n\
HSMEGDAWgBRLFA1JQvFN587t3gT8iXvaPk+uDjAPBgNVHRMBAf8EBTADAQH/MAoG\n\
CCqGSM49BAMCA0cAMEQCIBCI40jZBy4h/NkucdnmLuBhJoObmuKw4ywYmyv0G4S1\n\
AiB7aHlAhpvF5f5mv6KN8dQNkJkEOr1gfHJy3Y5qAPkAIg==\n\
-----END CERTIFICATE-----\n\
";

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn request(change: impl FnOnce(&mut Object)) -> Object {
    let spec = json!({"request": base64(REQUEST), "signerName": "example.com/signer", "usages": ["client auth"]});
    let metadata = json!({"name": "joe", "resourceVersion": "1"});
    let mut made = Object::from_value(json!({"metadata": metadata, "spec": spec, "status": {}})).expect("an object");
    change(&mut made);
    made
}

fn told(errors: &Errors) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn condition(kind: &str, status: &str) -> Value {
    json!({"type": kind, "status": status})
}

fn context() -> Context {
    let user = Info {
        name: "joe".to_owned(),
        uid: "u".to_owned(),
        groups: vec!["g".to_owned()],
        extra: [("k".to_owned(), vec!["v".to_owned()])].into(),
    };
    Context { user: user.into(), now: "2026-01-01T00:00:00Z".parse().expect("a time"), dry_run: false }
}

/// A change of a part, as the life cycle makes it.
fn change(part: &str, old: &Object, change: impl FnOnce(&mut Object)) -> (Object, Vec<String>) {
    let mut new = old.clone();
    change(&mut new);
    let rules = CertificateSigningRequest;
    match part {
        "" => rules.prepare_update(&mut new, old, &context()),
        part => rules.prepare_subresource(part, &mut new, old, &context()),
    }
    let errors = if part.is_empty() { rules.validate_update(&new, old) } else { rules.validate_subresource(part, &new, old) };
    (new, told(&errors))
}

#[test]
fn the_server_says_who_asks() {
    let mut made = request(|made| {
        made.set("spec.username", "admin");
        made.set("spec.uid", "0");
        made.set("spec.groups", json!(["system:masters"]));
        made.set("spec.extra", json!({"a": ["b"]}));
        made.set("status.conditions", json!([condition(APPROVED, "True")]));
    });
    CertificateSigningRequest.prepare_create(&mut made, &context());
    let said = |field: &str| made.at(&format!("spec.{field}")).cloned().unwrap_or_default();
    assert_eq!([said("username"), said("uid")], [json!("joe"), json!("u")]);
    assert_eq!([said("groups"), said("extra")], [json!(["g"]), json!({"k": ["v"]})]);
    assert_eq!(made.at("status"), Some(&json!({})), "nobody comes approved");
    let nobody = Context { user: User::default(), ..context() };
    CertificateSigningRequest.prepare_create(&mut made, &nobody);
    assert_eq!(made.at("spec.extra"), None);
}

#[test]
fn requests_are_signed_by_whoever_has_the_key() {
    assert_eq!(told(&valid::create(&request(|_| {}))), [""; 0]);
    let rsa = request(|made| made.set("spec.request", base64(RSA)));
    assert_eq!(told(&valid::create(&rsa)), [""; 0]);
    let joe = |organizations: &[&str]| {
        Ok(Subject { common_name: "joe".to_owned(), organizations: organizations.iter().map(|name| (*name).to_owned()).collect() })
    };
    assert_eq!((subject(&rsa), subject(&request(|_| {}))), (joe(&["a", "b"]), joe(&["system:masters"])));
    let said = |text: &str| told(&valid::create(&request(|made| made.set("spec.request", base64(text)))));
    let none = "PEM block type must be CERTIFICATE REQUEST";
    assert_eq!(said("x"), [format!("spec.request: Invalid value: \"eA==\": {none}")]);
    assert!(said(CERTIFICATE)[0].ends_with(none));
    // The name is another one than was signed.
    for (text, why) in [(REQUEST, "x509: ECDSA verification failure"), (RSA, "crypto/rsa: verification error")] {
        let der = crate::validate::pem::blocks(text.as_bytes()).remove(0).der;
        let at = der.windows(3).position(|at| at == b"joe").expect("his name");
        let mut forged = der.clone();
        forged[at..at + 3].copy_from_slice(b"jim");
        let forged = base64::engine::general_purpose::STANDARD.encode(forged);
        let said = said(&format!("-----BEGIN CERTIFICATE REQUEST-----\n{forged}\n-----END CERTIFICATE REQUEST-----\n"));
        assert!(said.len() == 1 && said[0].ends_with(why), "{said:?}");
    }
    let cut = said("-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n");
    assert!(cut.len() == 1 && cut[0].contains("asn1: structure error"), "{cut:?}");
}

#[test]
fn requests_are_wrong_in_upstreams_words() {
    let said = |path: &str, value: Value| told(&valid::create(&request(|made| made.set(path, value))));
    assert_eq!(said("spec.usages", json!([])), ["spec.usages: Required value"]);
    let usages = said("spec.usages", json!(["client auth", "fly", "client auth"]));
    assert!(usages[0].starts_with(r#"spec.usages[1]: Unsupported value: "fly": supported values: "any", "cert sign", "client auth", "#), "{usages:?}");
    assert_eq!(usages[1..], [r#"spec.usages[2]: Duplicate value: "client auth""#]);
    let short = "may not specify a duration less than 600 seconds (10 minutes)";
    assert_eq!(said("spec.expirationSeconds", json!(599)), [format!("spec.expirationSeconds: Invalid value: 599: {short}")]);
    assert_eq!(said("spec.expirationSeconds", json!(600)), [""; 0]);
    assert_eq!(said("spec.signerName", json!("")), ["spec.signerName: Required value"]);
    let legacy = r#"spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed via this API version"#;
    assert_eq!(said("spec.signerName", json!("kubernetes.io/legacy-unknown")), [legacy]);
    let form = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    assert_eq!(said("spec.signerName", json!("a.b")), [format!(r#"spec.signerName: Invalid value: "a.b": {form}"#)]);
    assert_eq!(said("spec.signerName", json!("a/b")), [r#"spec.signerName: Invalid value: "a": should be a domain with at least two segments separated by dots"#]);
    let label = said("spec.signerName", json!("a.b/c.D"));
    assert!(label.len() == 1 && label[0].starts_with(r#"spec.signerName: Invalid value: "c.D": validating label "D": a lowercase RFC 1123 subdomain"#), "{label:?}");
}

#[test]
fn the_object_itself_does_not_change() {
    let old = request(|_| {});
    let (new, errors) = change("", &old, |new| {
        new.set("spec.signerName", "example.com/other");
        new.set("status.conditions", json!([condition(APPROVED, "True")]));
        new.set("metadata.labels", json!({"a": "b"}));
    });
    assert_eq!(errors, [""; 0]);
    assert_eq!((new.at("spec"), new.at("status")), (old.at("spec"), old.at("status")));
    assert_eq!(new.label("a"), Some("b"));
}

#[test]
fn an_approval_changes_conditions_alone() {
    let old = request(|_| {});
    let (approved, errors) = change("approval", &old, |new| {
        new.set("status", json!({"conditions": [condition(APPROVED, "True")], "certificate": base64(CERTIFICATE)}));
        new.set("spec.usages", json!(["any"]));
    });
    assert_eq!(errors, [""; 0]);
    let now = "2026-01-01T00:00:00Z";
    let wanted = json!({"conditions": [{"type": "Approved", "status": "True", "lastUpdateTime": now, "lastTransitionTime": now}]});
    assert_eq!((approved.at("status"), approved.at("spec")), (Some(&wanted), old.at("spec")));
    let (_, errors) = change("approval", &approved, |new| drop(new.remove("status.conditions")));
    assert_eq!(errors, [r#"status.conditions: Forbidden: updates may not remove a condition of type "Approved""#]);
    let (_, errors) = change("approval", &approved, |new| {
        let both = json!([approved.list_at("status.conditions")[0], condition(DENIED, "False"), condition("", "")]);
        new.set("status.conditions", both);
    });
    assert_eq!(errors, [
        r#"status.conditions[1].status: Unsupported value: "False": supported values: "True""#,
        r#"status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive"#,
        "status.conditions[2].type: Required value",
        "status.conditions[2].status: Required value",
    ]);
}

#[test]
fn a_status_brings_a_certificate_once() {
    let approved = request(|made| made.set("status.conditions", json!([condition(APPROVED, "True")])));
    let issue = |old: &Object, text: &str| {
        change("status", old, |new| new.set("status.certificate", base64(text)))
    };
    let (issued, errors) = issue(&approved, CERTIFICATE);
    assert_eq!(errors, [""; 0]);
    assert_eq!(issue(&issued, &format!("{CERTIFICATE}{CERTIFICATE}")).1, [
        "status.certificate: Forbidden: updates may not modify existing certificate content",
    ]);
    let wrong = r#"status.certificate: Invalid value: "<certificate data>": "#;
    assert_eq!(issue(&approved, "x").1, [format!("{wrong}must contain at least one CERTIFICATE PEM block")]);
    assert_eq!(issue(&approved, REQUEST).1, [format!(r#"{wrong}only CERTIFICATE PEM blocks are allowed, found "CERTIFICATE REQUEST""#)]);
    // What was approved stays so, and nobody else approves.
    let (same, errors) = change("status", &approved, |new| {
        new.set("status.conditions", json!([{"type": APPROVED, "status": "True", "reason": "mine"}, condition(FAILED, "True")]));
    });
    assert_eq!(errors, [""; 0]);
    assert_eq!(same.list_at("status.conditions")[0].get("reason"), None);
    let (_, errors) = change("status", &request(|_| {}), |new| new.set("status.conditions", json!([condition(DENIED, "True")])));
    assert_eq!(errors, [r#"status.conditions: Forbidden: updates may not add a condition of type "Denied""#]);
}

#[test]
fn its_row_says_what_became_of_it() {
    let cells = |made: &Object| CertificateSigningRequest.row(made, &Now::at(Timestamp::UNIX_EPOCH));
    let made = request(|made| {
        made.set("spec.username", "joe");
        made.set("spec.expirationSeconds", 3600);
        made.set("status", json!({"conditions": [condition(APPROVED, "True"), condition(FAILED, "True")], "certificate": "eA=="}));
    });
    assert_eq!(cells(&made)[2..], [json!("example.com/signer"), json!("joe"), json!("60m"), json!("Approved,Failed,Issued")]);
    assert_eq!(cells(&request(|_| {}))[4..], [json!("<none>"), json!("Pending")]);
}
