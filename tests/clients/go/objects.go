package main

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apimachinerywatch "k8s.io/apimachinery/pkg/watch"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"suite": "go"}},
		Data:       map[string]string{"colour": "blue"},
	}
}

func list(ctx context.Context, w *world) error {
	maps := w.client.CoreV1().ConfigMaps(namespace)
	for i := range 7 {
		if _, err := maps.Create(ctx, configMap(fmt.Sprintf("page-%d", i)), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	names, options := map[string]bool{}, metav1.ListOptions{Limit: 3, LabelSelector: "suite=go"}
	for pages := 1; ; pages++ {
		page, err := maps.List(ctx, options)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			names[item.Name] = true
		}
		if options.Continue = page.Continue; options.Continue == "" {
			if pages != 3 || len(names) != 7 {
				return fmt.Errorf("%d objects on %d pages", len(names), pages)
			}
			return nil
		}
	}
}

func watch(ctx context.Context, w *world) error {
	maps := w.client.CoreV1().ConfigMaps(namespace)
	before, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	watcher, err := maps.Watch(ctx, metav1.ListOptions{ResourceVersion: before.ResourceVersion})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	made, err := maps.Create(ctx, configMap("watched"), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	made.Data["colour"] = "green"
	if _, err = maps.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err = maps.Delete(ctx, "watched", metav1.DeleteOptions{}); err != nil {
		return err
	}
	for _, expected := range []apimachinerywatch.EventType{apimachinerywatch.Added, apimachinerywatch.Modified, apimachinerywatch.Deleted} {
		event, open := <-watcher.ResultChan()
		if !open || event.Type != expected {
			return fmt.Errorf("%v instead of %s", event, expected)
		}
	}
	return nil
}

func informer(ctx context.Context, w *world) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	factory := informers.NewSharedInformerFactoryWithOptions(w.client, 0, informers.WithNamespace(namespace))
	maps := factory.Core().V1().ConfigMaps()
	seen := make(chan string, 100)
	_, err := maps.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { seen <- object.(*corev1.ConfigMap).Name },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), maps.Informer().HasSynced) {
		return fmt.Errorf("the cache is not synced")
	}
	if _, err := w.client.CoreV1().ConfigMaps(namespace).Create(ctx, configMap("informed"), metav1.CreateOptions{}); err != nil {
		return err
	}
	for name := range seen {
		if name == "informed" {
			_, err := maps.Lister().ConfigMaps(namespace).Get(name)
			return err
		}
	}
	return nil
}

func apply(ctx context.Context, w *world) error {
	maps := w.client.CoreV1().ConfigMaps(namespace)
	ours := corev1apply.ConfigMap("applied", namespace).WithData(map[string]string{"colour": "blue"})
	if _, err := maps.Apply(ctx, ours, metav1.ApplyOptions{FieldManager: "one"}); err != nil {
		return err
	}
	theirs := corev1apply.ConfigMap("applied", namespace).WithData(map[string]string{"colour": "red"})
	if _, err := maps.Apply(ctx, theirs, metav1.ApplyOptions{FieldManager: "other"}); !apierrors.IsConflict(err) {
		return fmt.Errorf("no conflict: %v", err)
	}
	found, err := maps.Apply(ctx, theirs, metav1.ApplyOptions{FieldManager: "other", Force: true})
	if err != nil || found.Data["colour"] != "red" {
		return fmt.Errorf("by force: %v %v", found, err)
	}
	return nil
}

// Two want to lead; the second does when the first gives up.
func election(ctx context.Context, w *world) error {
	turns := make(chan string, 2)
	elect := func(ctx context.Context, id string) {
		lock := &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: "leader", Namespace: namespace},
			Client:     w.client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: id},
		}
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 5 * time.Second, RenewDeadline: 3 * time.Second, RetryPeriod: 200 * time.Millisecond,
			ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { turns <- id }, OnStoppedLeading: func() {},
			},
		})
	}
	first, giveUp := context.WithCancel(ctx)
	go elect(first, "first")
	if id := <-turns; id != "first" {
		giveUp()
		return fmt.Errorf("%s leads", id)
	}
	second, end := context.WithCancel(ctx)
	defer end()
	go elect(second, "second")
	giveUp()
	if id := <-turns; id != "second" {
		return fmt.Errorf("%s leads", id)
	}
	var lease *coordinationv1.Lease
	lease, err := w.client.CoordinationV1().Leases(namespace).Get(ctx, "leader", metav1.GetOptions{})
	if err != nil || *lease.Spec.HolderIdentity != "second" {
		return fmt.Errorf("the lease: %v %v", lease, err)
	}
	return nil
}

// Each ConfigMap with a label gets a Secret of its name.
func controller(ctx context.Context, w *world) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	manager, err := ctrl.NewManager(w.config, ctrl.Options{Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		return err
	}
	work := reconcile.Func(func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
		var found corev1.ConfigMap
		if err := manager.GetClient().Get(ctx, request.NamespacedName, &found); err != nil {
			return reconcile.Result{}, client.IgnoreNotFound(err)
		}
		if found.Labels["wants"] != "secret" {
			return reconcile.Result{}, nil
		}
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: found.Name, Namespace: found.Namespace}}
		_, err := ctrl.CreateOrUpdate(ctx, manager.GetClient(), secret, func() error {
			secret.Data = map[string][]byte{"from": []byte(found.Data["colour"])}
			return ctrl.SetControllerReference(&found, secret, manager.GetScheme())
		})
		return reconcile.Result{}, err
	})
	if err := ctrl.NewControllerManagedBy(manager).For(&corev1.ConfigMap{}).Owns(&corev1.Secret{}).Complete(work); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	wanted := configMap("reconciled")
	wanted.Labels["wants"] = "secret"
	if _, err := w.client.CoreV1().ConfigMaps(namespace).Create(ctx, wanted, metav1.CreateOptions{}); err != nil {
		return err
	}
	watcher, err := w.client.CoreV1().Secrets(namespace).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=reconciled"})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	event := <-watcher.ResultChan()
	secret, is := event.Object.(*corev1.Secret)
	if !is || string(secret.Data["from"]) != "blue" || len(secret.OwnerReferences) != 1 {
		return fmt.Errorf("%v", event)
	}
	var read corev1.Secret
	if err := manager.GetAPIReader().Get(ctx, types.NamespacedName{Namespace: namespace, Name: "reconciled"}, &read); err != nil {
		return err
	}
	cancel()
	return <-ended
}
