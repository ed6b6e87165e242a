package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apimachinerywatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

// A pod that says hello on a port, and in its log.
func startPod(ctx context.Context, w *world) error {
	grace := int64(0)
	command := "echo hello > /tmp/index.html; echo started; exec httpd -f -p 8080 -h /tmp"
	pods := w.client.CoreV1().Pods(namespace)
	_, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p"},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			Containers:                    []corev1.Container{{Name: "c", Image: os.Getenv("IMAGE"), Command: []string{"sh", "-c", command}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	watcher, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=p"})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if pod, is := event.Object.(*corev1.Pod); is && event.Type != apimachinerywatch.Deleted {
			for _, condition := range pod.Status.Conditions {
				if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
					return nil
				}
			}
		}
	}
	return fmt.Errorf("the pod is not ready")
}

type executor func(w *world, request string) (remotecommand.Executor, error)

func run(ctx context.Context, w *world, open executor, stdin io.Reader, command ...string) (string, error) {
	request := w.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name("p").SubResource("exec")
	request.VersionedParams(&corev1.PodExecOptions{
		Container: "c", Command: command, Stdin: stdin != nil, Stdout: true, Stderr: true,
	}, scheme.ParameterCodec)
	stream, err := open(w, request.URL().String())
	if err != nil {
		return "", err
	}
	var out, errors bytes.Buffer
	err = stream.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: &out, Stderr: &errors})
	return out.String() + errors.String(), err
}

func overWebSocket(w *world, url string) (remotecommand.Executor, error) {
	return remotecommand.NewWebSocketExecutor(w.config, "GET", url)
}

func overSPDY(w *world, url string) (remotecommand.Executor, error) {
	transport, upgrader, err := spdy.RoundTripperFor(w.config)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest("POST", url, nil)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewSPDYExecutorForTransports(transport, upgrader, "POST", request.URL)
}

func executes(ctx context.Context, w *world, open executor) error {
	said, err := run(ctx, w, open, strings.NewReader("in\n"), "sh", "-c", "read x; echo out $x; echo err >&2")
	if err != nil || !strings.Contains(said, "out in\n") || !strings.Contains(said, "err\n") {
		return fmt.Errorf("%q %v", said, err)
	}
	_, err = run(ctx, w, open, nil, "sh", "-c", "exit 7")
	if code, is := err.(exec.CodeExitError); !is || code.Code != 7 {
		return fmt.Errorf("the exit code: %v", err)
	}
	return nil
}

func execWebSocket(ctx context.Context, w *world) error { return executes(ctx, w, overWebSocket) }

func execSPDY(ctx context.Context, w *world) error { return executes(ctx, w, overSPDY) }

// A megabyte there and back, as kubectl cp does it.
func copyFile(ctx context.Context, w *world) error {
	content := bytes.Repeat([]byte("0123456789abcdef"), 65536)
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	if err := writer.WriteHeader(&tar.Header{Name: "file", Mode: 0o600, Size: int64(len(content))}); err != nil {
		return err
	}
	if _, err := writer.Write(content); err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	if said, err := run(ctx, w, overWebSocket, &archive, "tar", "-xmf", "-", "-C", "/tmp"); err != nil {
		return fmt.Errorf("%s %w", said, err)
	}
	back, err := run(ctx, w, overWebSocket, nil, "tar", "-cf", "-", "-C", "/tmp", "file")
	if err != nil {
		return err
	}
	reader := tar.NewReader(strings.NewReader(back))
	if _, err := reader.Next(); err != nil {
		return err
	}
	found, err := io.ReadAll(reader)
	if err != nil || !bytes.Equal(found, content) {
		return fmt.Errorf("%d bytes came back: %v", len(found), err)
	}
	return nil
}

func portForward(ctx context.Context, w *world) error {
	url := w.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name("p").SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(w.config)
	if err != nil {
		return err
	}
	overSPDY := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", url)
	overWebSocket, err := portforward.NewSPDYOverWebsocketDialer(url, w.config)
	if err != nil {
		return err
	}
	for _, dialer := range []func(stop, ready chan struct{}) (*portforward.PortForwarder, error){
		func(stop, ready chan struct{}) (*portforward.PortForwarder, error) {
			return portforward.New(overSPDY, []string{"0:8080"}, stop, ready, io.Discard, os.Stderr)
		},
		func(stop, ready chan struct{}) (*portforward.PortForwarder, error) {
			return portforward.New(overWebSocket, []string{"0:8080"}, stop, ready, io.Discard, os.Stderr)
		},
	} {
		stop, ready := make(chan struct{}), make(chan struct{})
		forwarder, err := dialer(stop, ready)
		if err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- forwarder.ForwardPorts() }()
		select {
		case <-ready:
		case err := <-ended:
			return err
		}
		ports, err := forwarder.GetPorts()
		if err != nil {
			return err
		}
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", ports[0].Local))
		if err != nil {
			return err
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || string(body) != "hello\n" {
			return fmt.Errorf("%q %v", body, err)
		}
		close(stop)
		if err := <-ended; err != nil {
			return err
		}
	}
	return nil
}

func log(ctx context.Context, w *world) error {
	text, err := w.client.CoreV1().Pods(namespace).GetLogs("p", &corev1.PodLogOptions{}).DoRaw(ctx)
	if err != nil || !strings.Contains(string(text), "started") {
		return fmt.Errorf("%q %v", text, err)
	}
	return nil
}
