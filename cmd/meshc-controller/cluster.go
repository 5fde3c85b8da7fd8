package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/reconciler"
	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/push/xds"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
	"github.com/meshc/meshc/reconciler/store/cluster"
)

// inCluster is what a controller in a cluster has in place of a state directory.
type inCluster struct {
	process         *process
	namespace, mesh string
	identity        string
	config          *rest.Config
	client          *dynamic.DynamicClient
	cache           *cluster.Cache
	ads             *xds.Server
	vouched         []string
	workloads       *reconciler.Discovered
	follower        *reconciler.Follower
	replicas        *cluster.Replicas
	leading         sync.Mutex                            // held while this replica leads
	running         atomic.Pointer[reconciler.Reconciler] // nil: none
	relay           chan struct{}                         // pushes to tell the replica that leads
}

// syncTime bounds the first read of the objects of the mesh.
const syncTime = time.Minute

// startCluster follows what serves, and takes part in the election of the one that
// writes.
func (p *process) startCluster(ctx context.Context, ads *xds.Server, aliases []xds.Bundle) error {
	klog.SetSlogLogger(p.log) // what the client library has to say
	c, err := p.newCluster(ads, aliases)
	if err != nil {
		return err
	}
	p.background(func() { c.cache.Run(ctx) })
	syncing, done := context.WithTimeoutCause(ctx, syncTime, errors.New("the API server has not answered in time"))
	defer done()
	if err := c.cache.Synced(syncing); err != nil {
		return err
	}
	if err := c.discover(ctx, syncing); err != nil {
		return err
	}
	c.follower = &reconciler.Follower{Served: c.cache, Workloads: c.workloads, Pusher: reconciler.ADS(ads), TrustDomain: p.trustDomain, Log: p.log}
	p.background(func() { c.follower.Run(ctx) })
	c.replicas = &cluster.Replicas{
		Client: c.client, Namespace: c.namespace, Mesh: c.mesh, Identity: c.identity, Expiry: p.lease, Log: p.log,
		Tell: func() (*status.Replica, bool) { return reconciler.Tell(ads) }, Moved: ads.Changed,
	}
	p.background(func() {
		if err := c.replicas.Run(ctx); err != nil {
			p.fail(err)
		}
	})
	p.inCluster = c
	if p.has(roleReconcile) {
		p.background(func() { c.elect(ctx) })
		p.background(func() { c.relayPushes(ctx) })
	}
	return p.startWebhook(ctx, c.wake)
}

func (p *process) newCluster(ads *xds.Server, aliases []xds.Bundle) (*inCluster, error) {
	c := &inCluster{process: p, ads: ads, identity: p.identity, relay: make(chan struct{}, 1)}
	c.namespace, c.mesh, _ = strings.Cut(p.mesh, "/")
	c.vouched = p.vouched(aliases)
	var err error
	if c.identity == "" {
		if c.identity, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("--identity: %w", err)
		}
	}
	if c.config, err = clientcmd.BuildConfigFromFlags("", p.kubeconfig); err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	// The server says how much it takes (429, Retry-After), and what is under way
	// at a time is bounded.
	c.config.QPS, c.config.UserAgent = -1, "meshc-controller"
	if c.client, err = dynamic.NewForConfig(c.config); err != nil {
		return nil, err
	}
	c.cache, err = cluster.NewCache(c.client, c.namespace, c.mesh)
	return c, err
}

// elect takes part in elections until ctx ends, and leads while elected.
func (c *inCluster) elect(ctx context.Context) {
	leases, err := coordinationv1.NewForConfig(c.config)
	if err != nil {
		c.process.fail(err)
		return
	}
	lease := c.process.lease
	for ctx.Err() == nil {
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "meshc-" + c.mesh}, Client: leases,
				LockConfig: resourcelock.ResourceLockConfig{Identity: c.identity},
			},
			LeaseDuration: lease, RenewDeadline: lease * 2 / 3, RetryPeriod: lease / 8, ReleaseOnCancel: true, Name: c.mesh,
			Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: c.lead, OnStoppedLeading: func() {}},
		})
		if err != nil {
			c.process.fail(err)
			return
		}
		elector.Run(ctx)
	}
	c.leading.Lock() // the elector does not wait for the one that leads to end
	defer c.leading.Unlock()
}

