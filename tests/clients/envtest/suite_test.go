// The suite of pkg/envtest of controller-runtime for its specs about definitions: this file takes the place of its own
// (go test -overlay), which installs webhook configurations, too.
package envtest

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

var env *Environment

func TestSource(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Envtest Suite without webhooks")
}

var _ = BeforeSuite(func() {
	logf.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	env = &Environment{}
	_, err := env.Start()
	Expect(err).NotTo(HaveOccurred())
})

var _ = AfterSuite(func() {
	Expect(env.Stop()).To(Succeed())
})
