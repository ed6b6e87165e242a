// A live suite in Go: client-go, and a controller of controller-runtime. $KUBECONFIG names the cluster, $IMAGE an image
// with a shell in it.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

const namespace = "client-go"

// world is what each check has.
type world struct {
	config *rest.Config
	client *kubernetes.Clientset
}

// check is one thing that a client does.
type check struct {
	name string
	run  func(context.Context, *world) error
}

var checks = []check{
	{"list, in pages", list},
	{"watch", watch},
	{"informer", informer},
	{"server-side apply", apply},
	{"lease election", election},
	{"a controller of controller-runtime", controller},
	{"exec over a WebSocket", execWebSocket},
	{"exec over SPDY", execSPDY},
	{"copy", copyFile},
	{"port-forward", portForward},
	{"log", log},
}

func main() {
	// What libraries tell of their work is not what is asked here.
	klog.SetLogger(logr.Discard())
	ctrl.SetLogger(logr.Discard())
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must(err)
	// The suite's own requests are not what is to be slow.
	config.QPS, config.Burst = 1000, 1000
	client, err := kubernetes.NewForConfig(config)
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	w := &world{config: config, client: client}
	_, err = client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	must(err)
	must(startPod(ctx, w))
	for _, c := range checks {
		if err := c.run(ctx, w); err != nil {
			fmt.Fprintf(os.Stderr, "FAIL go: %s: %v\n", c.name, err)
			os.Exit(1)
		}
		fmt.Printf("ok   go: %s\n", c.name)
	}
	must(client.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}))
	fmt.Printf("go: %d passed, 0 failed\n", len(checks))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL go:", err)
		os.Exit(1)
	}
}
