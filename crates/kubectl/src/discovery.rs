//! Which resources the server has, and which of them a word on the command line means.

use serde_json::Value;

use crate::failure::Failure;
use crate::session::Session;

/// Asks for one document with all groups; an old server answers with the list of groups.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// One served resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group, empty for the core.
    pub group: String,
    /// Version in the group.
    pub version: String,
    /// Plural name, as in paths.
    pub name: String,
    /// Kind of the objects.
    pub kind: String,
    /// Singular name.
    pub singular: String,
    /// Short names.
    pub short: Vec<String>,
    /// Categories, for example `all`.
    pub categories: Vec<String>,
    /// Verbs.
    pub verbs: Vec<String>,
    /// Whether objects are in namespaces.
    pub namespaced: bool,
    /// Whether this is the group's preferred version of the resource.
    pub preferred: bool,
}

impl Resource {
    /// `v1`, `apps/v1`.
    pub fn group_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `pod`, `deployment.apps`: how messages name the type.
    pub fn label(&self) -> String {
        let kind = self.kind.to_lowercase();
        match self.group.as_str() {
            "" => kind,
            group => format!("{kind}.{group}"),
        }
    }

    /// `pods`, `deployments.apps`.
    pub fn plural_label(&self) -> String {
        match self.group.as_str() {
            "" => self.name.clone(),
            group => format!("{}.{group}", self.name),
        }
    }

    /// The path of the collection; `namespace` is ignored for cluster-wide resources and may be empty.
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        match (self.namespaced, namespace) {
            (true, namespace) if !namespace.is_empty() => {
                format!("{root}/{}/namespaces/{namespace}/{}", self.group_version(), self.name)
            }
            _ => format!("{root}/{}/{}", self.group_version(), self.name),
        }
    }

    /// The path of one object.
    pub fn object_path(&self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.path(namespace))
    }

    fn answers_to(&self, word: &str) -> bool {
        self.name == word || self.singular == word || self.kind.to_lowercase() == word
    }
}

/// All resources of the server, in its order of preference.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// One entry for each resource and version.
    pub resources: Vec<Resource>,
}

impl Discovery {
    /// Asks the server.
    pub async fn fetch(session: &Session) -> Result<Discovery, Failure> {
        let mut resources = Vec::new();
        for root in ["/api", "/apis"] {
            let document = session.json("GET", root, AGGREGATED, None).await?;
            for group in list(&document["items"]) {
                read_group(group, &mut resources);
            }
        }
        Ok(Discovery { resources })
    }

    /// The resource that a word means: plural, singular, short name or kind, with group and version if
    /// the word has dots (`deployments.apps`, `deployments.v1.apps`).
    pub fn find(&self, word: &str) -> Result<&Resource, Failure> {
        let lower = word.to_lowercase();
        let (name, suffix) = lower.split_once('.').unwrap_or((lower.as_str(), ""));
        let fits = |r: &&Resource| {
            suffix.is_empty() && r.preferred
                || r.preferred && (r.group == suffix || r.group.starts_with(suffix) && !suffix.is_empty())
                || suffix == format!("{}.{}", r.version, r.group).trim_end_matches('.')
        };
        let candidates = || self.resources.iter().filter(fits);
        candidates()
            .find(|r| r.answers_to(name))
            .or_else(|| candidates().find(|r| r.short.iter().any(|s| s == name)))
            .ok_or_else(|| Failure::message(format!("the server doesn't have a resource type \"{name}\"")))
    }

    /// The members of a category, for example `all`.
    pub fn category(&self, word: &str) -> Vec<&Resource> {
        self.resources.iter().filter(|r| r.preferred && r.categories.iter().any(|c| c == word)).collect()
    }

    /// The resource of a manifest's kind.
    pub fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        self.resources.iter().find(|r| r.kind == kind && r.group_version() == api_version)
    }
}

fn read_group(group: &Value, resources: &mut Vec<Resource>) {
    let name = text(&group["metadata"]["name"]);
    for version in list(&group["versions"]) {
        for resource in list(&version["resources"]) {
            let plural = text(&resource["resource"]);
            let preferred = !resources.iter().any(|r| r.group == name && r.name == plural);
            resources.push(Resource {
                group: name.clone(),
                version: text(&version["version"]),
                kind: text(&resource["responseKind"]["kind"]),
                singular: text(&resource["singularResource"]),
                short: texts(&resource["shortNames"]),
                categories: texts(&resource["categories"]),
                verbs: texts(&resource["verbs"]),
                namespaced: resource["scope"] == "Namespaced",
                name: plural,
                preferred,
            });
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    list(value).iter().map(text).collect()
}
