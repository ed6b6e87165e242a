//! Static pods from their files to the runtime and to the API.

use std::path::Path;

use futures::StreamExt;
use runtime::Runtime;
use serde_json::json;

use super::*;
use crate::tests::api::Api;
use crate::tests::life::World;

const MIRROR: &str = "/api/v1/namespaces/default/pods/web-n1";

/// Without the kinds' rules, which other crates have: a pod whose command is `bad` is one that nobody could create.
pub(crate) fn reader() -> Reader {
    Reader {
        parse: |text| serde_json::from_str(text).map_err(|e| e.to_string()),
        decode: |tree| serde_json::from_value(tree.clone()).map(|pod| (pod, Vec::new())).map_err(|e| e.to_string()),
        check: |pod| {
            let first = spec::of(pod).containers.first().and_then(|c| c.command.clone());
            if first == Some(vec!["bad".to_owned()]) { Err("[it is bad]".to_owned()) } else { Ok(()) }
        },
    }
}

fn text(name: &str, command: &str) -> String {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"terminationGracePeriodSeconds": 1,
        "containers": [{"name": "c", "image": "i", "command": [command], "imagePullPolicy": "IfNotPresent"}]}})
    .to_string()
}

/// Puts a file in its place as a whole.
fn put(world: &World, name: &str, text: &str) {
    let (half, whole) = (world.dir.path().join(format!("static/.{name}")), world.dir.path().join("static").join(name));
    std::fs::write(&half, text).expect("written");
    std::fs::rename(half, whole).expect("renamed");
}

fn world(api: Api, files: &[(&str, String)]) -> World {
    World::with_config(api, |config| {
        let path = config.data_dir.with_file_name("static");
        std::fs::create_dir(&path).expect("made");
        files.iter().for_each(|(name, text)| std::fs::write(path.join(name), text).expect("written"));
        config.static_pods = Some(Source { path, reader: reader() });
    })
}

