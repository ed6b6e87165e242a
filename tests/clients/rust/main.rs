//! A live suite in Rust: kube-rs. $KUBECONFIG names the cluster, $IMAGE an image with a shell in it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{
    AttachParams, AttachedProcess, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::runtime::{WatchStreamExt, reflector, wait, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const NAMESPACE: &str = "client-rust";
const PATIENCE: Duration = Duration::from_secs(30);

/// What is checked: its name, and how.
type Check = (&'static str, fn(Client) -> BoxFuture<'static, Result<()>>);

const ALL: &[Check] = &[
    ("list, in pages", |c| Box::pin(list_in_pages(c))),
    ("watch", |c| Box::pin(watch(c))),
    ("a watch that is too old", |c| Box::pin(too_old(c))),
    ("informer", |c| Box::pin(informer(c, watcher::Config::default()))),
    ("informer whose list is a watch", |c| Box::pin(informer(c, watcher::Config::default().streaming_lists()))),
    ("server-side apply", |c| Box::pin(apply(c))),
    ("lease election", |c| Box::pin(election(c))),
    ("exec", |c| Box::pin(exec(c))),
    ("copy", |c| Box::pin(copy(c))),
    ("port-forward", |c| Box::pin(port_forward(c))),
    ("log", |c| Box::pin(log(c))),
];

#[tokio::main]
async fn main() -> Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::try_default().await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
    namespaces.create(&PostParams::default(), &namespace).await?;
    start_pod(client.clone()).await?;
    for (name, check) in ALL {
        let checked = tokio::time::timeout(PATIENCE, check(client.clone())).await;
        checked.with_context(|| format!("{name}: it takes too long"))?.with_context(|| (*name).to_owned())?;
        println!("ok   rust: {name}");
    }
    namespaces.delete(NAMESPACE, &DeleteParams::default()).await?;
    println!("rust: {} passed, 0 failed", ALL.len());
    Ok(())
}

fn maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, NAMESPACE)
}

fn map(name: &str, colour: &str) -> Result<ConfigMap> {
    let value = json!({"metadata": {"name": name, "labels": {"suite": "rust"}}, "data": {"colour": colour}});
    Ok(serde_json::from_value(value)?)
}

fn code<T: std::fmt::Debug>(answer: kube::Result<T>) -> Result<u16> {
    match answer {
        Err(kube::Error::Api(status)) => Ok(status.code),
        other => bail!("{other:?} instead of a refusal"),
    }
}

async fn start_pod(client: Client) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client, NAMESPACE);
    let command = "echo hello > /tmp/index.html; echo started; exec httpd -f -p 8080 -h /tmp";
    let container = json!({"name": "c", "image": std::env::var("IMAGE")?, "command": ["sh", "-c", command]});
    let spec = json!({"terminationGracePeriodSeconds": 0, "containers": [container]});
    pods.create(&PostParams::default(), &serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec}))?).await?;
    tokio::time::timeout(PATIENCE, wait::await_condition(pods, "p", wait::conditions::is_pod_running())).await??;
    Ok(())
}

