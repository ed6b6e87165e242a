//! Our definitions are those of upstream's own documents, descriptions aside.

use std::path::{Path, PathBuf};
use std::process::Command;

use meta::Gvk;
use schema::{Schema, ServedResource, ServedSubresource, openapi, openapi_v2, openapi_v3};
use serde_json::{Value, json};

fn specification() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/upstream");
    let output = Command::new("go")
        .args(["mod", "download", "-json", "k8s.io/kubernetes"])
        .current_dir(&manifest)
        .output()
        .expect("this test reads upstream's specification with `go mod download`: Go must be installed");
    let record: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let dir = record["Dir"].as_str().unwrap_or_else(|| {
        panic!("`go mod download k8s.io/kubernetes` failed: {record} {}", String::from_utf8_lossy(&output.stderr))
    });
    Path::new(dir).join("api/openapi-spec")
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a document")).expect("JSON")
}

/// Without prose, and without the values of enumerations, which the published documents do not have.
fn plain(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("description").is_some_and(Value::is_string) {
                map.remove("description");
            }
            if map.get("enum").is_some_and(Value::is_array) {
                map.remove("enum");
            }
            map.values_mut().for_each(plain);
        }
        Value::Array(list) => list.iter_mut().for_each(plain),
        _ => {}
    }
}

fn wrapped(properties: &mut Value) {
    for property in properties.as_object_mut().into_iter().flat_map(|m| m.values_mut()) {
        let bare = property.as_object().is_some_and(|p| p.len() == 1);
        if bare && let Some(reference) = property.get("$ref").cloned() {
            *property = json!({"allOf": [{"$ref": reference}]});
        }
    }
}

fn compare(published: &Value, name: &str, ours: &Value, wrong: &mut Vec<String>) {
    let mut published = published.clone();
    let mut ours = ours.clone();
    plain(&mut published);
    plain(&mut ours);
    wrapped(&mut published["properties"]);
    let sort = |v: &mut Value| v["required"].as_array_mut().into_iter().for_each(|r| r.sort_by_key(Value::to_string));
    sort(&mut published);
    sort(&mut ours);
    for empty in [&mut published, &mut ours] {
        empty.as_object_mut().expect("an object").retain(|_, v| !v.is_null());
    }
    if published != ours {
        wrong.push(format!("{name}\n  upstream {published}\n  ours     {ours}"));
    }
}

#[test]
fn v3_definitions_are_upstreams() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(specification().join("v3")).expect("documents") {
        let document = read(&entry.expect("entry").path());
        let schemas = document["components"]["schemas"].as_object();
        for (name, published) in schemas.into_iter().flatten() {
            let Some(schema) = Schema::definition(name) else { continue };
            let everywhere = published["x-kubernetes-group-version-kind"].as_array().is_some_and(|k| k.len() > 1);
            if !everywhere {
                compare(published, name, &openapi::definition_v3(&schema)[name], &mut wrong);
                count += 1;
            }
        }
    }
    assert!(count > 1000, "only {count} definitions");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n"));
}