/// Waits until the containers that run have these commands, and no more do. Their ids.
async fn running(world: &World, commands: &[&str]) -> Vec<String> {
    let mut events = world.runtime.events();
    let wait = async {
        loop {
            let all = world.runtime.pods().await.expect("pods");
            let ids: Vec<_> = all.iter().flat_map(|p| &p.containers).filter(|c| crate::pod::observed::is_running(c)).map(|c| c.id.clone()).collect();
            let configs = world.runtime.configs.lock().expect("lock").clone();
            let of = |id: &String| configs.iter().rev().find(|c| id.ends_with(&format!("-{}-{}", c.name, c.attempt))).map(|_| id.clone());
            let known: Vec<_> = ids.iter().filter_map(of).collect();
            if known.len() == commands.len() && commands.iter().all(|command| configs.iter().any(|c| c.command == [*command])) {
                return known;
            }
            events.next().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("{commands:?} do not run"))
}

async fn shown(world: &World) -> Value {
    let is = |o: Option<&Value>| o.is_some_and(|o| o["status"]["phase"] == "Running" && o["metadata"]["annotations"][own::MIRROR].is_string());
    world.until(MIRROR, "a mirror of what runs", is).await.expect("a pod")
}

#[tokio::test]
async fn it_runs_without_an_api_and_is_shown_when_there_is_one() {
    let api = Api::new();
    api.turn_off(true);
    let world = world(api, &[("web.json", text("web", "serve"))]);
    let ids = running(&world, &["serve"]).await;
    world.api.turn_off(false);
    let mirror = shown(&world).await;
    let annotations = &mirror["metadata"]["annotations"];
    assert_eq!(annotations[own::SOURCE], "file");
    assert_eq!(annotations[own::HASH], annotations[own::MIRROR]);
    assert!(annotations[own::SEEN].is_string());
    let owner = &mirror["metadata"]["ownerReferences"][0];
    assert_eq!((owner["kind"].as_str(), owner["name"].as_str(), owner["controller"].as_bool()), (Some("Node"), Some("n1"), Some(true)));
    assert_eq!(mirror["spec"]["nodeName"], "n1");
    assert_eq!(mirror["spec"]["tolerations"], json!([{"effect": "NoExecute", "operator": "Exists"}]));
    assert!(mirror["spec"]["priority"].is_null() && mirror["metadata"]["uid"] != annotations[own::HASH], "both are the API's to give");
    assert_eq!(mirror["status"]["podIP"], "192.0.2.77");

    // Whatever becomes of the mirror, the pod runs on, and is shown again.
    world.api.remove(MIRROR);
    world.until(MIRROR, "another mirror", |o| o.is_some_and(|o| *o != mirror && o["status"]["phase"] == "Running")).await;
    assert_eq!(running(&world, &["serve"]).await, ids);
    let mut deleted = world.api.get(MIRROR).expect("there");
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    world.api.put(MIRROR, deleted);
    let whole = |o: Option<&Value>| o.is_some_and(|o| o["metadata"]["deletionTimestamp"].is_null() && o["status"]["phase"] == "Running");
    world.until(MIRROR, "a third mirror", whole).await;
    assert_eq!(running(&world, &["serve"]).await, ids);
}

#[tokio::test]
async fn it_follows_its_file_to_the_end() {
    let world = world(Api::new(), &[("web.json", text("web", "first"))]);
    let ids = running(&world, &["first"]).await;
    let first = shown(&world).await;
    // The same in other words is no change.
    put(&world, "web.json", &format!("  {}\n", text("web", "first")));
    put(&world, "web.json", &text("web", "second"));
    let hash = |o: &Value| o["metadata"]["annotations"][own::HASH].clone();
    let is_next = |o: Option<&Value>| o.is_some_and(|o| hash(o) != hash(&first) && o["status"]["phase"] == "Running");
    world.until(MIRROR, "the next one", is_next).await;
    let next = running(&world, &["first", "second"][1..]).await;
    assert!(next != ids && next.len() == 1, "one pod has the name at a time: {next:?}");
    assert_eq!(world.runtime.configs.lock().expect("lock").len(), 2, "and no more was ever started");
    std::fs::remove_file(world.dir.path().join("static/web.json")).expect("removed");
    world.until(MIRROR, "no mirror", |o| o.is_none()).await;
    assert!(running(&world, &[]).await.is_empty());
    assert!(world.agent.pods.statics().is_empty());
}

#[tokio::test]
async fn a_bad_file_spoils_neither_the_others_nor_its_own_pod() {
    let world = world(Api::new(), &[("a.json", "{".to_owned()), ("b.json", text("web", "serve")), ("c.json", text("web", "other")),
        ("d.json", json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"serviceAccountName": "s", "containers": []}}).to_string())]);
    let ids = running(&world, &["serve"]).await;
    put(&world, "b.json", &text("web", "bad"));
    put(&world, "z.json", &text("more", "more"));
    let all = running(&world, &["serve", "more"]).await;
    assert!(ids.iter().all(|id| all.contains(id)), "what was good runs on");
    let errors = world.agent.statics.errors.lock().expect("lock").clone();
    let of = |name: &str| errors.get(&world.dir.path().join("static").join(name)).cloned().unwrap_or_default();
    assert!(of("a.json").starts_with("EOF"), "{errors:?}");
    assert_eq!(of("b.json"), "invalid pod: [it is bad]");
    assert_eq!(of("c.json"), "duplicate pod name \"web-n1\", ignoring");
    assert_eq!(of("d.json"), "static pods may not reference serviceaccounts");

    // A file that is bad still when all are read anew has no pod any more, and its name is free; the others run on. A good
    // one has its own again.
    let source = world.agent.config.static_pods.clone().expect("told");
    let again = look(&world.agent, &source, Instant::now()).expect("looked").expect("it is looked again");
    assert!(again <= Instant::now() + PATIENCE);
    assert_eq!(look(&world.agent, &source, again).expect("looked"), None, "nothing is doubtful any more");
    let left = running(&world, &["other", "more"]).await;
    assert_eq!((left.iter().filter(|id| all.contains(id)).count(), left.iter().any(|id| ids.contains(id))), (1, false));
    put(&world, "b.json", &text("web", "serve"));
    running(&world, &["serve", "more"]).await;
}

