//! Which specs a run takes.

use super::report::{Outcome, Row};

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

/// Which of the specs that match.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Selection<'a> {
    /// The conformance specs that are not serial.
    Parallel,
    /// The conformance specs that are.
    Serial,
    /// The conformance specs that need no container.
    ApiOnly,
    /// All conformance specs.
    Conformance,
    /// Every spec of the suite.
    Any,
    /// Those with these names.
    Named(&'a [String]),
}

impl Selection<'_> {
    /// The chosen specs of a list: those that may run beside others, and those that may not.
    pub fn choose(self, specs: &[Row]) -> (Vec<Row>, Vec<Row>) {
        let chosen = specs.iter().filter(|spec| spec.outcome == Outcome::Passed && self.has(spec)).cloned();
        chosen.partition(|spec| !spec.serial())
    }

    fn has(self, spec: &Row) -> bool {
        match self {
            Selection::Parallel => spec.conformance && !spec.serial(),
            Selection::Serial => spec.conformance && spec.serial(),
            Selection::ApiOnly => spec.conformance && API_ONLY.contains(&spec.file.as_str()),
            Selection::Conformance => spec.conformance,
            Selection::Any => true,
            Selection::Named(names) => names.contains(&spec.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_specs_never_run_beside_others() {
        let spec = |name: &str, file: &str, outcome| Row {
            name: name.into(),
            file: file.into(),
            outcome,
            seconds: 0.0,
            line: String::new(),
            conformance: true,
        };
        let specs = [
            spec("a", "apimachinery/watch.go", Outcome::Passed),
            spec("b [Serial]", "apimachinery/namespace.go", Outcome::Passed),
            spec("c", "common/node/pods.go", Outcome::Passed),
            spec("d", "apimachinery/watch.go", Outcome::NotRun),
        ];
        let names = |selection: Selection| {
            let (parallel, serial) = selection.choose(&specs);
            [parallel, serial].map(|rows| rows.into_iter().map(|row| row.name).collect::<Vec<_>>())
        };
        assert_eq!(names(Selection::ApiOnly), [vec!["a".to_owned()], vec!["b [Serial]".to_owned()]]);
        assert_eq!(names(Selection::Parallel), [vec!["a".to_owned(), "c".to_owned()], vec![]]);
    }
}
