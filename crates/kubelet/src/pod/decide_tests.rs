//! Tables for the decider.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use runtime::{Container, ContainerState, PodConfig};
use serde_json::json;

use super::decide::{Plan, Step, decide};
use super::observed::{Job, Memory, Observed, SANDBOX_LABEL};
use super::outcome;
use super::work::Outcome;
use crate::spec::tests::pod;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

/// The limits of containers and pods that ask for nothing.
fn nothing() -> runtime::Resources {
    runtime::Resources { cpu_shares: 2, ..runtime::Resources::default() }
}

fn container(name: &str, attempt: u32, state: ContainerState) -> Container {
    Container {
        id: format!("{name}{attempt}"),
        pod_uid: "u1".to_owned(),
        name: name.to_owned(),
        attempt,
        image: "i".to_owned(),
        image_id: "sha256:i".to_owned(),
        state,
        log_path: "/nonexistent".into(),
        resources: nothing(),
        labels: [(SANDBOX_LABEL.to_owned(), "0".to_owned())].into(),
        user: None,
    }
}

fn running(name: &str, attempt: u32) -> Container {
    container(name, attempt, ContainerState::Running { started_at: 0 })
}

fn ended(name: &str, attempt: u32, code: i32, second: i64) -> Container {
    let finished_at = second * 1_000_000_000;
    let (reason, message) = (String::new(), String::new());
    container(name, attempt, ContainerState::Exited { started_at: 0, finished_at, code, signal: 0, reason, message })
}

fn observed(containers: Vec<Container>) -> Observed {
    let config = PodConfig { resources: nothing(), ..PodConfig::default() };
    let sandbox = runtime::Pod { config, ready: true, created_at: 0, netns: None, containers };
    let memory = Memory { mounted: true, attached: true, ..Memory::default() };
    Observed { sandbox: Some(sandbox), gone: false, memory }
}

