package envtest

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)
var _ = envtest.Environment{}
var _ = metav1.ObjectMeta{}
var _ = apiextensionsv1.CustomResourceDefinition{}
func TestX(t *testing.T) { RegisterFailHandler(Fail) ; _ = Describe}
