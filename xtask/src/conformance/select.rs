//! Which specs a run of the suite takes, as ginkgo's filters.

/// Files of the suite whose specs need no running container: the API server and the controllers suffice.
const API_ONLY: &[&str] = &[
    "apimachinery/aggregated_discovery.go",
    "apimachinery/chunking.go",
    "apimachinery/crd_publish_openapi.go",
    "apimachinery/crd_watch.go",
    "apimachinery/custom_resource_definition.go",
    "apimachinery/discovery.go",
    "apimachinery/field_validation.go",
    "apimachinery/flowcontrol.go",
    "apimachinery/garbage_collector.go",
    "apimachinery/mutatingadmissionpolicy.go",
    "apimachinery/namespace.go",
    "apimachinery/resource_quota.go",
    "apimachinery/server_version.go",
    "apimachinery/table_conversion.go",
    "apimachinery/validatingadmissionpolicy.go",
    "apimachinery/watch.go",
    "auth/certificates.go",
    "auth/subjectreviews.go",
    "common/node/lease.go",
    "common/node/podtemplates.go",
    "dra/dra.go",
    "instrumentation/core_events.go",
    "instrumentation/events.go",
    "network/apiserver.go",
    "network/endpoints.go",
    "network/endpointslicemirroring.go",
    "network/ingress.go",
    "network/ingressclass.go",
    "network/service_cidrs.go",
    "node/node_lifecycle.go",
    "scheduling/limit_range.go",
    "storage/csi_inline.go",
    "storage/csi_node.go",
    "storage/csistoragecapacity.go",
    "storage/persistent_volumes.go",
    "storage/storageclass.go",
    "storage/volumeattributesclass.go",
];

/// Specs that are run together by one call of ginkgo.
pub struct Part {
    /// Its name, for its files.
    pub name: String,
    /// Ginkgo's label filter.
    pub labels: String,
    /// Patterns for names; none means all.
    pub focus: Vec<String>,
    /// Patterns for files; none means all.
    pub files: Vec<String>,
    /// One at a time.
    pub serial: bool,
}

impl Part {
    /// The conformance specs, either the serial ones or the others.
    pub fn conformance(focus: Option<&str>, serial: bool) -> Part {
        Part::new("conformance", &["Conformance"], focus, serial)
    }

    /// Those of them that need no container.
    pub fn api_only(focus: Option<&str>, serial: bool) -> Part {
        let files = API_ONLY.iter().map(|file| format!("test/e2e/{}$", escape(file))).collect();
        Part { files, ..Part::new("api-only", &["Conformance"], focus, serial) }
    }

    /// Any specs of the suite.
    pub fn any(focus: &str, serial: bool) -> Part {
        Part::new("focus", &[], Some(focus), serial)
    }

    /// The specs with these names.
    pub fn named(name: &str, specs: &[String], serial: bool) -> Part {
        let names: Vec<String> = specs.iter().map(|spec| escape(spec)).collect();
        let focus = vec![format!("^Kubernetes e2e suite ({})$", names.join("|"))];
        Part { name: file(name, serial), labels: String::new(), focus, files: Vec::new(), serial }
    }

    fn new(name: &str, labels: &[&str], focus: Option<&str>, serial: bool) -> Part {
        let own = if serial { "Serial" } else { "!Serial" };
        let labels = labels.iter().copied().chain([own]).collect::<Vec<_>>().join(" && ");
        Part { name: file(name, serial), labels, focus: focus.map(str::to_owned).into_iter().collect(), files: Vec::new(), serial }
    }

    /// The arguments for the ginkgo command.
    pub fn arguments(&self) -> Vec<String> {
        let labels = (!self.labels.is_empty()).then(|| format!("--label-filter={}", self.labels));
        let focus = self.focus.iter().map(|pattern| format!("--focus={pattern}"));
        let files = self.files.iter().map(|pattern| format!("--focus-file={pattern}"));
        labels.into_iter().chain(focus).chain(files).collect()
    }
}

fn file(name: &str, serial: bool) -> String {
    if serial { format!("{name}-serial") } else { name.to_owned() }
}

/// The text as a regular expression that matches it alone.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_ascii_punctuation() && !matches!(c, '/' | '-' | '_' | '"' | '\'' | ',' | ':' | ';' | '=' | '<' | '>' | '@' | '%' | '&' | '!' | '~' | '`' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_literally() {
        assert_eq!(escape("[sig-node] Pods should (x) 1.5"), r"\[sig-node\] Pods should \(x\) 1\.5");
        let part = Part::named("green", &["a [x]".to_owned(), "b".to_owned()], false);
        assert_eq!(part.arguments(), [r"--focus=^Kubernetes e2e suite (a \[x\]|b)$"]);
    }

    #[test]
    fn serial_specs_are_never_run_in_parallel() {
        assert_eq!(Part::conformance(None, false).arguments(), ["--label-filter=Conformance && !Serial"]);
        assert_eq!(Part::any("Pods", true).arguments(), ["--label-filter=Serial", "--focus=Pods"]);
    }
}