fn app(policy: &str) -> Pod {
    pod(json!({"restartPolicy": policy, "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]}))
}

/// Steps in short: `+a1` start, `-a` stop.
fn short(plan: &Plan) -> String {
    let one = |step: &Step| match step {
        Step::Mount => "mount".to_owned(),
        Step::Sandbox { attempt } => format!("sandbox{attempt}"),
        Step::Start { container, attempt } => format!("+{container}{attempt}"),
        Step::Stop { container, grace, after, .. } if after.is_empty() => format!("-{container}/{grace}"),
        Step::Stop { container, grace, after, .. } => format!("-{container}/{grace}>{}", after.join(",")),
        Step::Clean { ids } => format!("clean:{}", ids.join(",")),
        Step::Resize { ids } => format!("resize:{}", ids.join(",")),
        Step::TearDown => "teardown".to_owned(),
        Step::Delete => "delete".to_owned(),
    };
    plan.steps.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn run(pod: &Pod, observed: &Observed, now: i64) -> String {
    short(&decide(pod, observed, at(now)))
}

#[test]
fn a_new_pod_gets_volumes_then_a_sandbox_then_its_containers_in_order() {
    let p = app("Always");
    let mut o = Observed::default();
    assert_eq!(run(&p, &o, 0), "mount");
    o.memory.mounted = true;
    assert_eq!(run(&p, &o, 0), "sandbox0");
    o = observed(vec![]);
    assert_eq!(run(&p, &o, 0), "+a0");
    o.memory.busy.insert(Job::Start, 0);
    assert_eq!(run(&p, &o, 0), "");
    assert_eq!(run(&p, &observed(vec![running("a", 0)]), 0), "+b0");
    assert_eq!(run(&p, &observed(vec![running("a", 0), running("b", 0)]), 0), "");
}

#[test]
fn ended_containers_restart_by_policy() {
    for (policy, code, want) in [
        ("Always", 0, "+a1"), ("Always", 1, "+a1"), ("OnFailure", 1, "+a1"), ("OnFailure", 0, ""), ("Never", 1, ""),
    ] {
        let o = observed(vec![ended("a", 0, code, 1), running("b", 0)]);
        assert_eq!(run(&app(policy), &o, 1), want, "{policy} {code}");
    }
}

#[test]
fn crashes_wait_with_upstreams_words() {
    let p = app("Always");
    let mut o = observed(vec![ended("a", 1, 1, 100), running("b", 0)]);
    o.memory.containers.entry("a".to_owned()).or_default().crashes.next(at(90), at(90));
    let plan = decide(&p, &o, at(105));
    assert_eq!((short(&plan).as_str(), plan.wake_at), ("", Some(at(110))));
    assert_eq!(plan.waiting["a"].reason, "CrashLoopBackOff");
    assert_eq!(plan.waiting["a"].message, "back-off 10s restarting failed container=a pod=p_ns(u1)");
    assert_eq!(run(&p, &o, 110), "+a2");
    let mut other = p.clone();
    other.spec.as_mut().expect("spec").containers[0].image = Some("j".to_owned());
    assert_eq!(run(&other, &o, 105), "+a2", "another image has done nothing wrong");
    let memory = &mut o.memory;
    let before = |image: &str| Container { image: image.to_owned(), ..ended("a", 1, 1, 100) };
    outcome::restarting(memory, "a", "i", Some(&before("i")), at(105));
    assert_eq!(memory.containers["a"].crashes.seconds(), 20);
    outcome::restarting(memory, "a", "j", Some(&before("i")), at(105));
    assert_eq!(memory.containers["a"].crashes.seconds(), 10);
    o.memory.starting = Some("a".to_owned());
    o.memory.busy.insert(Job::Start, 0);
    assert_eq!(decide(&p, &o, at(105)).waiting.len(), 0, "it is being started, it does not wait");
}

#[test]
fn a_done_pod_is_taken_down_but_not_deleted() {
    let p = app("Never");
    let mut o = observed(vec![ended("a", 0, 0, 1), ended("b", 0, 1, 1)]);
    assert_eq!(run(&p, &o, 2), "teardown");
    o.memory.torn_down = true;
    assert_eq!(run(&p, &o, 2), "");
    // Its sandbox is gone: it does not get another.
    o.sandbox.as_mut().expect("sandbox").ready = false;
    assert_eq!(run(&p, &o, 2), "");
}

#[test]
fn init_containers_run_one_by_one_and_sidecars_stay() {
    let p = pod(json!({"restartPolicy": "Never", "initContainers": [{"name": "i", "image": "i"},
        {"name": "s", "image": "i", "restartPolicy": "Always"}, {"name": "j", "image": "i"}],
        "containers": [{"name": "a", "image": "i"}]}));
    assert_eq!(run(&p, &observed(vec![]), 0), "+i0");
    assert_eq!(run(&p, &observed(vec![running("i", 0)]), 0), "");
    assert_eq!(run(&p, &observed(vec![ended("i", 0, 0, 0)]), 0), "+s0");
    assert_eq!(run(&p, &observed(vec![ended("i", 0, 0, 0), running("s", 0)]), 0), "+j0");
    let through = vec![ended("i", 0, 0, 0), running("s", 0), ended("j", 0, 0, 0)];
    assert_eq!(run(&p, &observed(through.clone()), 0), "+a0");
    // A sidecar that ends comes back, whatever the pod's policy.
    let crashed = vec![ended("i", 0, 0, 0), ended("s", 0, 1, 0), ended("j", 0, 0, 0), running("a", 0)];
    assert_eq!(run(&p, &observed(crashed), 0), "+s1");
    // When the ordinary containers are done, the sidecar goes too.
    let mut done = through;
    done.push(ended("a", 0, 0, 0));
    assert_eq!(run(&p, &observed(done), 0), "-s/30");
    assert_eq!(run(&p, &observed(vec![ended("i", 0, 7, 0)]), 0), "teardown");
}

#[test]
fn failed_probes_end_containers() {
    let p = app("Always");
    let mut o = observed(vec![running("a", 0), running("b", 0)]);
    let memory = o.memory.containers.entry("a".to_owned()).or_default();
    memory.id = "a0".to_owned();
    memory.live = Some(false);
    let plan = decide(&p, &o, at(0));
    let [Step::Stop { message, grace: 30, .. }] = plan.steps.as_slice() else { panic!("{:?}", plan.steps) };
    assert_eq!(message, "Container a failed liveness probe, will be restarted");
    o.memory.containers.get_mut("a").expect("a").id = "another".to_owned();
    assert_eq!(run(&p, &o, 0), "", "the verdict was about an older start");
}

#[test]
fn deletion_ends_containers_then_takes_down_then_deletes() {
    let mut p = app("Always");
    p.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(110)));
    p.metadata.deletion_grace_period_seconds = Some(10);
    let mut o = observed(vec![running("a", 0), ended("b", 0, 0, 1)]);
    assert_eq!(run(&p, &o, 100), "-a/10");
    o.memory.busy.insert(Job::Stop("a0".to_owned()), 10);
    assert_eq!(run(&p, &o, 100), "");
    p.metadata.deletion_grace_period_seconds = Some(0);
    assert_eq!(run(&p, &o, 100), "-a/1", "a shorter grace period counts");
    let mut o = observed(vec![ended("a", 0, 143, 1), ended("b", 0, 0, 1)]);
    assert_eq!(run(&p, &o, 100), "teardown");
    o.memory.torn_down = true;
    assert_eq!(run(&p, &o, 100), "", "the final status comes first");
    o.memory.written = true;
    assert_eq!(run(&p, &o, 100), "delete");
    o.gone = true;
    assert!(decide(&p, &o, at(100)).finished);
}

#[test]
fn all_hooks_begin_at_once_and_signals_come_in_turn() {
    let sidecar = |name: &str| json!({"name": name, "image": "i", "restartPolicy": "Always"});
    let mut p = pod(json!({"initContainers": [sidecar("s"), sidecar("t")],
        "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]}));
    p.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(110)));
    p.metadata.deletion_grace_period_seconds = Some(10);
    let all = vec![running("s", 0), running("t", 0), running("a", 0), running("b", 0)];
    assert_eq!(run(&p, &observed(all), 100), "-s/10>t0,a0,b0 -t/10>a0,b0 -a/10 -b/10");
    assert_eq!(run(&p, &observed(vec![running("s", 0), running("t", 0)]), 100), "-s/10>t0 -t/10");
}

#[test]
fn an_active_deadline_ends_the_pod() {
    let mut p = app("Always");
    p.spec.as_mut().expect("spec").active_deadline_seconds = Some(5);
    p.status.get_or_insert_default().start_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
    let o = observed(vec![running("a", 0), running("b", 0)]);
    assert_eq!(decide(&p, &o, at(3)).wake_at, Some(at(5)));
    assert_eq!(run(&p, &o, 5), "-a/30 -b/30");
}

#[test]
fn a_dead_sandbox_is_replaced_and_init_runs_again() {
    let p = pod(json!({"initContainers": [{"name": "i", "image": "i"}], "containers": [{"name": "a", "image": "i"}]}));
    let mut o = observed(vec![ended("i", 0, 0, 0), ended("a", 0, 255, 0)]);
    o.sandbox.as_mut().expect("sandbox").ready = false;
    assert_eq!(run(&p, &o, 0), "sandbox1");
    let sandbox = o.sandbox.as_mut().expect("sandbox");
    (sandbox.ready, sandbox.config.attempt) = (true, 1);
    assert_eq!(run(&p, &o, 0), "+i1");
}

#[test]
fn only_the_newest_ended_container_is_kept() {
    let o = observed(vec![ended("a", 0, 1, 0), ended("a", 1, 1, 0), running("a", 2), running("b", 0)]);
    assert_eq!(run(&app("Always"), &o, 0), "clean:a0");
}

#[test]
fn changed_limits_are_brought_about_in_place_or_by_a_restart() {
    let with = |policy: &str| {
        pod(json!({"containers": [{"name": "a", "image": "i", "resources": {"limits": {"cpu": "500m", "memory": "1Mi"}},
            "resizePolicy": [{"resourceName": "cpu", "restartPolicy": policy}]}, {"name": "b", "image": "i"}]}))
    };
    let mut o = observed(vec![running("a", 0), running("b", 0)]);
    assert_eq!(run(&with("NotRequired"), &o, 0), "resize:a0");
    assert_eq!(run(&with("RestartContainer"), &o, 0), "-a/30 resize:");
    o.memory.resize_retry = Some(at(9));
    assert_eq!(decide(&with("NotRequired"), &o, at(5)).wake_at, Some(at(9)));
}

#[test]
fn between_the_end_and_the_start_of_a_replacement_nothing_is_told() {
    let stopped = |o: &mut Observed| o.memory.containers.entry("a".to_owned()).or_default().stopped = "a0".to_owned();
    let replacing = |o: &Observed| o.replacing(&o.memory, &Default::default());
    let mut o = observed(vec![ended("a", 0, 0, 1), running("b", 0)]);
    o.memory.busy.insert(Job::Start, 0);
    assert!(!replacing(&o), "it ended by itself");
    stopped(&mut o);
    assert!(replacing(&o));
    let waiting = [("a".to_owned(), Default::default())].into();
    assert!(!o.replacing(&o.memory, &waiting), "it does not start now");
    o.memory.busy.clear();
    assert!(!replacing(&o), "nothing is on its way");
    o.memory.busy.insert(Job::Stop("a0".to_owned()), 0);
    assert!(replacing(&o));
    let mut o = observed(vec![running("a", 0)]);
    o.memory.busy.insert(Job::Stop("a0".to_owned()), 0);
    stopped(&mut o);
    assert!(!replacing(&o), "it still runs, and that is told");
    let mut o = observed(vec![ended("a", 0, 0, 1), running("a", 1)]);
    o.memory.busy.insert(Job::Start, 0);
    stopped(&mut o);
    assert!(!replacing(&o), "its replacement runs");
}

#[test]
fn whatever_fails_is_not_tried_again_at_once() {
    let mut leaving = app("Always");
    leaving.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(100)));
    leaving.metadata.deletion_grace_period_seconds = Some(0);
    let failed = || Outcome::Failed("no space left".to_owned());
    let not_started = || {
        let (container, reason, message) = ("a".to_owned(), "CreateContainerError", "no space left".to_owned());
        Outcome::NotStarted { container, reason, message, pulled: false }
    };
    let mut bare = Observed::default();
    let mut mounted = Observed::default();
    mounted.memory.mounted = true;
    let mut down = observed(vec![]);
    (down.memory.torn_down, down.memory.written, down.sandbox) = (true, true, None);
    bare.memory.admitted = true;
    let two = vec![ended("a", 0, 1, 1), ended("a", 1, 1, 2), running("a", 2), running("b", 0)];
    let cases = [
        ("mount", app("Always"), bare, Job::Mount, Outcome::MountFailed),
        ("sandbox0", app("Always"), mounted, Job::Sandbox, Outcome::SandboxFailed),
        ("+a0", app("Always"), observed(vec![]), Job::Start, not_started()),
        ("clean:a0", app("Always"), observed(two), Job::Clean, failed()),
        ("-a/1", leaving.clone(), observed(vec![running("a", 0)]), Job::Stop("a0".to_owned()), failed()),
        ("teardown", leaving.clone(), observed(vec![]), Job::TearDown, failed()),
        ("delete", leaving, down, Job::Delete, failed()),
    ];
    for (step, pod, mut o, job, outcome) in cases {
        let (now, mut halted) = (at(110), o.clone());
        assert_eq!(short(&decide(&pod, &o, now)), step);
        o.memory.busy.insert(job.clone(), 0);
        outcome::remember(&mut o.memory, &job, &outcome, now);
        let plan = decide(&pod, &o, now);
        assert!(!short(&plan).contains(step) && plan.wake_at.is_some_and(|at| at > now), "{step}: {}, {:?}", short(&plan), plan.wake_at);
        halted.memory.halt = Some(at(112));
        let plan = decide(&pod, &halted, now);
        assert_eq!((short(&plan).as_str(), plan.wake_at), ("", Some(at(112))), "after a panic");
    }
}

/// A pod with one container, of which the API was told this.
fn told(policy: &str, status: serde_json::Value) -> Pod {
    let mut pod = pod(json!({"restartPolicy": policy, "containers": [{"name": "a", "image": "i"}]}));
    pod.status = serde_json::from_value(json!({"containerStatuses": [status]})).expect("a status");
    pod
}

#[test]
fn a_container_whose_records_are_gone_goes_on_from_what_was_told() {
    let status = |state: serde_json::Value, id: &str| {
        json!({"name": "a", "image": "i", "imageID": "", "ready": false, "restartCount": 3, "containerID": id, "state": state})
    };
    let (running, id) = (json!({"running": {}}), "ironclad://x");
    let ended = |code: i32| json!({"terminated": {"exitCode": code}});
    for (policy, state, id, want) in [
        // Its restarts are counted on, and this one with them.
        ("Always", running.clone(), id, "+a4"),
        ("OnFailure", running.clone(), id, "+a4"),
        ("OnFailure", ended(1), id, "+a4"),
        ("Always", json!({"waiting": {"reason": "CrashLoopBackOff"}}), id, "+a4"),
        // It was counted when it was told that it is gone.
        ("Always", json!({"waiting": {"reason": "ContainerCreating"}}), "", "+a3"),
        // What runs once at the most has had its run, and what has succeeded has, too.
        ("Never", running, id, "teardown"),
        ("Never", ended(0), id, "teardown"),
        ("OnFailure", ended(0), id, "teardown"),
    ] {
        assert_eq!(run(&told(policy, status(state.clone(), id)), &observed(vec![]), 0), want, "{policy} {state}");
    }
    let p = told("Never", status(ended(1), id));
    assert_eq!(run(&p, &Observed::default(), 0), "teardown", "no volumes and no sandbox for it");
}
