// Package kube finds the instances of a mesh in a Kubernetes cluster: Services,
// EndpointSlices and the metadata of Pods and Nodes, by watches, become workloads.
// What is kept of an object is what is used. What the API server last said counts
// until it says otherwise: that it cannot be asked is no evidence that nothing is
// there.
package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/discover"
)

// gather is how long changes that come together are gathered into one update.
const gather = 50 * time.Millisecond

// byService is the index of slices by their Service.
const byService = "service"

// Source is a cluster. It knows nothing before Run.
type Source struct {
	services, slices, pods, nodes toolscache.SharedIndexInformer
	kinds                         map[string]toolscache.SharedIndexInformer
	memory                        *memory

	mu      sync.Mutex
	changed chan struct{}
	faults  map[string]error // of watches, by kind
}

var _ discover.Source = (*Source)(nil)

// New makes the Source of a cluster.
func New(config *rest.Config) (*Source, error) {
	s := &Source{changed: make(chan struct{}), faults: map[string]error{}, kinds: map[string]toolscache.SharedIndexInformer{}}
	s.memory = newMemory(s.wake)
	services, err := whole(config, corev1.SchemeGroupVersion, "/api", "services")
	if err != nil {
		return nil, err
	}
	endpoints, err := whole(config, discoveryv1.SchemeGroupVersion, "/apis", "endpointslices")
	if err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	metadataFrom := func(resource string) *toolscache.ListWatch {
		return metadataOf(client, corev1.SchemeGroupVersion.WithResource(resource))
	}
	s.services = s.informer("services", services, &corev1.Service{}, toolscache.Indexers{})
	s.slices = s.informer("endpointslices", endpoints, &discoveryv1.EndpointSlice{}, toolscache.Indexers{byService: serviceOf})
	s.pods = s.informer("pods", metadataFrom("pods"), &metav1.PartialObjectMetadata{}, toolscache.Indexers{})
	s.nodes = s.informer("nodes", metadataFrom("nodes"), &metav1.PartialObjectMetadata{}, toolscache.Indexers{})
	return s, s.prepare()
}

func (s *Source) informer(kind string, from *toolscache.ListWatch, of runtime.Object, by toolscache.Indexers) toolscache.SharedIndexInformer {
	out := toolscache.NewSharedIndexInformer(followed{from, func(err error) { s.note(kind, err) }}, of, 0, by)
	s.kinds[kind] = out
	return out
}

// serviceOf names the Service of a slice.
func serviceOf(o any) ([]string, error) {
	x, ok := o.(*slice)
	if !ok {
		return nil, fmt.Errorf("%T is no slice", o)
	}
	return []string{x.Namespace + "/" + x.service}, nil
}

func (s *Source) prepare() error {
	trims := map[string]toolscache.TransformFunc{"services": trim, "endpointslices": trim, "pods": trimPod, "nodes": trimNode}
	for kind, informer := range s.kinds {
		_, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { s.wake() },
			UpdateFunc: func(old, now any) {
				if !alike(old, now) {
					s.wake()
				}
			},
			DeleteFunc: func(any) { s.wake() },
		})
		if err = errors.Join(err, informer.SetTransform(trims[kind])); err != nil {
			return err
		}
	}
	return nil
}

// Run follows the cluster until ctx ends and returns when everything that it started
// has.
func (s *Source) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, informer := range s.kinds {
		running.Go(func() { informer.RunWithContext(ctx) })
	}
	running.Wait()
}

// Synced waits until all that there is has been read once.
func (s *Source) Synced(ctx context.Context) error {
	var all []toolscache.InformerSynced
	for _, informer := range s.kinds {
		all = append(all, informer.HasSynced)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), all...) {
		return errors.Join(fmt.Errorf("what runs in the cluster cannot be read: %w", context.Cause(ctx)), s.fault())
	}
	return nil
}

// note keeps why a kind cannot be followed; nil: it can.
func (s *Source) note(kind string, err error) {
	s.mu.Lock()
	was := s.faults[kind]
	if err == nil {
		delete(s.faults, kind)
	} else {
		s.faults[kind] = err
	}
	s.mu.Unlock()
	if (was == nil) != (err == nil) || was != nil && was.Error() != err.Error() {
		s.wake()
	}
}

func (s *Source) fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []error
	for kind, err := range s.faults {
		all = append(all, fmt.Errorf("%s: %w", kind, err))
	}
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(all...)
}

func (s *Source) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Source) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Watch implements discover.Source. Updates come at most every 50 ms, the first once
// the cluster has been read.
func (s *Source) Watch(ctx context.Context) <-chan discover.Update {
	out := make(chan discover.Update, 1)
	go func() {
		defer close(out)
		if s.Synced(ctx) != nil {
			return
		}
		for {
			changed := s.next()
			discover.Offer(out, discover.Update{Place: s.place, Err: s.fault()})
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(gather):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func (s *Source) place(m *model.Mesh) ([]*model.Workload, []string) {
	return place(m, cached{s}, s.memory)
}

// cached is the state of a cluster as informers have it.
type cached struct{ *Source }

func get[T any](from toolscache.SharedIndexInformer, key string) *T {
	o, _, err := from.GetStore().GetByKey(key)
	if err != nil {
		return nil
	}
	x, _ := o.(*T)
	return x
}

func (c cached) service(r model.Ref) *service { return get[service](c.Source.services, r.String()) }

func (c cached) pod(namespace, name string) *pod { return get[pod](c.pods, namespace+"/"+name) }

func (c cached) failing(kind string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults[kind] != nil
}

func (c cached) node(name string) *node { return get[node](c.nodes, name) }

func (c cached) slices(r model.Ref) []*slice {
	list, err := c.Source.slices.GetIndexer().ByIndex(byService, r.String())
	if err != nil {
		return nil
	}
	out := make([]*slice, 0, len(list))
	for _, o := range list {
		out = append(out, o.(*slice))
	}
	return out
}
