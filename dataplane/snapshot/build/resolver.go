package build

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/meshc/meshc/dataplane/resource"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// refresh is Envoy's default dns_refresh_rate; lookupTimeout bounds one query.
const (
	refresh       = 5 * time.Second
	lookupTimeout = 5 * time.Second
)

// LookupFunc gives the addresses of a name.
type LookupFunc func(ctx context.Context, host string) ([]netip.Addr, error)

// Resolver follows the names of STRICT_DNS clusters, each in a goroutine of
// its own. A lookup that fails keeps the addresses of the last one.
type Resolver struct {
	lookup  LookupFunc
	every   time.Duration
	changed chan struct{}

	mu     sync.Mutex
	names  map[string]*name
	closed bool
	wg     sync.WaitGroup
}

type name struct {
	addrs []netip.Addr
	stop  context.CancelFunc
}

// NewResolver gives a Resolver; nil takes the system's lookup. Close it.
func NewResolver(lookup LookupFunc) *Resolver {
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return &Resolver{lookup: lookup, every: refresh, changed: make(chan struct{}, 1), names: make(map[string]*name)}
}

// Changed gets a value after addresses have changed: Build again.
func (r *Resolver) Changed() <-chan struct{} { return r.changed }

// Close ends every lookup and waits for them.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.closed = true
	for _, n := range r.names {
		n.stop()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// follow makes the set's names the ones that are looked up.
func (r *Resolver) follow(set *Set) {
	wanted := make(map[string]bool)
	for _, c := range set.Clusters {
		if c.Discovery == resource.StrictDNS {
			for _, h := range c.Endpoints.DNS {
				wanted[h.Name] = true
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for host, n := range r.names {
		if !wanted[host] {
			n.stop()
			delete(r.names, host)
		}
	}
	if r.closed {
		return
	}
	for host := range wanted {
		if r.names[host] == nil {
			ctx, cancel := context.WithCancel(context.Background())
			n := &name{stop: cancel}
			r.names[host] = n
			r.wg.Go(func() { r.run(ctx, host, n) })
		}
	}
}

func (r *Resolver) run(ctx context.Context, host string, n *name) {
	for {
		query, cancel := context.WithTimeout(ctx, lookupTimeout)
		addrs, err := r.lookup(query, host)
		cancel()
		if err == nil {
			r.store(n, addrs)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(r.every):
		}
	}
}

func (r *Resolver) store(n *name, addrs []netip.Addr) {
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	r.mu.Lock()
	same := slices.Equal(n.addrs, addrs)
	n.addrs = addrs
	r.mu.Unlock()
	if same {
		return
	}
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// endpoints gives the addresses known now of a STRICT_DNS cluster.
func (r *Resolver) endpoints(c *resource.Cluster) []snapshot.Endpoint {
	out := slices.Clone(c.Endpoints.List)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range c.Endpoints.DNS {
		n := r.names[h.Name]
		if n == nil {
			continue
		}
		for _, ip := range choose(n.addrs, c.Family) {
			e := h.Like
			e.Addr = netip.AddrPortFrom(ip, h.Port)
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b snapshot.Endpoint) int {
		return cmp.Or(a.Addr.Addr().Compare(b.Addr.Addr()), cmp.Compare(a.Addr.Port(), b.Addr.Port()), cmp.Compare(a.Priority, b.Priority))
	})
	return slices.CompactFunc(out, func(a, b snapshot.Endpoint) bool { return a.Addr == b.Addr })
}

func choose(addrs []netip.Addr, family resource.Family) []netip.Addr {
	v4 := filterAddrs(addrs, netip.Addr.Is4)
	v6 := filterAddrs(addrs, netip.Addr.Is6)
	switch family {
	case resource.V4Only:
		return v4
	case resource.V6Only:
		return v6
	case resource.All:
		return addrs
	case resource.V4Preferred:
		if len(v4) > 0 {
			return v4
		}
		return v6
	}
	if len(v6) > 0 { // Auto
		return v6
	}
	return v4
}

func filterAddrs(addrs []netip.Addr, keep func(netip.Addr) bool) []netip.Addr {
	var out []netip.Addr
	for _, a := range addrs {
		if keep(a) {
			out = append(out, a)
		}
	}
	return out
}
