//! Images that were pulled with a secret.

use base64::Engine;
use serde_json::{Value, json};

use super::life::{CONFIG_MAP, POD, World, config_map, pod};

const SECRET: &str = "/api/v1/namespaces/ns/secrets/s";
const OTHER: &str = "/api/v1/namespaces/ns/pods/q";

fn secret(password: &str) -> Value {
    let config = json!({"auths": {"docker.io": {"username": "u", "password": password}}}).to_string();
    let encoded = base64::engine::general_purpose::STANDARD.encode(config);
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "ns", "uid": "s1"},
        "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": encoded}})
}

/// Another pod of the same image.
fn other(policy: &str) -> Value {
    let mut pod = pod("Always", "private:1");
    pod["metadata"]["name"] = json!("q");
    pod["metadata"]["uid"] = json!("u2");
    pod["spec"]["containers"][0]["imagePullPolicy"] = json!(policy);
    pod
}

/// What it says while it waits for one of these reasons.
async fn waits(world: &World, reasons: &[&str]) -> String {
    let waiting = |o: &Value| o["status"]["containerStatuses"][0]["state"]["waiting"].clone();
    let good = |o: &Value| reasons.iter().any(|reason| waiting(o)["reason"] == *reason);
    let pod = world.until(OTHER, reasons[0], |o| o.is_some_and(good)).await.expect("a pod");
    waiting(&pod)["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_pod_without_the_secret_does_not_get_the_image() {
    let world = World::start();
    world.api.put(CONFIG_MAP, config_map());
    world.api.put(SECRET, secret("good"));
    let mut first = pod("Always", "private:1");
    first["spec"]["imagePullSecrets"] = json!([{"name": "s"}]);
    world.api.put(POD, first);
    world.phase("Running").await;
    assert_eq!(*world.runtime.pulled.lock().expect("lock"), ["private:1"]);
    world.api.put(OTHER, other("Never"));
    let message = waits(&world, &["ErrImageNeverPull"]).await;
    assert_eq!(message, "Container image \"private:1\" is not present with pull policy of Never");
    let mut now = other("IfNotPresent");
    now["metadata"]["uid"] = json!("u3");
    world.api.put(OTHER, now);
    // The one becomes the other as soon as it is tried again.
    let message = waits(&world, &["ErrImagePull", "ImagePullBackOff"]).await;
    assert!(message.contains("no such host"), "{message}");
    let mut now = other("IfNotPresent");
    now["metadata"]["uid"] = json!("u4");
    now["spec"]["imagePullSecrets"] = json!([{"name": "s"}]);
    world.api.put(OTHER, now);
    world.until(OTHER, "it runs", |o| o.is_some_and(|o| o["status"]["phase"] == "Running")).await;
    assert_eq!(world.runtime.pulled.lock().expect("lock").len(), 1, "it was not pulled again");
    world.stop.cancel();
}