async fn list_in_pages(client: Client) -> Result<()> {
    let maps = maps(client);
    for number in 0..7 {
        maps.create(&PostParams::default(), &map(&format!("page-{number}"), "blue")?).await?;
    }
    let (mut names, mut pages, mut params) = (BTreeSet::new(), 0, ListParams::default().labels("suite=rust").limit(3));
    loop {
        let page = maps.list(&params).await?;
        pages += 1;
        names.extend(page.items.iter().map(ResourceExt::name_any));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    ensure!((names.len(), pages) == (7, 3), "{names:?} {pages}");
    let metadata = maps.list_metadata(&ListParams::default().labels("suite=rust")).await?;
    ensure!(metadata.items.len() == 7, "metadata alone");
    Ok(())
}

async fn watch(client: Client) -> Result<()> {
    let maps = maps(client);
    let before = maps.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
    maps.create(&PostParams::default(), &map("watched", "blue")?).await?;
    maps.patch("watched", &PatchParams::default(), &Patch::Merge(json!({"data": {"colour": "green"}}))).await?;
    maps.delete("watched", &DeleteParams::default()).await?;
    let mut events = maps.watch(&WatchParams::default(), &before).await?.boxed();
    let mut seen = Vec::new();
    while let Some(event) = events.try_next().await? {
        let colour = |map: ConfigMap| map.data.unwrap_or_default().remove("colour").unwrap_or_default();
        match event {
            WatchEvent::Added(map) => seen.push(("added", colour(map))),
            WatchEvent::Modified(map) => seen.push(("modified", colour(map))),
            WatchEvent::Deleted(map) => {
                seen.push(("deleted", colour(map)));
                break;
            }
            other => bail!("{other:?}"),
        }
    }
    let wanted = [("added", "blue"), ("modified", "green"), ("deleted", "green")];
    ensure!(seen.iter().map(|(sort, colour)| (*sort, colour.as_str())).eq(wanted), "{seen:?}");
    Ok(())
}

async fn too_old(client: Client) -> Result<()> {
    let events = maps(client).watch(&WatchParams::default().timeout(2), "1").await;
    let first = match events {
        Err(kube::Error::Api(status)) => return Ok(ensure!(status.code == 410, "{status:?}")),
        Err(error) => return Err(error.into()),
        Ok(events) => events.boxed().try_next().await?,
    };
    // What is old enough is gone; what is not, is told from there on.
    match first {
        Some(WatchEvent::Error(status)) => ensure!(status.code == 410, "{status:?}"),
        Some(WatchEvent::Added(_)) | None => {}
        other => bail!("{other:?}"),
    }
    Ok(())
}

async fn informer(client: Client, config: watcher::Config) -> Result<()> {
    let maps = maps(client);
    let name = format!("informed-{:?}", config.initial_list_strategy).to_lowercase();
    let name = name.split([' ', '{']).next().unwrap_or_default().to_owned();
    let (store, writer) = reflector::store();
    let stream = reflector::reflector(writer, watcher(maps.clone(), config)).applied_objects();
    let mut stream = std::pin::pin!(stream);
    let there = stream.try_next().await?.context("nothing is there")?;
    maps.create(&PostParams::default(), &map(&name, "blue")?).await?;
    let mut last = there;
    while last.name_any() != name {
        last = stream.try_next().await?.context("the stream ended")?;
    }
    ensure!(store.state().iter().any(|map| map.name_any() == name), "it is not in the store");
    ensure!(store.len() > 1, "nor is what was there before");
    Ok(())
}

async fn apply(client: Client) -> Result<()> {
    let maps = maps(client);
    let of = |colour: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"colour": colour}});
    maps.patch("applied", &PatchParams::apply("one"), &Patch::Apply(of("blue"))).await?;
    let conflict = maps.patch("applied", &PatchParams::apply("other"), &Patch::Apply(of("red"))).await;
    ensure!(code(conflict)? == 409, "no conflict");
    let forced = maps.patch("applied", &PatchParams::apply("other").force(), &Patch::Apply(of("red"))).await?;
    ensure!(forced.data.and_then(|mut data| data.remove("colour")).as_deref() == Some("red"), "not applied");
    let managers = forced.metadata.managed_fields.unwrap_or_default();
    ensure!(managers.iter().any(|entry| entry.manager.as_deref() == Some("other")), "{managers:?}");
    Ok(())
}

/// Takes the lease, if nobody has it; whoever it belongs to afterwards.
async fn candidate(leases: &Api<Lease>, name: &str) -> Result<String> {
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    let spec = json!({"holderIdentity": name, "leaseDurationSeconds": 15, "acquireTime": now, "renewTime": now});
    let lease: Lease = serde_json::from_value(json!({"metadata": {"name": "leader"}, "spec": spec}))?;
    match leases.create(&PostParams::default(), &lease).await {
        Ok(_) => {}
        refused => ensure!(code(refused)? == 409, "the lease was there"),
    }
    let held = leases.get("leader").await?;
    held.spec.and_then(|spec| spec.holder_identity).context("nobody holds it")
}

