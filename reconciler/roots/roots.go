// Package roots keeps the roots of the certificate authority where injected pods read
// them before they trust anybody: in a ConfigMap of every namespace whose pods are
// injected, by server-side apply.
package roots

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Manager is who writes the ConfigMaps, to the API server.
const Manager = "meshc-roots"

// How often what fails is tried again, and how long one request may take.
const (
	firstRetry  = time.Second
	lastRetry   = time.Minute
	requestTime = 10 * time.Second
)

// Options of a Publisher.
type Options struct {
	Selector string        // of the labels of namespaces
	Name     string        // of the ConfigMaps
	Key      string        // of the roots in them
	PEM      func() []byte // the roots as they are
	Log      *slog.Logger
}

// Publisher writes the roots. Of ConfigMaps of that name it changes those that it
// made; one that somebody else made stays as it is, and the log says whose it is.
type Publisher struct {
	Options
	client           dynamic.NamespaceableResourceInterface
	namespaces, maps toolscache.SharedIndexInformer
	queue            workqueue.TypedRateLimitingInterface[string]
}

// New makes the Publisher of a cluster.
func New(config *rest.Config, o Options) (*Publisher, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	about, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		Options: o, client: client.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")),
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry)),
	}
	informer := func(resource string, only func(*metav1.ListOptions)) toolscache.SharedIndexInformer {
		return metadatainformer.NewFilteredMetadataInformer(about, corev1.SchemeGroupVersion.WithResource(resource), metav1.NamespaceAll, 0, toolscache.Indexers{}, only).Informer()
	}
	p.namespaces = informer("namespaces", func(l *metav1.ListOptions) { l.LabelSelector = o.Selector })
	// The name is a selector of fields, as RBAC asks for where it grants by name.
	p.maps = informer("configmaps", func(l *metav1.ListOptions) {
		l.FieldSelector = fields.OneTermEqualSelector("metadata.name", o.Name).String()
	})
	if err := p.follow(p.namespaces, func(m *metav1.PartialObjectMetadata) string { return m.Name }); err != nil {
		return nil, err
	}
	return p, p.follow(p.maps, func(m *metav1.PartialObjectMetadata) string { return m.Namespace })
}

// follow has a namespace looked at when an object that is about it changes.
func (p *Publisher) follow(informer toolscache.SharedIndexInformer, namespace func(*metav1.PartialObjectMetadata) string) error {
	changed := func(o any) {
		if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
			o = gone.Obj
		}
		if m, ok := o.(*metav1.PartialObjectMetadata); ok {
			p.queue.Add(namespace(m))
		}
	}
	_, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: changed, UpdateFunc: func(_, now any) { changed(now) }, DeleteFunc: changed,
	})
	return err
}

// Run writes until ctx ends, and returns when everything that it started has. When
// the roots change, changed says so.
func (p *Publisher) Run(ctx context.Context, changed <-chan struct{}) {
	var running sync.WaitGroup
	for _, informer := range []toolscache.SharedIndexInformer{p.namespaces, p.maps} {
		running.Go(func() { informer.RunWithContext(ctx) })
	}
	running.Go(func() {
		for range changed {
			for _, namespace := range p.namespaces.GetStore().ListKeys() {
				p.queue.Add(namespace)
			}
		}
	})
	running.Go(func() { <-ctx.Done(); p.queue.ShutDown() })
	if toolscache.WaitForCacheSync(ctx.Done(), p.namespaces.HasSynced, p.maps.HasSynced) {
		p.work(ctx)
	}
	running.Wait()
}

func (p *Publisher) work(ctx context.Context) {
	for {
		namespace, over := p.queue.Get()
		if over {
			return
		}
		err := p.publish(ctx, namespace)
		p.queue.Done(namespace)
		switch {
		case err == nil:
			p.queue.Forget(namespace)
		case ctx.Err() == nil:
			p.Log.Error("the roots are not in a namespace, where injected pods wait for them", "namespace", namespace, "error", err)
			p.queue.AddRateLimited(namespace)
		}
	}
}

// publish writes the roots to a namespace if its pods are injected.
func (p *Publisher) publish(ctx context.Context, namespace string) error {
	o, there, err := p.namespaces.GetStore().GetByKey(namespace)
	if err != nil || !there {
		return err
	}
	if m, ok := o.(*metav1.PartialObjectMetadata); ok && m.DeletionTimestamp != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{p.Key: string(p.PEM())},
		"metadata": map[string]any{"name": p.Name, "namespace": namespace, "labels": map[string]any{"app.kubernetes.io/part-of": "meshc"}},
	}}
	_, err = p.client.Namespace(namespace).Apply(ctx, p.Name, u, metav1.ApplyOptions{FieldManager: Manager, Force: p.made(namespace)})
	if apierrors.IsConflict(err) {
		return fmt.Errorf("ConfigMap %s is somebody else's: %w", p.Name, err)
	}
	return err
}

// made says that the ConfigMap of a namespace is one that a Publisher has applied.
func (p *Publisher) made(namespace string) bool {
	o, there, err := p.maps.GetStore().GetByKey(namespace + "/" + p.Name)
	if err != nil || !there {
		return false
	}
	m, ok := o.(*metav1.PartialObjectMetadata)
	return ok && slices.ContainsFunc(m.ManagedFields, func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager == Manager && f.Operation == metav1.ManagedFieldsOperationApply
	})
}
