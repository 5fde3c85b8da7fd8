package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
)

// proxiesAnnotation of a Lease has what a replica says of its proxies (status.Replica).
const proxiesAnnotation = "meshc.dev/proxies"

var leases = schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}

const (
	// tellGap is between two writes of a replica at least.
	tellGap = time.Second
	// forgotten is after how many expiries the Lease of a replica that died is deleted.
	forgotten = 10
)

// Replicas tells the other replicas of a Mesh how far the proxies of this one are, and
// hears the same of them. Each keeps a Lease of its own, with the label of the Mesh, in
// an annotation of which it stands; it is written when that changes, at most once a
// second, and to renew it. Whoever reads it takes it for dead when it was not written
// for as long as it says, by the reader's own clock.
type Replicas struct {
	Client    dynamic.Interface
	Namespace string
	Mesh      string
	Identity  string        // of this replica, other than those of all others
	Expiry    time.Duration // of what it says, unless renewed; at least a second
	Log       *slog.Logger

	// Tell gives what is said; nil: nothing yet, and false: not all of it fits.
	Tell func() (*status.Replica, bool)
	// Moved gives a channel that is closed when that changes next.
	Moved func() <-chan struct{}

	mu      sync.Mutex
	changed chan struct{}
	heard   map[string]*heard // by name of the Lease
	live    int               // of heard, when it was last looked at

	told    []byte // what was written last
	toldAt  time.Time
	version string // of the Lease as it was written last; "": it is not known
	cropped bool
}

// heard is what a Lease says.
type heard struct {
	replica *status.Replica // nil: nothing that can be read
	at      time.Time       // when it was last written, by the clock of this process
	expiry  time.Duration
	uid     types.UID
	version string
}

func (h *heard) dead(now time.Time, expiries int) bool {
	return now.Sub(h.at) > time.Duration(expiries)*h.expiry
}

func (r *Replicas) lease() string {
	sum := sha256.Sum256([]byte(r.Identity))
	return "meshc-" + r.Mesh + "-" + hex.EncodeToString(sum[:8])
}

func (r *Replicas) leases() dynamic.ResourceInterface {
	return r.Client.Resource(leases).Namespace(r.Namespace)
}

// Live gives what other replicas said last that are not taken for dead.
func (r *Replicas) Live() []*status.Replica {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	var out []*status.Replica
	for name, h := range r.heard {
		if name != r.lease() && h.replica != nil && !h.dead(now, 1) {
			out = append(out, h.replica)
		}
	}
	slices.SortFunc(out, func(a, b *status.Replica) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Changed gives a channel that is closed when Live, or what this replica has to say,
// changes next.
func (r *Replicas) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}

func (r *Replicas) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wakeLocked()
}

func (r *Replicas) wakeLocked() {
	if r.changed != nil {
		close(r.changed)
	}
	r.changed = make(chan struct{})
}

// Run tells and hears until ctx ends, and takes back what was told.
func (r *Replicas) Run(ctx context.Context) error {
	informer := dynamicinformer.NewFilteredDynamicInformer(r.Client, leases, r.Namespace, 0, toolscache.Indexers{}, func(o *metav1.ListOptions) {
		o.LabelSelector = labels.Set{api.MeshLabel: r.Mesh}.String()
	}).Informer()
	_, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: r.hear, UpdateFunc: func(_, o any) { r.hear(o) }, DeleteFunc: r.forget,
	})
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	running.Go(func() { informer.RunWithContext(ctx) })
	running.Go(func() { r.follow(ctx) })
	r.tell(ctx)
	running.Wait()
	r.leave()
	return nil
}

// follow passes on what changes here, and notices who has died.
func (r *Replicas) follow(ctx context.Context) {
	tick := time.NewTicker(r.Expiry / 4)
	defer tick.Stop()
	for moved := r.Moved(); ; {
		select {
		case <-moved:
			moved = r.Moved()
			r.wake()
		case <-tick.C:
			r.bury(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// bury wakes when a replica is taken for dead, and deletes the Leases of those that
// have been for long.
func (r *Replicas) bury(ctx context.Context) {
	now, live := time.Now(), 0
	old := map[string]*heard{}
	r.mu.Lock()
	for name, h := range r.heard {
		switch {
		case !h.dead(now, 1):
			live++
		case h.dead(now, forgotten) && name != r.lease():
			old[name] = h
		}
	}
	if live != r.live {
		r.live = live
		r.wakeLocked()
	}
	r.mu.Unlock()
	for name, h := range old {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		err := r.leases().Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &h.uid, ResourceVersion: &h.version}})
		cancel()
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			r.Log.Warn("the lease of a replica that has gone could not be deleted yet", "lease", name, "error", err)
		}
	}
}

