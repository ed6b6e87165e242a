//! The whole line in one process: requests as values, a store in memory.

mod kit;

use auth::identity;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use kit::Kit;
use meta::User;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn kit() -> (Kit, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("directory");
    (Kit::new(directory.path()).await, directory)
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}})
}

#[tokio::test]
async fn objects_are_created_read_listed_and_deleted() {
    let (kit, _directory) = kit().await;
    let created = kit.post(MAPS, map("a")).await;
    assert_eq!(created.code, StatusCode::CREATED, "{}", created.text());
    assert_eq!(created.header("content-type"), "application/json");
    assert!(!created.header("audit-id").is_empty());
    let again = kit.post(MAPS, map("a")).await;
    assert_eq!((again.code.as_u16(), &again.json()["reason"]), (409, &json!("AlreadyExists")));

    let got = kit.get(&format!("{MAPS}/a")).await;
    assert_eq!(got.body, created.body);
    let list = kit.get(MAPS).await.json();
    assert_eq!((&list["kind"], &list["items"][0]["metadata"]["name"]), (&json!("ConfigMapList"), &json!("a")));
    assert!(list["items"][0].get("kind").is_none(), "items of a list carry no type");

    let changed = kit
        .ask(
            Method::PATCH,
            &format!("{MAPS}/a"),
            &[("content-type", "application/merge-patch+json")],
            r#"{"data":{"a":"c"}}"#,
        )
        .await;
    assert_eq!((changed.code.as_u16(), &changed.json()["data"]["a"]), (200, &json!("c")));
    let gone = kit.ask(Method::DELETE, &format!("{MAPS}/a"), &[], "").await;
    assert_eq!((&gone.json()["status"], &gone.json()["details"]["kind"]), (&json!("Success"), &json!("configmaps")));
    let missing = kit.get(&format!("{MAPS}/a")).await;
    assert_eq!((missing.code.as_u16(), &missing.json()["message"]), (404, &json!("configmaps \"a\" not found")));
}

#[tokio::test]
async fn unknown_fields_warn_or_refuse() {
    let (kit, _directory) = kit().await;
    let mut odd = map("a");
    odd["spek"] = json!(1);
    let refused = kit.post(&format!("{MAPS}?fieldValidation=Strict"), odd.clone()).await;
    assert_eq!(
        refused.json()["message"],
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"spek\""
    );
    let warned = kit.post(MAPS, odd).await;
    assert_eq!(warned.header("warning"), r#"299 - "unknown field \"spek\"""#);
    let other = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}});
    assert_eq!(
        kit.post(MAPS, other).await.json()["message"],
        "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): \
         unknown conversion"
    );
}

#[tokio::test]
async fn forms_are_negotiated() {
    let (kit, _directory) = kit().await;
    kit.post(MAPS, map("a")).await;
    let accept = async |accept: &str| kit.ask(Method::GET, MAPS, &[("accept", accept)], "").await;
    let table = accept("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").await.json();
    assert_eq!(table["kind"], "Table");
    assert_eq!((&table["columnDefinitions"][0]["name"], &table["rows"][0]["cells"][0]), (&json!("Name"), &json!("a")));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let partial = accept("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io").await.json();
    assert!(partial["items"][0]["metadata"]["name"] == "a" && partial["items"][0].get("data").is_none());
    let yaml = accept("application/yaml").await;
    assert!(yaml.text().contains("kind: ConfigMapList"), "{}", yaml.text());
    assert_eq!(accept("text/html").await.code.as_u16(), 406);
    let odd = kit.ask(Method::POST, MAPS, &[("content-type", "text/xml")], "<a/>").await;
    assert_eq!(
        odd.json()["message"],
        "the body of the request was in an unknown format - accepted media types include: application/json, \
         application/yaml, application/vnd.kubernetes.protobuf"
    );
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n";
    assert_eq!(kit.ask(Method::POST, MAPS, &[("content-type", "application/yaml")], yaml).await.code.as_u16(), 201);
}

#[tokio::test]
async fn protobuf_goes_in_and_out() {
    let (kit, _directory) = kit().await;
    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
    kit.post(MAPS, map("a")).await;
    let both = [("accept", "application/vnd.kubernetes.protobuf,application/json"), ("content-type", PROTOBUF)];
    let one = kit.ask(Method::GET, &format!("{MAPS}/a"), &both, "").await;
    assert_eq!((one.header("content-type"), &one.body[..4]), (PROTOBUF, &b"k8s\0"[..]));
    let same = kit.ask(Method::PUT, &format!("{MAPS}/a"), &both, one.body.clone()).await;
    assert_eq!((same.code, same.body), (StatusCode::OK, one.body));
    let list = kit.ask(Method::GET, MAPS, &both, "").await;
    assert!(list.body.starts_with(b"k8s\0") && list.body.windows(13).any(|w| w == b"ConfigMapList"));
    let refused = kit.ask(Method::POST, MAPS, &both, "{}").await;
    assert!(refused.code == StatusCode::BAD_REQUEST && refused.body.starts_with(b"k8s\0"), "{:?}", refused.body);
}

