//! What is sent for which flags, and what is refused.

use super::*;

fn options(arguments: &[&str]) -> Options {
    let line = ["debug", "p", "--image=i", "-c", "c", "-q"].iter().chain(arguments);
    let matches = command().args_override_self(true).try_get_matches_from(line).expect("flags");
    let options = Options::read(&matches).expect("options");
    options.check(&matches).expect("they go together");
    options
}

fn refused(arguments: &[&str]) -> String {
    let matches = command().try_get_matches_from(std::iter::once(&"debug").chain(arguments)).expect("flags");
    let read = Options::read(&matches).and_then(|options| options.check(&matches));
    read.expect_err("refused").to_string()
}

fn debugged() -> Value {
    let probe = json!({"exec": {"command": ["true"]}});
    let main = json!({"name": "main", "image": "m", "livenessProbe": probe, "readinessProbe": probe});
    json!({
        "metadata": {"name": "p", "namespace": "n", "labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": {"nodeName": "n1", "containers": [main], "initContainers": [{"name": "first"}]},
    })
}

#[test]
fn profiles_change_the_security_of_the_container() {
    let of = |profile: &str| {
        let (_, patch, name) = pod::ephemeral(&options(&[&format!("--profile={profile}")]), &debugged()).expect("patch");
        assert_eq!(name, "c");
        patch["spec"]["ephemeralContainers"][0]["securityContext"].clone()
    };
    assert_eq!(of("general"), json!({"capabilities": {"add": ["SYS_PTRACE"]}}));
    assert_eq!(of("netadmin"), json!({"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}));
    assert_eq!(of("sysadmin"), json!({"privileged": true}));
    assert_eq!([of("baseline"), of("legacy")], [Value::Null, Value::Null]);
    assert_eq!(of("restricted")["capabilities"], json!({"drop": ["ALL"]}));
    assert_eq!(refused(&["p", "--image=i", "--profile=none"]), "unknown profile: none");
}

#[test]
fn an_ephemeral_container_is_added_beside_the_others() {
    let mut pod = debugged();
    pod["spec"]["ephemeralContainers"] = json!([{"name": "old"}]);
    let made = options(&["--target=main", "-it", "--env=A=1,B=2", "--", "sh", "-c", "x"]);
    let (changed, patch, _) = pod::ephemeral(&made, &pod).expect("patch");
    assert_eq!(changed["spec"]["ephemeralContainers"].as_array().map(Vec::len), Some(2));
    assert_eq!(patch["spec"]["$setElementOrder/ephemeralContainers"], json!([{"name": "old"}, {"name": "c"}]));
    assert_eq!(
        patch["spec"]["ephemeralContainers"],
        json!([{
            "name": "c", "image": "i", "command": ["sh", "-c", "x"], "stdin": true, "tty": true, "resources": {},
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "targetContainerName": "main",
            "terminationMessagePolicy": "File", "securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}},
        }])
    );
    assert!(made.attach);
}

#[test]
fn what_is_custom_lies_over_the_profile() {
    let dir = std::env::temp_dir().join(format!("debug-{}", meta::random::suffix(8)));
    let file = dir.display().to_string();
    std::fs::write(&dir, "env: [{name: A, value: x}]\nsecurityContext: {runAsUser: 0}\nnobody: knows\n").expect("written");
    let (_, patch, _) = pod::ephemeral(&options(&["--env=B=y", "--custom", &file]), &debugged()).expect("patch");
    let container = &patch["spec"]["ephemeralContainers"][0];
    assert_eq!(container["securityContext"], json!({"capabilities": {"add": ["SYS_PTRACE"]}, "runAsUser": 0}));
    let env = container["env"].as_array().expect("a list");
    assert_eq!((env.len(), &container["nobody"]), (2, &Value::Null));
    std::fs::write(&dir, r#"{"image": "x"}"#).expect("written");
    let fixed = "name, command, image, lifecycle and volume devices are not modifiable via custom profile";
    assert_eq!(refused(&["p", "--image=i", "--custom", &file]), fixed);
    std::fs::remove_file(&dir).expect("removed");
    let missing = format!("must pass a container spec json file for custom profile: open {file}: no such file or directory");
    assert_eq!(refused(&["p", "--image=i", "--custom", &file]), missing);
}

#[test]
fn a_copy_keeps_what_it_is_told_to() {
    let of = |arguments: &[&str]| {
        let all: Vec<&str> = std::iter::once("--copy-to=q").chain(arguments.iter().copied()).collect();
        pod::copy(&options(&all), &debugged()).expect("copy")
    };
    let (copied, name) = of(&[]);
    assert_eq!(copied["metadata"], json!({"name": "q", "namespace": "n"}));
    assert_eq!((name.as_deref(), &copied["spec"]["nodeName"]), (Some("c"), &Value::Null));
    assert_eq!(copied["spec"]["shareProcessNamespace"], true);
    assert_eq!(copied["spec"]["containers"][0], json!({"name": "main", "image": "m"}));
    assert_eq!(copied["spec"]["containers"][1]["name"], "c");
    let keep = ["--keep-labels", "--keep-liveness", "--keep-init-containers=false", "--share-processes=false", "--same-node"];
    let (copied, _) = of(&keep);
    assert_eq!(copied["metadata"]["labels"], json!({"a": "b"}));
    let spec = &copied["spec"];
    assert_eq!((&spec["nodeName"], &spec["shareProcessNamespace"]), (&json!("n1"), &json!(false)));
    assert!(spec["containers"][0]["livenessProbe"].is_object() && spec["initContainers"].is_null());
    let (copied, _) = of(&["--set-image=*=x", "-c", "main", "--", "sleep"]);
    assert_eq!(copied["spec"]["containers"][0]["command"], json!(["sleep"]));
    assert_eq!(copied["spec"]["containers"][0]["image"], "i", "the one that debugs gets its own");
}

#[test]
fn a_node_is_debugged_in_its_namespaces() {
    let of = |profile: &str| pod::on_node(&options(&["--profile", profile]), "n1").expect("pod").0["spec"].clone();
    let general = of("general");
    assert_eq!(general["containers"][0]["volumeMounts"], json!([{"name": "host-root", "mountPath": "/host"}]));
    assert!(general["hostPID"] == true && general["containers"][0]["securityContext"].is_null());
    assert!(of("netadmin")["volumes"].is_null() && of("baseline")["hostPID"].is_null());
    assert_eq!(of("sysadmin")["containers"][0]["securityContext"], json!({"privileged": true}));
}

#[test]
fn the_user_is_warned_where_a_profile_is_in_vain() {
    let mut pod = debugged();
    let container = json!({"securityContext": {"privileged": true}});
    assert!(!pod::is_in_vain(&pod, &container));
    pod["spec"]["securityContext"] = json!({"runAsUser": 1000});
    assert!(pod::is_in_vain(&pod, &container));
    assert!(!pod::is_in_vain(&pod, &json!({"securityContext": {"privileged": true, "runAsUser": 0}})));
    assert!(!pod::is_in_vain(&pod, &json!({})));
}

#[test]
fn what_does_not_go_together() {
    for (arguments, why) in [
        (&["p"][..], "you must specify --image when not using --copy-to."),
        (&["--image=i"], "NAME or filename is required for debug"),
        (&["p", "--image=Not:ok:x"], "invalid image name \"Not:ok:x\": invalid reference format"),
        (&["p", "--image=i", "-t"], "-i/--stdin is required for containers with -t/--tty=true"),
        (&["p", "--image=i", "--copy-to=q", "--target=x"], "--target is incompatible with --copy-to. Use --share-processes instead."),
        (&["p", "--image=i", "--replace"], "--replace may only be used with --copy-to."),
        (&["p", "--image=i", "--image-pull-policy=Ever"], "invalid image pull policy: Ever"),
    ] {
        assert_eq!(refused(arguments), why);
    }
    for good in ["busybox", "a.b:5000/c/d:e", "localhost/x", "[::1]:80/a", "a__b", "x@sha256:00000000000000000000000000000000"] {
        assert!(is_image(good), "{good}");
    }
    for bad in ["A", "a//b", "a:", "-a", "a@b"] {
        assert!(!is_image(bad), "{bad}");
    }
}