// hear takes a Lease that is there, or was written.
func (r *Replicas) hear(o any) {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return
	}
	seconds, _, _ := unstructured.NestedInt64(u.Object, "spec", "leaseDurationSeconds")
	holder, _, _ := unstructured.NestedString(u.Object, "spec", "holderIdentity")
	h := &heard{at: time.Now(), expiry: time.Duration(min(max(seconds, 1), 3600)) * time.Second, uid: u.GetUID(), version: u.GetResourceVersion()}
	var err error
	if h.replica, err = status.ParseReplica(holder, []byte(u.GetAnnotations()[proxiesAnnotation])); err != nil {
		r.Log.Warn("what a replica says of its proxies cannot be read, and they do not count", "lease", u.GetName(), "error", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if was := r.heard[u.GetName()]; was != nil && was.uid == h.uid && was.version == h.version {
		return // the list again, after a watch that broke: nobody has written
	}
	if r.heard == nil {
		r.heard = map[string]*heard{}
	}
	r.heard[u.GetName()] = h
	r.wakeLocked()
}

func (r *Replicas) forget(o any) {
	key, err := toolscache.DeletionHandlingMetaNamespaceKeyFunc(o)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.heard, strings.TrimPrefix(key, r.Namespace+"/"))
	r.wakeLocked()
}

// tell writes what is to be said until ctx ends.
func (r *Replicas) tell(ctx context.Context) {
	renew := time.NewTicker(r.Expiry / 4)
	defer renew.Stop()
	for {
		moved := r.Moved()
		if err := r.write(ctx); err != nil && ctx.Err() == nil {
			r.Log.Warn("how far the proxies of this replica are could not be written and is tried again", "error", err)
		}
		gap := time.NewTimer(max(0, tellGap-time.Since(r.toldAt)))
		select {
		case <-moved:
			select { // what comes together is told together
			case <-gap.C:
			case <-ctx.Done():
			}
		case <-renew.C:
		case <-ctx.Done():
		}
		gap.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// write writes the Lease if it says something else by now, or has to be renewed.
func (r *Replicas) write(ctx context.Context) error {
	say, whole := r.Tell()
	if say == nil {
		return nil
	}
	if !whole && !r.cropped {
		r.Log.Error("more proxies are connected to this replica than it can tell of: those that it cannot do not count as programmed")
	}
	r.cropped = !whole
	data, err := json.Marshal(say)
	if err != nil {
		return err
	}
	if string(data) == string(r.told) && time.Since(r.toldAt) < r.Expiry/4 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.Expiry)
	defer cancel()
	r.toldAt = time.Now() // also of what fails: the gap is there for the server
	if err := r.put(ctx, string(data)); err != nil {
		return fmt.Errorf("lease %s/%s: %w", r.Namespace, r.lease(), err)
	}
	r.told = data
	return nil
}

func (r *Replicas) put(ctx context.Context, data string) error {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": leases.GroupVersion().String(), "kind": "Lease",
		"spec": map[string]any{
			"holderIdentity": r.Identity, "leaseDurationSeconds": max(1, int64(r.Expiry/time.Second)),
			"renewTime": metav1.NowMicro().UTC().Format(metav1.RFC3339Micro),
		},
	}}
	u.SetName(r.lease())
	u.SetLabels(map[string]string{api.MeshLabel: r.Mesh})
	u.SetAnnotations(map[string]string{proxiesAnnotation: data})
	// Nobody else writes it, so that it is written over what was written last without a
	// look at what is there, unless the API server says that this is something else.
	var got *unstructured.Unstructured
	var err error
	if r.version != "" {
		u.SetResourceVersion(r.version)
		got, err = r.leases().Update(ctx, u, metav1.UpdateOptions{FieldManager: api.FieldManager})
	}
	if r.version == "" || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		got, err = r.replace(ctx, u)
	}
	r.version = ""
	if err == nil {
		r.version = got.GetResourceVersion()
	}
	return err
}

// replace writes the Lease whether or not there is one: a process before this one may
// have left it.
func (r *Replicas) replace(ctx context.Context, u *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	u.SetResourceVersion("")
	got, err := r.leases().Create(ctx, u, metav1.CreateOptions{FieldManager: api.FieldManager})
	if !apierrors.IsAlreadyExists(err) {
		return got, err
	}
	old, err := r.leases().Get(ctx, u.GetName(), metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	u.SetResourceVersion(old.GetResourceVersion())
	return r.leases().Update(ctx, u, metav1.UpdateOptions{FieldManager: api.FieldManager})
}

// leaveTime bounds what a replica does when it ends.
const leaveTime = 2 * time.Second

// leave deletes the Lease: what was connected here connects elsewhere.
func (r *Replicas) leave() {
	if r.told == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	if err := r.leases().Delete(ctx, r.lease(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		r.Log.Warn("the lease of this replica could not be deleted and expires", "error", err)
	}
}
