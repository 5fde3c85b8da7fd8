package benchreconcile

import (
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/meshc/meshc/compiler/model"
)

// fleet is a proxy for each workload, of which some call the hub.
type fleet struct {
	t       *testing.T
	proxies []*proxy
	users   map[*proxy]bool
}

// newFleet is one that is not connected yet.
func newFleet(t *testing.T, a *authority, address string, m *model.Mesh, workloads []*model.Workload) *fleet {
	t.Helper()
	f := &fleet{t: t, users: map[*proxy]bool{}}
	calls, ids := map[model.Ref]bool{}, map[model.Ref]string{}
	for _, s := range m.Services {
		ids[s.Ref] = s.SPIFFEID
		for _, u := range s.Uses {
			calls[s.Ref] = calls[s.Ref] || u.Name == hub
		}
	}
	for _, w := range workloads {
		p := newProxy(w.NodeID(), address, credentials.NewTLS(a.client(ids[w.Service])))
		f.proxies = append(f.proxies, p)
		f.users[p] = calls[w.Service]
	}
	t.Cleanup(f.disconnect)
	return f
}

// connect connects all, spread over a time.
func (f *fleet) connect(within time.Duration) {
	f.t.Helper()
	begin := time.Now()
	errs := make([]error, len(f.proxies))
	var connecting sync.WaitGroup
	for i, p := range f.proxies {
		time.Sleep(time.Until(begin.Add(within * time.Duration(i) / time.Duration(len(f.proxies)))))
		connecting.Go(func() { errs[i] = p.connect() })
	}
	connecting.Wait()
	for _, err := range errs {
		must(f.t, err)
	}
}

func (f *fleet) disconnect() {
	var ending sync.WaitGroup
	for _, p := range f.proxies {
		if p.end != nil {
			ending.Go(p.end)
		}
	}
	ending.Wait()
	for _, p := range f.proxies {
		p.end = nil
	}
}

// sum is what came to several proxies.
type sum struct {
	reached          int // proxies
	bytes, resources int
	most             int // bytes to one of them
	last             time.Time
}

// taken sums up what came to users of the hub, and to others, since it was last called.
func (f *fleet) taken() (users, others sum) {
	f.t.Helper()
	for _, p := range f.proxies {
		got, into := p.taken(), &others
		if f.users[p] {
			into = &users
		}
		if got.resources > 0 {
			into.reached++
		}
		into.bytes, into.resources, into.most = into.bytes+got.bytes, into.resources+got.resources, max(into.most, got.bytes)
		if got.last.After(into.last) {
			into.last = got.last
		}
		p.mu.Lock()
		must(f.t, p.failed)
		p.mu.Unlock()
	}
	return users, others
}