#[test]
fn v2_definitions_are_upstreams() {
    let swagger = read(&specification().join("swagger.json"));
    let mut wrong = Vec::new();
    for (name, published) in swagger["definitions"].as_object().expect("definitions") {
        let Some(schema) = Schema::definition(name) else { continue };
        let mut published = published.clone();
        plain(&mut published);
        let mut ours = openapi::definition_v2(&schema)[name].clone();
        plain(&mut ours);
        let sorted = |v: &Value| {
            let mut v = v.clone();
            for key in ["required", "x-kubernetes-group-version-kind"] {
                if let Some(list) = v.get_mut(key).and_then(Value::as_array_mut) {
                    list.sort_by_key(Value::to_string);
                }
            }
            v
        };
        if sorted(&published) != sorted(&ours) {
            wrong.push(format!("{name}\n  upstream {published}\n  ours     {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_proxy_takes_any_method_and_a_log_its_options() {
    let schema = |kind| Schema::builtin(&Gvk::new("", "v1", kind));
    let below = |name: &str, kind, options, verbs: &str| ServedSubresource {
        name: name.into(),
        schema: kind,
        options,
        verbs: verbs.split(' ').map(str::to_owned).collect(),
    };
    let pods = ServedResource {
        schema: schema("Pod").expect("a kind"),
        resource: "pods".into(),
        namespaced: true,
        verbs: Vec::new(),
        gives_deleted: true,
        subresources: vec![
            below("proxy", schema("PodProxyOptions"), None, "create delete get patch update"),
            below("exec", schema("PodExecOptions"), None, "create get"),
            below("log", None, schema("PodLogOptions"), "get"),
        ],
    };
    let ours: Value = serde_json::from_slice(&openapi_v3("v1", &[pods])).expect("JSON");
    let of = |path: &str| ours["paths"][format!("/api/v1/namespaces/{{namespace}}/pods/{{name}}/{path}")].clone();
    assert_eq!(of("proxy/{path}")["head"]["operationId"], "connectCoreV1HeadNamespacedPodProxyWithPath");
    let names = |item: &Value| -> Vec<String> {
        item["parameters"].as_array().into_iter().flatten().filter_map(|p| Some(p["name"].as_str()?.to_owned())).collect()
    };
    assert_eq!(names(&of("exec")), ["command", "container", "name", "namespace", "stderr", "stdin", "stdout", "tty"]);
    assert!(of("exec")["put"].is_null());
    assert_eq!(of("log")["get"]["responses"]["200"]["content"]["text/plain"]["schema"], json!({"type": "string"}));
    assert!(names(&of("log")).contains(&"tailLines".to_owned()));
}

fn deployments() -> ServedResource {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let schema = |group, version, kind| Schema::builtin(&Gvk::new(group, version, kind)).expect("a kind");
    ServedResource {
        schema: schema("apps", "v1", "Deployment"),
        resource: "deployments".into(),
        namespaced: true,
        verbs: words("create delete deletecollection get list patch update watch"),
        gives_deleted: false,
        subresources: vec![
            ServedSubresource { name: "status".into(), schema: None, options: None, verbs: words("get patch update") },
            ServedSubresource {
                name: "scale".into(),
                schema: Some(schema("autoscaling", "v1", "Scale")),
                options: None,
                verbs: words("get patch update"),
            },
        ],
    }
}

#[test]
fn paths_are_named_as_upstream_names_them() {
    let mut upstream = read(&specification().join("v3/apis__apps__v1_openapi.json"));
    plain(&mut upstream);
    let ours: Value = serde_json::from_slice(&openapi_v3("apps/v1", &[deployments()])).expect("JSON");
    for (path, item) in ours["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods").iter().filter(|(m, _)| *m != "parameters") {
            let theirs = &upstream["paths"][path][method];
            for key in ["operationId", "x-kubernetes-action", "x-kubernetes-group-version-kind", "tags", "parameters"] {
                assert_eq!(operation[key], theirs[key], "{method} {path} {key}");
            }
        }
    }
    let patch = &ours["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    let names: Vec<&str> = patch["parameters"].as_array().expect("list").iter().filter_map(|p| p["name"].as_str()).collect();
    assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
    let schemas = &ours["components"]["schemas"];
    assert!(schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"].is_object());
    let policy = &schemas["io.k8s.api.core.v1.Container"]["properties"]["imagePullPolicy"];
    assert_eq!(policy["enum"], json!(["Always", "IfNotPresent", "Never"]));
    let v2: Value = serde_json::from_slice(&openapi_v2(&[deployments()])).expect("JSON");
    assert!(v2["paths"]["/apis/apps/v1/deployments"]["get"].is_object());
    assert!(v2["definitions"]["io.k8s.api.apps.v1.DeploymentList"].is_object());
}