async fn election(client: Client) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(client, NAMESPACE);
    let turns = futures::future::try_join_all(["a", "b", "c"].map(|name| candidate(&leases, name))).await?;
    ensure!(turns.iter().all(|holder| *holder == turns[0]), "more than one leads: {turns:?}");
    let mut held = leases.get("leader").await?;
    let mut late = held.clone();
    held.spec.get_or_insert_default().lease_transitions = Some(1);
    leases.replace("leader", &PostParams::default(), &held).await?;
    // Whoever writes with an old revision hears that somebody else was there.
    late.spec.get_or_insert_default().holder_identity = Some("late".to_owned());
    let refused = leases.replace("leader", &PostParams::default(), &late).await;
    ensure!(code(refused)? == 409, "a late candidate took the lease");
    Ok(())
}

async fn started(client: Client, stdin: bool, command: &[&str]) -> Result<AttachedProcess> {
    let pods: Api<Pod> = Api::namespaced(client, NAMESPACE);
    let params = AttachParams::default().container("c").stdin(stdin);
    Ok(pods.exec("p", command.iter().copied(), &params).await?)
}

async fn said(mut process: AttachedProcess, input: &[u8]) -> Result<(Vec<u8>, String, Value)> {
    let status = process.take_status().context("no status")?;
    let (mut out, mut err) = (Vec::new(), String::new());
    let stdin = process.stdin();
    let (mut stdout, mut stderr) = (process.stdout().context("stdout")?, process.stderr().context("stderr")?);
    let write = async {
        if let Some(mut stdin) = stdin {
            stdin.write_all(input).await?;
            stdin.shutdown().await?;
        }
        Ok(())
    };
    tokio::try_join!(write, stdout.read_to_end(&mut out), stderr.read_to_string(&mut err))?;
    let status = serde_json::to_value(status.await)?;
    Ok((out, err, status))
}

async fn exec(client: Client) -> Result<()> {
    let process = started(client, true, &["sh", "-c", "read x; echo out $x; echo err >&2; exit 7"]).await?;
    let (out, err, status) = said(process, b"in\n").await?;
    ensure!((out.as_slice(), err.as_str()) == (&b"out in\n"[..], "err\n"), "{out:?} {err:?}");
    ensure!(status["details"]["causes"][0]["message"] == "7", "{status}");
    Ok(())
}

async fn copy(client: Client) -> Result<()> {
    let content: Vec<u8> = (0..1u32 << 18).flat_map(u32::to_le_bytes).collect();
    // What ends with its input needs no sign of the other side that it has read it.
    let (_, err, status) = said(started(client.clone(), true, &["sh", "-c", "cat > /tmp/file"]).await?, &content).await?;
    ensure!(status["status"] == "Success", "{status} {err}");
    let (back, _, _) = said(started(client, false, &["cat", "/tmp/file"]).await?, &[]).await?;
    ensure!(back == content, "{} bytes came back", back.len());
    Ok(())
}

async fn port_forward(client: Client) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client, NAMESPACE);
    let mut forward = pods.portforward("p", &[8080]).await?;
    let mut stream = forward.take_stream(8080).context("no stream")?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.ends_with("hello\n"), "{answer}");
    Ok(())
}

async fn log(client: Client) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client, NAMESPACE);
    ensure!(pods.logs("p", &LogParams::default()).await?.contains("started"), "it says nothing");
    let follow = LogParams { follow: true, ..LogParams::default() };
    let stream = pods.log_stream("p", &follow).await?;
    let mut lines = futures::io::AsyncBufReadExt::lines(stream);
    let first = lines.try_next().await?.context("the log ends")?;
    ensure!(first == "started", "{first}");
    Ok(())
}