// termPause is how long a controller waits before it begins to write again after
// something went wrong; it doubles up to maxTermPause while terms keep failing.
const (
	termPause    = time.Second
	maxTermPause = 15 * time.Second
)

// lead reconciles until ctx ends, which is also when the lease is lost: term after
// term, because another Mesh specification is another term.
func (c *inCluster) lead(ctx context.Context) {
	c.leading.Lock()
	defer c.leading.Unlock()
	c.process.log.Info("leading", "identity", c.identity)
	if c.process.publishRoots {
		var publishing sync.WaitGroup
		publishing.Go(func() { c.publishRoots(ctx) })
		defer publishing.Wait()
	}
	for pause := termPause; ctx.Err() == nil; {
		began := time.Now()
		err := c.term(ctx)
		if err == nil || ctx.Err() != nil || time.Since(began) > maxTermPause {
			pause = termPause
		}
		if err != nil && ctx.Err() == nil {
			c.process.log.Error("the mesh could not be reconciled, what serves stays", "error", err, "again in", pause)
			sleep(ctx, pause)
			pause = min(2*pause, maxTermPause)
		}
	}
	c.process.log.Info("leading no more", "identity", c.identity)
}

// term reconciles by one specification of the Mesh.
func (c *inCluster) term(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	mesh, err := c.awaitMesh(ctx)
	if err != nil {
		return err
	}
	ctx, over := expires(ctx, mesh)
	defer over()
	state, err := cluster.Open(ctx, cluster.Options{
		Client: c.client, Cache: c.cache, Namespace: c.namespace, Mesh: c.mesh, Identity: c.identity, Log: c.process.log,
	})
	if err != nil {
		return err
	}
	// What serves is kept as it is even where the Mesh cannot be followed.
	if _, err := state.Load(); err != nil && !errors.Is(err, store.ErrNothing) {
		c.process.log.Error("what serves cannot be read", "error", err)
	}
	var beside sync.WaitGroup
	var healed error
	beside.Go(func() { healed = state.Heal(ctx); end() })
	beside.Go(func() { _ = c.otherSpec(ctx, mesh); end() })
	r, err := c.prepare(ctx, mesh, state)
	if r != nil {
		beside.Go(func() { c.hear(ctx, mesh.Status.WokenAt, r.Wake) })
		c.running.Store(r)
		err = r.Run(ctx)
		c.running.Store(nil)
	}
	end()
	beside.Wait()
	return errors.Join(err, healed)
}

// awaitMesh waits until there is a Mesh.
func (c *inCluster) awaitMesh(ctx context.Context) (*api.Mesh, error) {
	told := false
	for {
		changed := c.cache.Changed()
		m, err := c.cache.Mesh()
		if m != nil || err != nil {
			return m, err
		}
		if !told {
			c.process.log.Warn("there is no such mesh yet", "mesh", c.namespace+"/"+c.mesh)
			told = true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// otherSpec returns when the Mesh has another specification, or is another object,
// or ctx ends.
func (c *inCluster) otherSpec(ctx context.Context, mesh *api.Mesh) error {
	for {
		changed := c.cache.Changed()
		m, err := c.cache.Mesh()
		if err != nil {
			return err
		}
		if m == nil || m.UID != mesh.UID || m.Generation != mesh.Generation {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *inCluster) reconciler(m *api.Mesh, state *cluster.Store) (*reconciler.Reconciler, error) {
	p := c.process
	way, err := steer(m, state)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(m.Spec.Repository, "://") {
		return nil, fmt.Errorf("repository %q is not a URL", m.Spec.Repository)
	}
	repo, err := source.Open(m.Spec.Repository, p.git)
	if err != nil {
		return nil, err
	}
	gate, err := repo.NewGate(p.policy)
	if err != nil {
		return nil, err
	}
	return reconciler.New(reconciler.Options{
		Gate: gate, Guards: guards(m, way.back), Hold: way.hold, Unmade: way.refused, Source: repo, Ref: way.ref, Path: m.Spec.Path, Compile: compileWith(new(compiler.Session)), Store: state,
		Pusher: reconciler.Judge(c.ads, c.replicas), Workloads: c.workloads, TrustDomain: p.trustDomain, Vouched: c.vouched,
		Interval: m.Spec.Interval.Duration, AllowEmpty: m.Spec.AllowEmpty || way.back != "", SavedServes: true, Log: p.log,
	})
}
