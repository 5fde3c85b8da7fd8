// Package cluster keeps what serves in a Kubernetes cluster: the objects of package
// api. It is the store of a controller in a cluster, as store.Local is of one on a
// single machine.
//
// A generation is written before it serves: its objects have names that end in
// hashes of their content and never change, so that writing them disturbs
// nothing, and one write of the status of the Mesh makes it what serves. Before
// the first object is written its manifest is noted in that status, and it is
// forgotten only after its objects are known to be gone; a crash at any point
// leaves no object that nothing knows of. Every write of the status is held
// against the resource version and the epoch that were read, so that a
// controller that has been replaced without knowing it can change nothing.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/push/kube"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

// ErrFenced says that another controller has begun to write.
var ErrFenced = errors.New("another controller writes to this mesh")

// Options of a Store; all are required but Log and RequestTime.
type Options struct {
	Client    dynamic.Interface
	Cache     *Cache // synced, and running as long as the store is used
	Namespace string
	Mesh      string // name of the Mesh, which has to exist
	Identity  string // of this controller, for people
	Log       *slog.Logger

	// RequestTime bounds what is asked of the API server about one object; 0: 30 s.
	RequestTime time.Duration
}

// Store is the store of one term of a controller: from Open until its context ends
// or another controller opens one. It is safe for concurrent use.
type Store struct {
	Options
	ctx     context.Context
	applier *kube.Applier
	build   *builder
	epoch   int64
	uid     types.UID     // of the Mesh
	before  status.Status // as this term found it
	events  chan event
	told    atomic.Int64 // events, for their names
	of      int64        // generation of the Mesh that this term is of

	mu      sync.Mutex
	mesh    *api.Mesh            // as it was read or written last
	set     *set                 // of what serves; nil: not known yet
	saved   time.Time            // when set was
	seen    map[string]int       // objects of set that were once intact, and how often they were healed
	rivals  map[string]string    // who changed an object of set last, and where
	gone    map[string]types.UID // what was deleted, until the cache knows
	written *status.Status       // by SaveStatus last
	drift   status.Condition
}

// Open begins a term: it raises the epoch of the Mesh, after which all terms before
// it can write no more.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.RequestTime <= 0 {
		o.RequestTime = requestTime
	}
	s := &Store{
		Options: o, ctx: ctx, build: &builder{namespace: o.Namespace, mesh: o.Mesh}, seen: map[string]int{}, rivals: map[string]string{}, events: make(chan event, eventsWaiting), gone: map[string]types.UID{},
		applier: &kube.Applier{Client: o.Client, Manager: api.FieldManager, Label: api.MeshLabel, Value: o.Mesh, Timeout: o.RequestTime},
		drift:   condition(status.Drifted, status.False, "InSync", "nothing was changed by others"),
	}
	m, err := s.read()
	if err != nil {
		return nil, err
	}
	s.mesh, s.epoch, s.of = m, m.Status.Inventory.Epoch, m.Generation
	next := s.epoch + 1
	err = s.writeStatus(func(st *api.MeshStatus) {
		st.Inventory.Epoch, st.Inventory.Holder, st.Inventory.ClaimedAt = next, o.Identity, now()
	})
	if err != nil {
		return nil, fmt.Errorf("begin to write as %s: %w", o.Identity, err)
	}
	s.epoch, s.uid, s.before = next, m.UID, m.Status.Status
	go s.writeEvents()
	return s, nil
}

func now() time.Time { return time.Now().UTC().Round(time.Millisecond) }

// requestTime bounds one request to the API server.
const requestTime = 30 * time.Second

func (s *Store) meshes() dynamic.ResourceInterface {
	return s.Client.Resource(api.Meshes).Namespace(s.Namespace)
}

func (s *Store) read() (*api.Mesh, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.RequestTime)
	defer cancel()
	u, err := s.meshes().Get(ctx, s.Mesh, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read mesh %s/%s: %w", s.Namespace, s.Mesh, err)
	}
	return api.FromUnstructured[api.Mesh](u)
}

// writeTries is how often a status is written again that somebody else changed in
// between; beside this controller only people change a Mesh.
const writeTries = 10

// writeStatus changes the status of the Mesh by f, which may be called more than
// once and sees what is there; mu is held. ErrFenced says that this term is over.
func (s *Store) writeStatus(f func(*api.MeshStatus)) error {
	var err error
	for range writeTries {
		if got := s.mesh.Status.Inventory.Epoch; got != s.epoch {
			return fmt.Errorf("%w: %s in epoch %d, this one is of epoch %d", ErrFenced, s.mesh.Status.Inventory.Holder, got, s.epoch)
		}
		next := *s.mesh
		next.Status.Inventory.Retired = slices.Clone(next.Status.Inventory.Retired)
		f(&next.Status)
		next.Status.Summary = summarize(&next.Status)
		if err = s.update(&next); err == nil {
			return nil
		}
		// Conflict, or a reply that was lost: what is there tells.
		if !apierrors.IsConflict(err) {
			return errors.Join(err, s.refresh())
		}
		if err := s.refresh(); err != nil {
			return err
		}
	}
	return err
}

func (s *Store) update(m *api.Mesh) error {
	u, err := api.ToUnstructured(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.RequestTime)
	defer cancel()
	got, err := s.meshes().UpdateStatus(ctx, u, metav1.UpdateOptions{FieldManager: api.FieldManager})
	if err != nil {
		return fmt.Errorf("write the status of mesh %s/%s: %w", s.Namespace, s.Mesh, err)
	}
	s.mesh, err = api.FromUnstructured[api.Mesh](got)
	return err
}

// refresh reads the Mesh again. One that was deleted and made anew under its name
// has another epoch.
func (s *Store) refresh() error {
	m, err := s.read()
	if err != nil {
		return err
	}
	if m.UID != s.mesh.UID {
		return fmt.Errorf("%w: mesh %s/%s was deleted and made anew", ErrFenced, s.Namespace, s.Mesh)
	}
	s.mesh = m
	return nil
}

// loadTime is how long Load waits for objects that the watch has not brought yet.
const loadTime = 5 * time.Second

// Load gives what serves; store.ErrNothing where nothing was ever saved, and
// store.ErrDamaged where objects are there of which the Mesh says nothing. Where not
// all of it is there any more, it gives what served before, with the damage.
func (s *Store) Load() (*store.Generation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	inventory := s.mesh.Status.Inventory
	if inventory.Serving == nil {
		if left := s.Cache.names(); inventory.Pending == nil && len(inventory.Retired) == 0 && len(left) > 0 {
			return nil, fmt.Errorf("mesh %s/%s says of nothing that it serves, and %d objects of it are there, as when it was made anew: %w", s.Namespace, s.Mesh, len(left), store.ErrDamaged)
		}
		return nil, store.ErrNothing
	}
	var g *store.Generation
	err := s.Cache.await(s.ctx, loadTime, func() (err error) {
		g, err = s.Cache.generation(inventory.Serving)
		return err
	})
	if err == nil {
		return g, s.serves(g)
	}
	if inventory.Previous == nil {
		return nil, err
	}
	prev, prevErr := s.Cache.generation(inventory.Previous)
	if prevErr != nil {
		return nil, errors.Join(err, prevErr)
	}
	prev.Damage = err
	return prev, nil
}

// serves remembers the objects of what serves, so that drift is seen.
func (s *Store) serves(g *store.Generation) error {
	made, err := s.build.build(g)
	if err != nil {
		return err
	}
	s.set, s.saved, s.seen = made, time.Now(), map[string]int{}
	return nil
}
