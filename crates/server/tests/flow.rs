//! Priority and fairness over the API: its kinds, its configuration, and what it does to requests.

mod kit;

use auth::identity;
use http::Method;
use kit::Kit;
use meta::User;
use serde_json::{Value, json};

const LEVELS: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations";
const SCHEMAS: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";

async fn kit() -> (Kit, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("directory");
    (Kit::new(directory.path()).await, directory)
}

fn schema(name: &str, level: &str) -> Value {
    let subjects = json!([{"kind": "User", "user": {"name": "jane"}}]);
    let all = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true}]);
    json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": {"name": name},
        "spec": {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": 50,
            "rules": [{"subjects": subjects, "resourceRules": all}]}})
}

fn level(name: &str) -> Value {
    let limited = json!({"nominalConcurrencyShares": 2, "limitResponse": {"type": "Queue", "queuing": {}}});
    json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration",
        "metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}})
}

#[tokio::test]
async fn the_configuration_of_every_cluster_is_there_and_comes_back() {
    let (kit, _directory) = kit().await;
    let names = async |path: &str| {
        let list = kit.get(path).await.json();
        list["items"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((names(LEVELS).await, names(SCHEMAS).await), (8, 11));
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let rows = kit.ask(Method::GET, &format!("{LEVELS}/workload-low"), &table, "").await.json();
    let cells = rows["rows"][0]["cells"].as_array().cloned().unwrap_or_default();
    assert_eq!(cells[..6], [json!("workload-low"), json!("Limited"), json!(100), json!(128), json!(6), json!(50)]);
    let refused = kit.ask(Method::PATCH, &format!("{SCHEMAS}/exempt"), &[("content-type", "application/merge-patch+json")],
        r#"{"spec":{"matchingPrecedence":3}}"#).await;
    assert!(refused.code.as_u16() == 422 && refused.text().contains("must equal the fixed value"), "{}", refused.text());
    assert!(kit.ask(Method::DELETE, &format!("{SCHEMAS}/catch-all"), &[], "").await.code.is_success());
    while kit.get(&format!("{SCHEMAS}/catch-all")).await.code.as_u16() == 404 {
        tokio::task::yield_now().await;
    }
    let status = loop {
        let status = kit.get(&format!("{SCHEMAS}/catch-all")).await.json()["status"].clone();
        if status["conditions"][0]["type"] == "Dangling" {
            break status;
        }
    };
    assert_eq!((&status["conditions"][0]["status"], &status["conditions"][0]["reason"]), (&json!("False"), &json!("Found")));
}

#[tokio::test]
async fn both_kinds_live_like_others() {
    let (kit, _directory) = kit().await;
    let merge = [("content-type", "application/merge-patch+json")];
    for (path, object, spec) in [
        (LEVELS, level("a"), json!({"spec": {"limited": {"nominalConcurrencyShares": 4}}})),
        (SCHEMAS, schema("a", "none"), json!({"spec": {"matchingPrecedence": 60}})),
    ] {
        let one = format!("{path}/a");
        let created = kit.post(path, object).await;
        assert_eq!(created.code.as_u16(), 201, "{}", created.text());
        let created = created.json();
        assert_eq!(created["metadata"]["generation"], 1);
        let patched = kit.ask(Method::PATCH, &one, &merge, spec.to_string()).await.json();
        assert_eq!(patched["metadata"]["generation"], 2, "{patched}");
        let condition = json!({"status": {"conditions": [{"type": "Test", "status": "True", "reason": "r"}]}});
        let stated = kit.ask(Method::PATCH, &format!("{one}/status"), &merge, condition.to_string()).await;
        assert_eq!(stated.code.as_u16(), 200, "{}", stated.text());
        let mut stated = stated.json();
        assert_eq!((&stated["status"]["conditions"][0]["type"], &stated["metadata"]["generation"]), (&json!("Test"), &json!(2)));
        stated["metadata"]["annotations"] = json!({"x": "y"});
        stated["status"] = json!({});
        let written = kit.ask(Method::PUT, &one, &[], stated.to_string()).await.json();
        assert_eq!((&written["metadata"]["annotations"]["x"], &written["status"]["conditions"][0]["type"]), (&json!("y"), &json!("Test")));
        let gone = kit.ask(Method::DELETE, &format!("{path}?fieldSelector=metadata.name%3Da"), &[], "").await;
        assert_eq!(gone.code.as_u16(), 200, "{}", gone.text());
        assert_eq!(kit.get(&one).await.code.as_u16(), 404);
    }
}

#[tokio::test]
async fn answers_say_how_the_request_was_classified() {
    let (kit, _directory) = kit().await;
    let jane = || User::new("jane", &[identity::AUTHENTICATED]);
    let uid = async |path: String| kit.get(&path).await.json()["metadata"]["uid"].as_str().unwrap_or("").to_owned();
    let classified = async |user: User, path: &str| {
        let answer = kit.ask_as(user, Method::GET, path, &[], "").await;
        let header = |name: &str| answer.header(name).to_owned();
        (header("x-kubernetes-pf-flowschema-uid"), header("x-kubernetes-pf-prioritylevel-uid"))
    };
    let default = (uid(format!("{SCHEMAS}/global-default")).await, uid(format!("{LEVELS}/global-default")).await);
    assert_eq!(classified(jane(), "/api/v1/pods").await, default);
    let probes = (uid(format!("{SCHEMAS}/probes")).await, uid(format!("{LEVELS}/exempt")).await);
    assert_eq!(classified(jane(), "/readyz").await, probes);
    assert!(kit.post(LEVELS, level("janes")).await.code.is_success());
    assert!(kit.post(SCHEMAS, schema("janes", "janes")).await.code.is_success());
    let own = (uid(format!("{SCHEMAS}/janes")).await, uid(format!("{LEVELS}/janes")).await);
    // The server follows a watch: a moment may pass.
    while classified(jane(), "/api/v1/pods").await != own {
        tokio::task::yield_now().await;
    }
    for (page, begin) in [
        ("dump_priority_levels", "PriorityLevelName, ActiveQueues,"),
        ("dump_queues", "PriorityLevelName, Index,"),
        ("dump_requests?includeRequestDetails=1", "PriorityLevelName, FlowSchemaName,"),
    ] {
        let answer = kit.get(&format!("/debug/api_priority_and_fairness/{page}")).await;
        assert!(answer.code.is_success() && answer.text().starts_with(begin), "{}", answer.text());
    }
    let metrics = kit.get("/metrics").await;
    assert!(metrics.text().contains(r#"apiserver_flowcontrol_dispatched_requests_total{flow_schema="janes",priority_level="janes"}"#));
}