#[tokio::test]
async fn a_file_by_itself_that_turns_bad_keeps_its_pod_also_over_a_restart() {
    let at = |config: &mut crate::Config, text: &str| {
        let path = config.data_dir.with_file_name("web.json");
        std::fs::write(&path, text).expect("written");
        config.static_pods = Some(Source { path, reader: reader() });
    };
    let world = World::with_config(Api::new(), |config| at(config, &text("web", "serve")));
    let ids = running(&world, &["serve"]).await;
    let source = world.agent.config.static_pods.clone().expect("told");
    std::fs::write(&source.path, "{").expect("written");
    assert_eq!(look(&world.agent, &source, Instant::now()).expect("looked"), None, "it is in no doubt");
    look(&world.agent, &source, Instant::now() + PATIENCE).expect("looked");
    assert_eq!(running(&world, &["serve"]).await, ids);

    // Who starts now does not know what was in it, and ends nobody's pod.
    let next = World::with_config(Api::new(), |config| at(config, "{"));
    assert!(look(&next.agent, &source, Instant::now()).is_err());
    assert!(!next.agent.statics.read.initialized());
    std::fs::write(&source.path, text("web", "serve")).expect("written");
    look(&next.agent, &source, Instant::now()).expect("looked");
    assert!(next.agent.statics.read.initialized());
}

#[tokio::test]
async fn a_file_that_comes_back_before_its_pod_has_ended_runs_again() {
    let world = world(Api::new(), &[("web.json", text("web", "serve"))]);
    running(&world, &["serve"]).await;
    shown(&world).await;
    let path = world.dir.path().join("static/web.json");
    let source = world.agent.config.static_pods.clone().expect("told");
    // The runtime answers at once: only what is told in one breath comes before the end.
    std::fs::remove_file(&path).expect("removed");
    look(&world.agent, &source, Instant::now()).expect("looked");
    std::fs::write(&path, text("web", "serve")).expect("written");
    look(&world.agent, &source, Instant::now()).expect("looked");
    let starts = |world: &World| world.runtime.configs.lock().expect("lock").len();
    let mut events = world.runtime.events();
    while starts(&world) < 2 {
        tokio::time::timeout(Duration::from_secs(20), events.next()).await.expect("another start");
    }
    running(&world, &["serve"]).await;
}

#[test]
fn names_numbers_and_priority_are_the_nodes_to_give() {
    let read = |text: &str, path: &str| own::read(text, Path::new(path), &reader(), "Node-A").expect("good").0;
    let plain = read(&text("web", "serve"), "/m/web.json");
    assert_eq!((spec::name(&plain.pod), spec::namespace(&plain.pod)), ("web-node-a", "default"));
    assert_eq!((spec::uid(&plain.pod).len(), spec::of(&plain.pod).node_name.as_deref()), (32, Some("Node-A")));
    assert!(spec::is_critical(&plain.pod) && !spec::is_critical(&plain.shown));
    let uid = |text: &str, path: &str| spec::uid(&read(text, path).pod).to_owned();
    let spaced = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&text("web", "serve")).expect("json")).expect("text");
    assert_eq!(uid(&spaced, "/m/web.json"), spec::uid(&plain.pod));
    assert_ne!(uid(&text("web", "other"), "/m/web.json"), spec::uid(&plain.pod));
    assert_ne!(uid(&text("web", "serve"), "/m/else.json"), spec::uid(&plain.pod));
    let own = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "uid": "own", "namespace": "ns",
        "annotations": {"kubernetes.io/config.mirror": "x"}, "finalizers": ["a/b"], "ownerReferences": []},
        "spec": {"containers": []}, "status": {"phase": "Failed"}});
    let own = read(&own.to_string(), "/m/x").pod;
    assert_eq!((spec::uid(&own), spec::namespace(&own)), ("own", "ns"));
    assert!(own.status.is_none() && own.metadata.finalizers.is_none());
    assert!(!own.metadata.annotations.as_ref().expect("some").contains_key(own::MIRROR));
    for (text, why) in [("{}", "invalid pod: apiVersion null"), (r#"{"apiVersion":"v1","kind":"Pod"}"#, "invalid pod: name is needed for the pod")] {
        let error = own::read(text, Path::new("/m/x"), &reader(), "n").expect_err("wrong");
        assert!(error.starts_with(why), "{error}");
    }
}
