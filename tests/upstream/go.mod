// Upstream's published specification, as data: `cargo xtask codegen` and the fixture tests read it
// from the module cache. Nothing here is compiled.
module ironclad/tests/upstream

go 1.26

require (
	k8s.io/api v0.36.3
	k8s.io/apiextensions-apiserver v0.36.3
	k8s.io/apimachinery v0.36.3
	k8s.io/kube-aggregator v0.36.3
	k8s.io/kubernetes v1.36.3
)
