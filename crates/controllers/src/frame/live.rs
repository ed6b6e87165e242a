//! The live API: steps as requests, under the controller's own identity.

use http::{Method, Request};
use meta::Key;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Answer, Api};
use super::plan::{Failure, Op, Step, Type};

/// Steps as requests through a client.
#[derive(Clone)]
pub struct Live(pub kube::Client);

/// The part of an answer that matters.
#[derive(Deserialize, Default)]
struct Head {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: HeadMeta,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct HeadMeta {
    name: String,
    uid: String,
    resource_version: String,
    deletion_timestamp: Option<String>,
}

impl Live {
    async fn send(&self, method: Method, path: &str, kind: &str, body: Option<&Value>) -> Result<Head, kube::Error> {
        let body = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, kind).body(body);
        self.0.request(request.map_err(kube::Error::HttpError)?).await
    }

    async fn json(&self, method: Method, path: &str, body: &Value) -> Result<Head, kube::Error> {
        self.send(method, path, "application/json", Some(body)).await
    }

    async fn patch(&self, path: &str, body: &Value) -> Result<Head, kube::Error> {
        self.send(Method::PATCH, path, "application/strategic-merge-patch+json", Some(body)).await
    }

    async fn request(&self, step: &Step) -> Result<Head, kube::Error> {
        let path = step.target.path(&step.key);
        match &step.op {
            Op::Create(body) => {
                let collection = Key { name: "".into(), ..step.key.clone() };
                self.json(Method::POST, &step.target.path(&collection), body).await
            }
            Op::Update(body) => self.json(Method::PUT, &path, body).await,
            Op::UpdateStatus(body) => self.json(Method::PUT, &format!("{path}/status"), body).await,
            Op::Patch { body, status: true } => self.patch(&format!("{path}/status"), body).await,
            Op::Patch { body, status: false } => self.patch(&path, body).await,
            Op::Adopt { owner, owner_name, owner_uid, uid } => {
                self.recheck(owner, &Key::new(&step.key.namespace, owner_name), owner_uid).await?;
                self.patch(&path, &adoption(owner, owner_name, owner_uid, uid)).await
            }
            Op::Release { owner_uid, uid } => {
                let references = json!([{"$patch": "delete", "uid": owner_uid}]);
                self.patch(&path, &json!({"metadata": {"uid": uid, "ownerReferences": references}})).await
            }
            Op::Delete { uid, grace } => {
                let mut options = json!({
                    "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid},
                });
                if let Some(grace) = grace {
                    options["gracePeriodSeconds"] = json!(grace);
                }
                self.json(Method::DELETE, &path, &options).await
            }
        }
    }

    /// An owner may adopt only while it is alive, by the API's word, not by the stream's.
    async fn recheck(&self, owner: &Type, key: &Key, uid: &str) -> Result<(), kube::Error> {
        let live = self.send(Method::GET, &owner.path(key), "application/json", None).await?;
        if live.metadata.uid == uid && live.metadata.deletion_timestamp.is_none() {
            return Ok(());
        }
        let message = format!("original {} {key} is gone or being deleted: it adopts nothing", owner.kind);
        let status = kube::core::Status { code: 409, message, reason: "Conflict".into(), ..Default::default() };
        Err(kube::Error::Api(Box::new(status)))
    }
}

/// The patch that makes an owner the controller of an object.
fn adoption(owner: &Type, name: &str, owner_uid: &str, uid: &str) -> Value {
    let api_version = meta::names::join_api_version(&owner.group, &owner.version);
    json!({"metadata": {"uid": uid, "ownerReferences": [{
        "apiVersion": api_version, "kind": owner.kind, "name": name, "uid": owner_uid,
        "controller": true, "blockOwnerDeletion": true,
    }]}})
}

impl Api for Live {
    async fn act(&self, step: &Step) -> Result<Option<Answer>, Failure> {
        match self.request(step).await {
            Ok(head) if head.kind == "Status" => Ok(Some(Answer { name: step.key.name.to_string(), revision: 0 })),
            Ok(head) => {
                let revision = head.metadata.resource_version.parse().unwrap_or(0);
                Ok(Some(Answer { name: head.metadata.name, revision }))
            }
            // Gone already, which the stream will show. Only a creation can miss something else.
            Err(kube::Error::Api(status)) if status.code == 404 && !matches!(step.op, Op::Create(_)) => Ok(None),
            Err(error) => Err(failure(step, error)),
        }
    }
}

fn failure(step: &Step, error: kube::Error) -> Failure {
    let (reason, message, terminating) = match error {
        kube::Error::Api(status) => {
            let causes = status.details.as_ref().map(|d| d.causes.as_slice()).unwrap_or_default();
            let terminating = causes.iter().any(|cause| cause.reason == "NamespaceTerminating");
            (status.reason.clone(), status.message.clone(), terminating)
        }
        other => (String::new(), other.to_string(), false),
    };
    let (_, _, verb) = step.permission();
    let resource = step.target.plural.clone();
    Failure { verb, resource, key: step.key.clone(), reason, message, terminating }
}
