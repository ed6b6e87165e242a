//! The levels beside upstream's own, and the plug-in through a request.

use std::collections::HashMap;

use meta::{Attributes, Gvk, User};
use serde_json::{Value, json};

use super::*;
use crate::Warnings;

#[path = "../../../../../tests/upstream/values/judge.rs"]
mod judge;

use judge::{Dice, compare_with};

const CASES: usize = 6000;

/// What a pod may have, and where; `*` is one of its containers.
const FIELDS: &[(&str, &[&str])] = &[
    ("/spec/hostNetwork", &["true", "false"]),
    ("/spec/hostPID", &["true", "false"]),
    ("/spec/hostIPC", &["true"]),
    ("/spec/hostUsers", &["true", "false", "false"]),
    ("/spec/os", &[r#"{"name":"windows"}"#, r#"{"name":"linux"}"#]),
    ("/spec/securityContext/runAsNonRoot", &["true", "false"]),
    ("/spec/securityContext/runAsUser", &["0", "1000"]),
    ("/spec/securityContext/seccompProfile", &[r#"{"type":"RuntimeDefault"}"#, r#"{"type":"Unconfined"}"#, r#"{"type":"Localhost"}"#, "{}"]),
    ("/spec/securityContext/appArmorProfile", &[r#"{"type":"RuntimeDefault"}"#, r#"{"type":"Unconfined"}"#, "{}"]),
    ("/spec/securityContext/seLinuxOptions", &[r#"{"type":"container_t"}"#, r#"{"type":"spc_t","user":"u"}"#, r#"{"role":"r"}"#, r#"{"type":"container_engine_t"}"#, "{}"]),
    ("/spec/securityContext/windowsOptions", &[r#"{"hostProcess":true}"#, "{}"]),
    ("/spec/securityContext/sysctls", &[r#"[{"name":"kernel.msgmax","value":"1"}]"#, r#"[{"name":"net.ipv4.tcp_rmem","value":"1"},{"name":"kernel.sem","value":"1"}]"#, r#"[{"name":"net.ipv4.ip_local_reserved_ports","value":"1"}]"#, r#"[{"name":"net.ipv4.tcp_keepalive_time","value":"1"}]"#]),
    ("/metadata/annotations/container.apparmor.security.beta.kubernetes.io~1a", &[r#""unconfined""#, r#""runtime/default""#, r#""localhost/x""#, r#""""#]),
    ("/metadata/annotations/container.apparmor.security.beta.kubernetes.io~1b", &[r#""uncon\"fined""#]),
    ("/metadata/annotations/seccomp.security.alpha.kubernetes.io~1pod", &[r#""unconfined""#, r#""docker/default""#, r#""""#]),
    ("/metadata/annotations/container.seccomp.security.alpha.kubernetes.io~1b", &[r#""unconfined""#, r#""localhost/x""#]),
    ("/spec/volumes", &[
        r#"[{"name":"v","hostPath":{"path":"/"}}]"#,
        r#"[{"name":"v","nfs":{"server":"s","path":"/"}},{"name":"w","emptyDir":{}},{"name":"x","hostPath":{"path":"/"}}]"#,
        r#"[{"name":"v","secret":{}},{"name":"w","image":{}},{"name":"x","csi":{"driver":"d"}}]"#,
        r#"[{"name":"v"},{"name":"w","storageos":{}},{"name":"x","photonPersistentDisk":{"pdID":"p"}},{"name":"y","gitRepo":{"repository":"r"}}]"#,
    ]),
    ("*/securityContext/privileged", &["true", "false"]),
    ("*/securityContext/allowPrivilegeEscalation", &["true", "false", "false", "false"]),
    ("*/securityContext/runAsNonRoot", &["true", "true", "false"]),
    ("*/securityContext/runAsUser", &["0", "1000"]),
    ("*/securityContext/procMount", &[r#""Unmasked""#, r#""Default""#, r#""Odd""#]),
    ("*/securityContext/capabilities", &[
        r#"{"drop":["ALL"]}"#,
        r#"{"drop":["ALL"],"add":["NET_BIND_SERVICE"]}"#,
        r#"{"drop":["all"],"add":["SYS_ADMIN","CHOWN","NET_RAW"]}"#,
        r#"{"add":["KILL"]}"#,
        r#"{"drop":["ALL"],"add":["CHOWN","SYS_TIME"]}"#,
    ]),
    ("*/securityContext/seccompProfile", &[r#"{"type":"RuntimeDefault"}"#, r#"{"type":"Unconfined"}"#, r#"{"type":"Other"}"#]),
    ("*/securityContext/appArmorProfile", &[r#"{"type":"Localhost"}"#, r#"{"type":"Unconfined"}"#]),
    ("*/securityContext/seLinuxOptions", &[r#"{"type":"container_init_t"}"#, r#"{"type":"evil_t"}"#, r#"{"user":"u","role":"r","level":"s0"}"#]),
    ("*/securityContext/windowsOptions", &[r#"{"hostProcess":true}"#, r#"{"hostProcess":false}"#]),
    ("*/ports", &[r#"[{"containerPort":80,"hostPort":80}]"#, r#"[{"containerPort":80,"hostPort":0},{"containerPort":81}]"#, r#"[{"containerPort":1,"hostPort":9},{"containerPort":2,"hostPort":10}]"#]),
    ("*/livenessProbe", &[r#"{"httpGet":{"port":1,"host":"1.2.3.4"}}"#, r#"{"tcpSocket":{"port":1}}"#]),
    ("*/startupProbe", &[r#"{"tcpSocket":{"port":1,"host":"b"}}"#]),
    ("*/lifecycle", &[r#"{"preStop":{"httpGet":{"port":1,"host":"c"}}}"#, r#"{"postStart":{"tcpSocket":{"port":1,"host":"a"}},"preStop":{"exec":{"command":["x"]}}}"#]),
];
const VERSIONS: &[&str] =
    &["latest", "latest", "v1.0", "v1.7", "v1.8", "v1.18", "v1.19", "v1.22", "v1.23", "v1.24", "v1.25", "v1.27", "v1.29", "v1.31", "v1.32", "v1.33", "v1.34", "v1.35", "v1.36", "v1.99"];

/// Puts a value where a pointer leads, which may not be there yet.
fn put(tree: &mut Value, pointer: &str, value: &str) {
    let mut at = tree;
    for part in pointer.split('/').filter(|part| !part.is_empty()) {
        let part = part.replace("~1", "/");
        at = match part.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[&*part],
        };
    }
    *at = serde_json::from_str(value).expect("JSON");
}

fn case(dice: &mut Dice) -> String {
    let containers: Vec<Value> = (0..1 + dice.roll(2)).map(|n| json!({"name": (["a", "b"][n])})).collect();
    let mut pod = json!({"metadata": {}, "spec": {"containers": containers}});
    if dice.roll(3) == 0 {
        pod["spec"]["initContainers"] = json!([{"name": "i"}]);
    }
    if dice.roll(4) == 0 {
        pod["spec"]["ephemeralContainers"] = json!([{"name": "e"}]);
    }
    for _ in 0..dice.roll(16) {
        let (place, values) = FIELDS[dice.roll(FIELDS.len())];
        let value = dice.pick(values);
        let Some(field) = place.strip_prefix('*') else {
            put(&mut pod, place, value);
            continue;
        };
        let list = ["containers", "containers", "initContainers", "ephemeralContainers"][dice.roll(4)];
        let count = pod["spec"][list].as_array().map_or(0, Vec::len);
        // Often all of them: a level asks every container.
        let one = dice.roll(count * 2 + 1);
        (0..count).filter(|n| one >= count || *n == one).for_each(|n| put(&mut pod, &format!("/spec/{list}/{n}{field}"), value));
    }
    format!("{} {} {pod}", dice.pick(&["baseline", "restricted", "restricted", "privileged"]), dice.pick(VERSIONS))
}

fn verdict(text: &str) -> Result<String, String> {
    let mut parts = text.splitn(3, ' ');
    let mut next = || parts.next().unwrap_or_default();
    let standard = Standard { level: Level::read(next())?, version: level::Version::read(next())? };
    let pod = Object::from_value(serde_json::from_str(next()).expect("JSON")).expect("an object");
    Ok(said(&checks::violations(standard, &Pod::of(&pod))))
}

#[test]
fn every_level_says_what_upstreams_says() {
    compare_with("podsecurity", "podsecurity", CASES, case, verdict);
}

/// One namespace, and the pods in it.
struct World(Value, Vec<Value>);

#[async_trait]
impl Lookup for World {
    async fn get(&self, _: &str, _: &str, _: &Key) -> Result<Option<Arc<Object>>, Status> {
        Ok(Object::from_value(self.0.clone()).ok().map(Arc::new))
    }

    async fn list(&self, _: &str, _: &str, _: Option<&str>) -> Result<Vec<Arc<Object>>, Status> {
        Ok(self.1.iter().filter_map(|pod| Object::from_value(pod.clone()).ok()).map(Arc::new).collect())
    }
}

fn namespace(labels: &[(&str, &str)]) -> Value {
    let labels: HashMap<String, &str> =
        labels.iter().map(|(name, value)| (format!("pod-security.kubernetes.io/{name}"), *value)).collect();
    json!({"metadata": {"name": "ns", "labels": labels}})
}

/// What becomes of a request: the refusal if there is one, and the warnings.
async fn ask(world: &World, line: &str, new: Value, old: Option<Value>, config: Config) -> (String, Vec<String>) {
    let mut words = line.split(' ');
    let mut next = || words.next().unwrap_or_default().to_owned();
    let (group, resource, subresource) = (next(), next(), next());
    let attributes = Attributes {
        user: User::new("jane", &[]),
        group: group.trim_matches('-').to_owned(),
        resource,
        subresource,
        namespace: "ns".to_owned(),
        ..Attributes::default()
    };
    let (mut new, old) = (Object::from_value(new).expect("an object"), old.map(|old| Object::from_value(old).expect("an object")));
    let operation = if old.is_some() { Operation::Update } else { Operation::Create };
    let gvk = Gvk::new("", "v1", "Kind");
    let mut request = Request {
        attributes: &attributes,
        gvk: &gvk,
        operation,
        object: Some(&mut new),
        old: old.as_ref(),
        dry_run: false,
        warnings: Warnings::default(),
    };
    let plugin = PodSecurity { config: Arc::new(config) };
    let refused = plugin.validate(&request, world).await.err().map(|status| status.message).unwrap_or_default();
    (refused, request.take_warnings())
}

fn bad_pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"hostNetwork": true, "containers": [{"name": "c", "image": "i"}]}})
}

#[tokio::test]
async fn pods_are_refused_and_templates_warned_of() {
    let world = World(namespace(&[("enforce", "baseline")]), Vec::new());
    let why = r#"violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)"#;
    let (refused, warned) = ask(&world, "- pods ", bad_pod("p"), None, Config::default()).await;
    assert_eq!((refused, warned.len()), (format!("pods \"p\" is forbidden: {}", why.replace("violate ", "violates ")), 0));
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"template": bad_pod("")}});
    let (refused, warned) = ask(&world, "apps deployments ", deployment, None, Config::default()).await;
    assert_eq!((&*refused, warned), ("", vec![format!("would {why}")]));
    let job = json!({"spec": {"jobTemplate": {"spec": {"template": bad_pod("")}}}});
    assert_eq!(ask(&world, "batch cronjobs ", job, None, Config::default()).await.1.len(), 1);
    let (refused, _) = ask(&world, "- pods status", bad_pod("p"), Some(bad_pod("p")), Config::default()).await;
    assert!(refused.is_empty(), "a status changes nothing that a pod may: {refused}");
}

#[tokio::test]
async fn an_update_counts_when_it_changes_an_image_or_adds_a_container() {
    let world = World(namespace(&[("enforce", "baseline")]), Vec::new());
    let refused = async |line: &str, change: fn(&mut Value)| {
        let mut new = bad_pod("p");
        change(&mut new);
        !ask(&world, line, new, Some(bad_pod("p")), Config::default()).await.0.is_empty()
    };
    assert!(!refused("- pods ", |pod| pod["metadata"]["labels"] = json!({"a": "b"})).await);
    assert!(refused("- pods ", |pod| pod["spec"]["containers"][0]["image"] = json!("other")).await);
    let add = |pod: &mut Value| pod["spec"]["ephemeralContainers"] = json!([{"name": "e"}]);
    assert!(refused("- pods ephemeralcontainers", add).await);
}

#[tokio::test]
async fn whoever_is_exempt_is_let_be() {
    let world = World(namespace(&[("enforce", "restricted")]), Vec::new());
    let config = |exemptions: Value| {
        let head = json!({"apiVersion": "pod-security.admission.config.k8s.io/v1", "kind": "PodSecurityConfiguration"});
        let mut tree = head;
        tree["exemptions"] = exemptions;
        Config::read(tree).expect("is read")
    };
    for exemptions in [json!({"usernames": ["jane"]}), json!({"namespaces": ["ns"]}), json!({"runtimeClasses": ["kata"]})] {
        let mut pod = bad_pod("p");
        pod["spec"]["runtimeClassName"] = json!("kata");
        let (refused, warned) = ask(&world, "- pods ", pod, None, config(exemptions.clone())).await;
        assert!(refused.is_empty() && warned.is_empty(), "{exemptions}: {refused} {warned:?}");
    }
    let (refused, _) = ask(&world, "- pods ", bad_pod("p"), None, config(json!({"usernames": ["joe"]}))).await;
    assert!(!refused.is_empty());
}

#[tokio::test]
async fn whoever_raises_a_level_hears_of_the_pods_that_are_there() {
    let mut replicas: Vec<Value> = (0..3).map(|n| bad_pod(&format!("r{n}"))).collect();
    replicas.iter_mut().for_each(|pod| pod["metadata"]["ownerReferences"] = json!([{"uid": "u", "controller": true}]));
    replicas.push(json!({"metadata": {"name": "good"}, "spec": {"containers": [{"name": "c"}]}}));
    let world = World(namespace(&[]), replicas);
    let (open, closed) = (namespace(&[]), namespace(&[("enforce", "baseline")]));
    let (refused, warned) = ask(&world, "- namespaces ", closed.clone(), Some(open.clone()), Config::default()).await;
    let level = r#"existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest""#;
    assert_eq!((&*refused, warned), ("", vec![level.to_owned(), "r0 (and 2 other pods): host namespaces".to_owned()]));
    assert!(ask(&world, "- namespaces ", open, Some(closed), Config::default()).await.1.is_empty(), "it was lowered");
    let wrong = namespace(&[("enforce", "strict")]);
    let (refused, _) = ask(&world, "- namespaces ", wrong.clone(), None, Config::default()).await;
    let why = r#"Invalid value: "strict": must be one of privileged, baseline, restricted"#;
    assert_eq!(refused, format!(r#"Namespace "ns" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: {why}"#));
    assert!(ask(&world, "- namespaces ", wrong.clone(), Some(wrong), Config::default()).await.0.is_empty(), "it was wrong before");
}
