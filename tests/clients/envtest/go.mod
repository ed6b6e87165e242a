// The controller-runtime whose own suites run on this API server (`go mod download` alone reads this).
module ironclad/tests/clients/envtest

go 1.26.0

require sigs.k8s.io/controller-runtime v0.24.1
