//! Requests about any resource, known only at run time, and the discovery of all there are.

use http::{Method, Request};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A resource, as discovery tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: String,
    /// Version, the group's preferred one.
    pub version: String,
    /// Lower-case plural.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What can be done with it.
    pub verbs: Vec<String>,
}

impl Resource {
    /// Whether all these verbs are supported.
    pub fn can(&self, verbs: &[&str]) -> bool {
        verbs.iter().all(|verb| self.verbs.iter().any(|v| v == verb))
    }

    /// The path of an object, or of the collection if the name is empty.
    pub fn path(&self, namespace: &str, name: &str) -> String {
        let mut path = match self.group.as_str() {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        if self.namespaced && !namespace.is_empty() {
            path += &format!("/namespaces/{namespace}");
        }
        path += &format!("/{}", self.name);
        if !name.is_empty() {
            path += &format!("/{name}");
        }
        path
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Groups {
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    metadata: ObjectMeta,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    resources: Vec<Discovered>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    resource: String,
    #[serde(default)]
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    verbs: Vec<String>,
}

#[derive(Deserialize)]
struct ResponseKind {
    kind: String,
}

/// An object of which only the metadata is known.
#[derive(Clone, Debug, Deserialize)]
pub struct Partial {
    /// The metadata.
    pub metadata: ObjectMeta,
}

#[derive(Deserialize)]
struct PartialList {
    #[serde(default)]
    items: Vec<Partial>,
}

/// Requests through a client.
#[derive(Clone)]
pub struct Rest(pub Client);

impl Rest {
    async fn send(&self, method: Method, path: &str, accept: &str, kind: &str, body: Option<&Value>) -> kube::Result<Value> {
        let body = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder().method(method).uri(path);
        let request = request.header(http::header::ACCEPT, accept).header(http::header::CONTENT_TYPE, kind).body(body);
        self.0.request(request.map_err(kube::Error::HttpError)?).await
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, path: &str, accept: &str) -> kube::Result<T> {
        let value = self.send(Method::GET, path, accept, "application/json", None).await?;
        serde_json::from_value(value).map_err(kube::Error::SerdeError)
    }

    /// All resources, each in the first version that discovery lists: the preferred one.
    pub async fn discover(&self) -> kube::Result<Vec<Resource>> {
        let mut all: Vec<Resource> = Vec::new();
        for path in ["/api", "/apis"] {
            let groups: Groups = self.read(path, DISCOVERY).await?;
            for group in groups.items {
                let name = group.metadata.name.unwrap_or_default();
                for version in group.versions {
                    let new = version.resources.into_iter().map(|found| resource(&name, &version.version, found));
                    for resource in new {
                        if !all.iter().any(|r| r.group == resource.group && r.name == resource.name) {
                            all.push(resource);
                        }
                    }
                }
            }
        }
        Ok(all)
    }

    /// The metadata of one object.
    pub async fn metadata(&self, resource: &Resource, namespace: &str, name: &str) -> kube::Result<Partial> {
        self.read(&resource.path(namespace, name), METADATA).await
    }

    /// The metadata of all objects in a namespace.
    pub async fn list(&self, resource: &Resource, namespace: &str) -> kube::Result<Vec<Partial>> {
        let list: PartialList = self.read(&resource.path(namespace, ""), METADATA_LIST).await?;
        Ok(list.items)
    }

    /// Deletes one object.
    pub async fn delete(&self, resource: &Resource, namespace: &str, name: &str, options: &Value) -> kube::Result<()> {
        let path = resource.path(namespace, name);
        self.send(Method::DELETE, &path, "application/json", "application/json", Some(options)).await.map(|_| ())
    }

    /// Deletes all objects in a namespace.
    pub async fn delete_all(&self, resource: &Resource, namespace: &str, options: &Value) -> kube::Result<()> {
        self.delete(resource, namespace, "", options).await
    }

    /// Patches one object by a JSON merge patch.
    pub async fn merge(&self, resource: &Resource, namespace: &str, name: &str, patch: &Value) -> kube::Result<()> {
        let path = resource.path(namespace, name);
        self.send(Method::PATCH, &path, METADATA, "application/merge-patch+json", Some(patch)).await.map(|_| ())
    }
}

fn resource(group: &str, version: &str, found: Discovered) -> Resource {
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        name: found.resource,
        kind: found.response_kind.map(|k| k.kind).unwrap_or_default(),
        namespaced: found.scope == "Namespaced",
        verbs: found.verbs,
    }
}

/// Whether an error is an answer with this status code.
pub fn is_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

/// The text of an error for people.
pub fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