#[tokio::test]
async fn a_watch_sends_what_happens() {
    let (kit, _directory) = kit().await;
    let uri = format!("{MAPS}?watch=1");
    let request = Request::builder().uri(&uri).body(transport::empty()).expect("request");
    let response = kit.server.transport_as(identity::api_server()).send(request).await.expect("answers");
    let mut body = response.into_body();
    let mut next = async || {
        let frame = body.frame().await.expect("goes on").expect("is well").into_data().expect("is data");
        serde_json::from_slice::<Value>(frame.split(|b| *b == b'\n').next().expect("a line")).expect("is JSON")
    };
    kit.post(MAPS, map("a")).await;
    let added = next().await;
    assert_eq!((&added["type"], &added["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("a")));
    kit.ask(Method::DELETE, &format!("{MAPS}/a"), &[], "").await;
    assert_eq!(next().await["type"], "DELETED");
    kit.server.stop();
    assert!(body.frame().await.is_none(), "the watch ends with the server");
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let (kit, _directory) = kit().await;
    let jane = User::new("jane", &[identity::AUTHENTICATED]);
    let refused = kit.ask_as(jane.clone(), Method::GET, MAPS, &[], "").await;
    assert_eq!(refused.code, StatusCode::FORBIDDEN);
    assert_eq!(
        refused.json()["message"],
        "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the \
         namespace \"default\""
    );
    let review = |user: &str| {
        let attributes = json!({"verb": "list", "resource": "configmaps", "namespace": "default"});
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes}})
    };
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let answer = kit.post(path, review("jane")).await;
    assert_eq!((answer.code.as_u16(), &answer.json()["status"]["allowed"]), (201, &json!(false)));
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    assert_eq!(kit.ask(Method::POST, path, &table, review("jane").to_string()).await.code.as_u16(), 406);
    let as_jane = kit.ask(Method::GET, MAPS, &[("impersonate-user", "jane")], "").await;
    assert_eq!(as_jane.code, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn paths_that_are_none_are_refused_like_upstream() {
    let (kit, _directory) = kit().await;
    for (method, path, code, body) in [
        (Method::GET, "/nothing", 404, "404 page not found"),
        (Method::GET, "/apis/none.example.com/v1/things", 404, "404 page not found"),
        (Method::GET, "/api/v1/things", 404, "the server could not find the requested resource"),
        (Method::GET, "/api/v1/pods/a", 404, "the server could not find the requested resource"),
        (Method::POST, "/api/v1/pods", 405, "the server does not allow this method on the requested resource"),
        (Method::PUT, MAPS, 405, "the server does not allow this method on the requested resource"),
        (Method::GET, "/healthz", 200, "ok"),
        (Method::GET, "/readyz/ping", 200, "ok"),
        (Method::GET, "/livez?verbose", 200, "[+]ping ok\nlivez check passed"),
        (Method::GET, "/version", 200, r#""gitVersion": "v1.36.3""#),
        (Method::GET, "/metrics", 200, "apiserver_request_total{"),
        (Method::GET, "/openid/v1/jwks", 200, "RS256"),
        (Method::GET, "/api/", 200, "APIVersions"),
    ] {
        let answer = kit.ask(method, path, &[], "").await;
        assert!(
            answer.code.as_u16() == code && answer.text().contains(body),
            "{path}: {} {}",
            answer.code,
            answer.text()
        );
    }
}

#[tokio::test]
async fn discovery_names_what_is_served() {
    let (kit, _directory) = kit().await;
    let core = kit.get("/api/v1").await.json();
    let pods = core["resources"].as_array().and_then(|r| r.iter().find(|r| r["name"] == "pods")).cloned();
    assert_eq!(pods.map(|p| p["storageVersionHash"].clone()), Some(json!("xPOwRZ+Yhw8=")));
    let wanted = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let groups = kit.ask(Method::GET, "/apis", &[("accept", wanted)], "").await;
    assert!(groups.header("content-type").ends_with("as=APIGroupDiscoveryList"));
    assert_eq!(groups.json()["items"][0]["metadata"]["name"], "apps");
    let tag = groups.header("etag").to_owned();
    let same = kit.ask(Method::GET, "/apis", &[("accept", wanted), ("if-none-match", &tag)], "").await;
    assert_eq!((same.code, same.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(kit.get("/apis").await.json()["kind"], "APIGroupList");
}

#[tokio::test]
async fn a_scale_has_columns_of_its_own() {
    let (kit, _directory) = kit().await;
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": template});
    let made = kit.post(deployments, json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec})).await;
    assert_eq!(made.code.as_u16(), 201, "{}", made.text());
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = kit.ask(Method::GET, &format!("{deployments}/d/scale"), &accept, "").await.json();
    let names: Vec<&Value> = table["columnDefinitions"].as_array().expect("columns").iter().map(|c| &c["name"]).collect();
    assert_eq!(json!(names), json!(["Name", "Desired", "Available", "Age"]));
    assert_eq!(table["rows"][0]["cells"].as_array().map(|cells| &cells[..3]), Some(&[json!("d"), json!(3), json!(0)][..]));
    let status = kit.ask(Method::GET, &format!("{deployments}/d/status"), &accept, "").await.json();
    assert_eq!(status["columnDefinitions"][1]["name"], "Ready");
}
