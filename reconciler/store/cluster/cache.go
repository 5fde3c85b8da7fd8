package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/store"
)

// Cache follows a Mesh and its ServiceConfigs by watches. Every replica has one,
// whoever writes.
type Cache struct {
	namespace, mesh string
	meshes, configs toolscache.SharedIndexInformer

	mu      sync.Mutex
	changed chan struct{}
	adopted map[string]*store.Config
}

// NewCache makes the cache of a Mesh; it is empty before Run.
func NewCache(client dynamic.Interface, namespace, mesh string) (*Cache, error) {
	c := &Cache{namespace: namespace, mesh: mesh, changed: make(chan struct{})}
	c.meshes = dynamicinformer.NewFilteredDynamicInformer(client, api.Meshes, namespace, 0, toolscache.Indexers{}, func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", mesh).String()
	}).Informer()
	c.configs = dynamicinformer.NewFilteredDynamicInformer(client, api.ServiceConfigs, namespace, 0, toolscache.Indexers{}, func(o *metav1.ListOptions) {
		o.LabelSelector = labels.Set{api.MeshLabel: mesh}.String()
	}).Informer()
	if err := errors.Join(c.configs.SetTransform(c.transform), c.meshes.SetTransform(transformMesh)); err != nil {
		return nil, err
	}
	wake := toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { c.wake() }, UpdateFunc: func(_, _ any) { c.wake() }, DeleteFunc: func(any) { c.wake() },
	}
	for _, informer := range []toolscache.SharedIndexInformer{c.meshes, c.configs} {
		if _, err := informer.AddEventHandler(wake); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Run follows until ctx ends and returns when everything that it started has.
func (c *Cache) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { c.meshes.RunWithContext(ctx) })
	running.Go(func() { c.configs.RunWithContext(ctx) })
	running.Wait()
}

// Synced waits until all that there is has been read once.
func (c *Cache) Synced(ctx context.Context) error {
	if !toolscache.WaitForCacheSync(ctx.Done(), c.meshes.HasSynced, c.configs.HasSynced) {
		return fmt.Errorf("the objects of the mesh cannot be read: %w", context.Cause(ctx))
	}
	return nil
}

// Changed gives a channel that is closed when an object changes next.
func (c *Cache) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func (c *Cache) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

// adopt names configurations that this process has in memory anyway, by digest: objects
// that come with this content are given as these. They are not to be changed.
func (c *Cache) adopt(configs map[string]*store.Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.adopted = configs
}

// known gives the configuration of a digest if this process has it; nil where not.
func (c *Cache) known(digest string) *store.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.adopted[digest]
}

// Mesh gives the Mesh, or nil while there is none. It is not to be changed.
func (c *Cache) Mesh() (*api.Mesh, error) {
	o, exists, err := c.meshes.GetStore().GetByKey(c.namespace + "/" + c.mesh)
	if err != nil || !exists {
		return nil, err
	}
	return o.(*api.Mesh), nil
}

// entry gives a ServiceConfig, or nil.
func (c *Cache) entry(name string) *entry {
	o, exists, err := c.configs.GetStore().GetByKey(c.namespace + "/" + name)
	if err != nil || !exists {
		return nil
	}
	return o.(*entry)
}

// names gives all ServiceConfigs of the mesh.
func (c *Cache) names() []string {
	var out []string
	for _, o := range c.configs.GetStore().List() {
		out = append(out, o.(*entry).Name)
	}
	return out
}

// Key names the generation that serves; "" while there is none.
func (c *Cache) Key() string {
	m, err := c.Mesh()
	if err != nil || m == nil || m.Status.Inventory.Serving == nil {
		return ""
	}
	return m.Status.Inventory.Serving.Manifest + " " + m.Status.Inventory.Serving.Commit
}

// Serving gives the generation that serves; store.ErrNothing while there is none,
// store.ErrDamaged while not all of it is (yet) here.
func (c *Cache) Serving() (*store.Generation, error) {
	m, err := c.Mesh()
	if err != nil {
		return nil, err
	}
	if m == nil || m.Status.Inventory.Serving == nil {
		return nil, fmt.Errorf("mesh %s/%s: %w", c.namespace, c.mesh, store.ErrNothing)
	}
	return c.generation(m.Status.Inventory.Serving)
}

func (c *Cache) generation(g *api.Generation) (*store.Generation, error) {
	list, err := c.manifest(g.Manifest)
	if err != nil {
		return nil, err
	}
	configs := make([]*store.Config, len(list.Configs))
	for i, l := range list.Configs {
		e, err := c.whole(l)
		if err != nil {
			return nil, err
		}
		if configs[i] = e.config; e.config == nil {
			return nil, fmt.Errorf("%s: %w: it is a manifest", l.Name, store.ErrDamaged)
		}
	}
	return store.Join(g.Commit, list.Mesh, configs)
}

// manifest gives what a generation consists of.
func (c *Cache) manifest(name string) (*manifest, error) {
	l, err := c.listing(name)
	if err != nil {
		return nil, err
	}
	e, err := c.whole(l)
	if err != nil {
		return nil, err
	}
	if e.manifest == nil || e.manifest.Mesh == nil {
		return nil, fmt.Errorf("%s: %w: it is no manifest", name, store.ErrDamaged)
	}
	return e.manifest, nil
}

// listing finds how many parts a manifest has.
func (c *Cache) listing(name string) (listed, error) {
	if c.entry(name) != nil {
		return listed{name, 1}, nil
	}
	parts := 0
	for c.entry(fmt.Sprintf("%s.%d", name, parts)) != nil {
		parts++
	}
	if parts < 2 {
		return listed{}, fmt.Errorf("%s: %w: it is missing", name, store.ErrDamaged)
	}
	return listed{name, parts}, nil
}

// whole gives a configuration that may have parts.
func (c *Cache) whole(l listed) (*entry, error) {
	var text strings.Builder
	var first *entry
	for i := range l.Parts {
		e := c.entry(l.part(i))
		switch {
		case e == nil:
			return nil, fmt.Errorf("%s: %w: it is missing", l.part(i), store.ErrDamaged)
		case e.fault != nil:
			return nil, e.fault
		case l.Parts == 1:
			return e, nil
		case i == 0:
			first = e
		}
		text.WriteString(e.chunk)
	}
	if first == nil {
		return nil, fmt.Errorf("%s: %w: it has no parts", l.Name, store.ErrDamaged)
	}
	e := &entry{kind: first.kind, digest: first.digest}
	if err := e.decode([]byte(text.String()), nil); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", l.Name, store.ErrDamaged, err)
	}
	return e, nil
}

// await waits until holds is true of the cache, or for patience, and gives the last
// answer.
func (c *Cache) await(ctx context.Context, patience time.Duration, holds func() error) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		changed := c.Changed()
		err := holds()
		if err == nil {
			return nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return err
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		}
	}
}
