//! Requests for certificates, from the first word to the certificate.

mod kit;

use base64::Engine;
use http::Method;
use kit::{Answer, Kit};
use meta::{Info, User};
use serde_json::{Value, json};

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// Of joe, with a key that is gone.
const REQUEST: &str = "\
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

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn joe() -> User {
    let groups = vec!["devs".to_owned(), "system:authenticated".to_owned()];
    let extra = [("example.com/key".to_owned(), vec!["value".to_owned()])].into();
    Info { name: "joe".to_owned(), uid: "7".to_owned(), groups, extra }.into()
}

async fn grant(kit: &Kit, name: &str, user: &str, rules: Value) {
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = kit.post(&format!("{rbac}/clusterroles"), json!({"metadata": {"name": name}, "rules": rules})).await;
    assert_eq!(role.code, 201, "{}", role.text());
    let to = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
    let subjects = json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}]);
    let binding = json!({"metadata": {"name": name}, "roleRef": to, "subjects": subjects});
    assert_eq!(kit.post(&format!("{rbac}/clusterrolebindings"), binding).await.code, 201);
}

/// The answer, once what was granted is known.
async fn allowed(ask: impl AsyncFn() -> Answer) -> Answer {
    loop {
        let answer = ask().await;
        if answer.code != 403 {
            return answer;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_request_is_made_approved_and_signed() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::guarded(directory.path()).await;
    let all = json!([{"verbs": ["*"], "apiGroups": ["certificates.k8s.io"], "resources":
        ["certificatesigningrequests", "certificatesigningrequests/approval", "certificatesigningrequests/status"]}]);
    grant(&kit, "requests", "joe", all).await;
    let spec = json!({"request": base64(REQUEST), "signerName": "example.com/signer", "usages": ["client auth"], "username": "admin",
        "groups": ["system:masters"], "expirationSeconds": 3600});
    let asked = json!({"kind": "CertificateSigningRequest", "apiVersion": "certificates.k8s.io/v1", "metadata": {"name": "joe", "labels": {"a": "b"}}, "spec": spec});
    let made = allowed(async || kit.ask_as(joe(), Method::POST, REQUESTS, &[], asked.to_string()).await).await;
    assert_eq!(made.code, 201, "{}", made.text());
    let spec = made.json()["spec"].clone();
    assert_eq!((&spec["username"], &spec["uid"], &spec["groups"]), (&json!("joe"), &json!("7"), &json!(["devs", "system:authenticated"])));
    assert_eq!(spec["extra"], json!({"example.com/key": ["value"]}));
    assert_eq!(made.json()["status"], json!({}));
    let one = format!("{REQUESTS}/joe");
    // Who may write requests may not approve them.
    let conditions = json!({"conditions": [{"type": "Approved", "status": "True", "reason": "R", "message": "m"}]});
    let merge = [("content-type", "application/merge-patch+json")];
    let patch = json!({"status": conditions}).to_string();
    let refused = kit.ask_as(joe(), Method::PATCH, &format!("{one}/approval"), &merge, patch.clone()).await;
    let words = r#"is forbidden: user not permitted to approve requests with signerName \"example.com/signer\""#;
    assert!(refused.code == 403 && refused.text().contains(words), "{}", refused.text());
    grant(&kit, "signers", "joe", json!([{"verbs": ["approve", "sign"], "apiGroups": ["certificates.k8s.io"],
        "resources": ["signers"], "resourceNames": ["example.com/*"]}])).await;
    let approval = format!("{one}/approval?fieldManager=m");
    let approved = allowed(async || kit.ask_as(joe(), Method::PATCH, &approval, &merge, patch.clone()).await).await;
    assert_eq!(approved.code, 200, "{}", approved.text());
    let condition = approved.json()["status"]["conditions"][0].clone();
    assert!(condition["lastUpdateTime"].is_string() && condition["lastTransitionTime"] == condition["lastUpdateTime"], "{condition}");
    let manager = approved.json()["metadata"]["managedFields"].as_array().into_iter().flatten().find(|m| m["manager"] == "m").cloned();
    let manager = manager.unwrap_or_default();
    assert_eq!(manager["subresource"], "approval", "{}", approved.text());
    assert!(manager["fieldsV1"]["f:status"]["f:conditions"].is_object(), "{manager}");
    // The certificate comes by the status.
    let certificate = kit.pki.cluster().certificate_pem();
    let patch = json!({"status": {"certificate": base64(certificate), "conditions": []}, "spec": {"usages": ["any"]}}).to_string();
    let signed = kit.ask_as(joe(), Method::PATCH, &format!("{one}/status"), &merge, patch).await;
    assert_eq!(signed.code, 422, "approved for good: {}", signed.text());
    let patch = json!({"status": {"certificate": base64(certificate)}, "spec": {"usages": ["any"]}}).to_string();
    let signed = kit.ask_as(joe(), Method::PATCH, &format!("{one}/status"), &merge, patch).await;
    assert_eq!(signed.code, 200, "{}", signed.text());
    assert_eq!((&signed.json()["spec"], &signed.json()["status"]["certificate"]), (&spec, &json!(base64(certificate))));
    // Lists, tables, and what is left.
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let found = kit.ask(Method::GET, &format!("{REQUESTS}?fieldSelector=spec.signerName%3Dexample.com/signer"), &table, "").await.json();
    let cells = found["rows"][0]["cells"].as_array().cloned().unwrap_or_default();
    assert_eq!((&cells[0], &cells[2..]), (&json!("joe"), &[json!("example.com/signer"), json!("joe"), json!("60m"), json!("Approved,Issued")][..]));
    let none = kit.get(&format!("{REQUESTS}?fieldSelector=spec.signerName%3Dexample.com/other")).await.json();
    assert_eq!(none["items"], json!([]));
    let gone = kit.ask_as(joe(), Method::DELETE, REQUESTS, &[], "").await;
    assert_eq!(gone.code, 200, "{}", gone.text());
    assert_eq!(kit.get(&one).await.code, 404);
}
