package interop

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// TestDifferential leads Envoy and meshc-proxy through random meshes and sends
// both the same random requests, at the sides of the client, of the gateway and
// of the server: status, destination, and the headers that the application and
// the client see are the same, or differ as docs/envoy-differences.md says.
func TestDifferential(t *testing.T) {
	configs, each := scale(10, 500), 400
	d := &differential{
		generated: &generated{bed: newBed(t, &model.Mesh{Name: "empty", TrustDomain: domain}), at: map[string]string{}, outbound: map[string]string{}, inbound: map[uint16]string{}},
		excused:   map[string]int{}, statuses: map[int]int{},
	}
	seed := uint64(0)
	for range configs {
		mesh := d.next(&seed)
		d.round(t, mesh, seed, each)
		if t.Failed() {
			break
		}
	}
	for _, x := range d.all() {
		x.refusedNothing()
	}
	t.Logf("%d requests through each of %v with %d configurations; statuses %v; differences that are excused: %v", d.asked, kinds, configs, d.statuses, d.excused)
	if d.statuses[200] < d.asked/4 {
		t.Errorf("only %d of %d requests were answered 200", d.statuses[200], d.asked)
	}
}

type differential struct {
	*generated
	asked    int
	mu       sync.Mutex
	excused  map[string]int // by what excuses them
	statuses map[int]int
	configs  map[string]*tls.Config // of clients, by SPIFFE ID
}

var guarded = model.Ref{Namespace: "probe", Name: "guarded"}

// next draws a mesh in which nothing is left to chance, with a service that has
// the rules of another and a proxy of its own.
func (d *differential) next(seed *uint64) *model.Mesh {
	m := d.generated.next(seed)
	rng := rand.New(rand.NewPCG(*seed, 11))
	for _, s := range m.Services {
		for i := range s.Versions {
			s.Versions[i].Traffic = nil // what is counted over time
		}
		certain(rng, s.Routes)
	}
	for _, g := range m.Gateways {
		for i := range g.Listeners {
			for _, h := range g.Listeners[i].Hosts {
				for _, r := range h.Routes {
					certain(rng, []*model.Route{r.Route})
				}
			}
		}
	}
	m.Services = append(m.Services, d.guard(rng, m))
	slices.SortFunc(m.Services, func(a, b *model.Service) int { return a.Ref.Compare(b.Ref) })
	return m
}

// certain takes chance out of routes: one version gets all, and a fault meets
// everybody or nobody.
func certain(rng *rand.Rand, routes []*model.Route) {
	whole := func(share *uint32) bool {
		*share = model.BasisPointsWhole
		return rng.IntN(3) == 0
	}
	for _, r := range routes {
		r.Sticky = nil
		if len(r.Split) > 1 {
			r.Split = []model.Split{r.Split[rng.IntN(len(r.Split))]}
			r.Split[0].BasisPoints = model.BasisPointsWhole
		}
		if r.Delay != nil && !whole(&r.Delay.BasisPoints) {
			r.Delay = nil
		}
		if r.Abort != nil && !whole(&r.Abort.BasisPoints) {
			r.Abort = nil
		}
	}
}

// guard is a service that lets in whom one of the mesh lets in.
func (d *differential) guard(rng *rand.Rand, m *model.Mesh) *model.Service {
	var all []*model.Service
	for _, s := range m.Services {
		if len(s.Allow) > 0 && s.Ref.Namespace != guarded.Namespace {
			all = append(all, s)
		}
	}
	like := all[rng.IntN(len(all))]
	s := &model.Service{
		Ref: guarded, Host: "guarded.probe.svc.cluster.local", ServiceAccount: guarded.Name, SPIFFEID: model.SPIFFEID(domain, guarded.Namespace, guarded.Name),
		Ports: []model.Port{{Name: "http", Number: meshPort, Protocol: model.HTTP}}, Versions: []model.Version{{Name: "v1"}}, MTLS: model.MTLSStrict,
		Allow: slices.Clone(like.Allow), Deny: slices.Clone(like.Deny),
	}
	for _, rules := range [][]model.Rule{s.Allow, s.Deny} {
		for i := range rules {
			rules[i].Ports = nil
		}
	}
	// One rule that the client meets, or next to nobody is let in.
	s.Allow = append(s.Allow, model.Rule{Principals: []string{model.SPIFFEID(domain, probe.Namespace, probe.Name)}, Paths: []model.PathMatch{{Kind: model.Prefix, Value: "/r"}, {Kind: model.SegmentPrefix, Value: "/admin"}}})
	return s
}

// round puts a mesh in force and sends it requests.
func (d *differential) round(t *testing.T, m *model.Mesh, seed uint64, n int) {
	workloads := d.deploy(m)
	for _, k := range kinds {
		at := d.place(k, "guarded")
		workloads = append(workloads, &model.Workload{ID: "guarded-" + string(k), Role: model.RoleSidecar, Service: guarded, Version: "v1", Ready: true,
			Inbound: map[uint16]string{meshPort: at}, App: map[uint16]string{meshPort: d.application("guarded", nil)}})
	}
	workloads = slices.DeleteFunc(workloads, func(w *model.Workload) bool { return w.Service == guarded && w.ID == "guarded-v1" })
	commit := d.plane.set(m, workloads)
	if len(d.proxies) == 0 {
		for _, w := range workloads {
			name, which, _ := strings.Cut(w.ID, "-")
			if name == probe.Name || name == ingress.Name || name == guarded.Name {
				d.proxies[w.ID] = d.plane.startProxy(kind(which), w, model.SPIFFEID(domain, w.Service.Namespace, w.Service.Name))
			}
		}
	}
	d.plane.programmed(commit, d.all()...)
	for _, k := range kinds {
		for _, s := range m.Services {
			for _, p := range s.Ports {
				if s.Ref != guarded {
					d.marked(t, d.place(k, model.OutboundKey(s.Ref, p.Number)), fmt.Sprint(seed))
				}
			}
		}
		d.marked(t, d.place(k, "gateway"), fmt.Sprint(seed))
		d.listening(d.place(k, "guarded"))
	}
	d.sendAll(t, d.draw(m, seed, n), seed)
	for _, x := range d.all() {
		x.log.forget()
	}
}

// pair is one request, and where it is sent.
type pair struct {
	request
	at   map[kind]string
	as   string // SPIFFE ID of the client, "" for plaintext
	side string
}

// draw makes n requests for a mesh, a share for each of its proxies.
func (d *differential) draw(m *model.Mesh, seed uint64, n int) []pair {
	type target struct {
		pair
		*drawer
		hosts []string
	}
	var targets []target
	for _, s := range m.Services {
		for _, p := range s.Ports {
			if s.Ref != guarded {
				targets = append(targets, target{pair{at: d.places(model.OutboundKey(s.Ref, p.Number)), side: "client"}, newDrawer(seed, s.Routes), []string{s.Host, s.Host + ":" + fmt.Sprint(p.Number), "lab", strings.ToUpper(s.Host)}})
			}
		}
	}
	var routes []*model.Route
	for _, h := range m.Gateway(ingress).Listeners[0].Hosts {
		for _, r := range h.Routes {
			routes = append(routes, r.Route)
		}
	}
	targets = append(targets, target{pair{at: d.places("gateway"), side: "gateway"}, newDrawer(seed, routes),
		[]string{"shop.example.com", "www.example.org", "a.b.example.com", "example.com", "other", "Shop.Example.com", "shop.example.com:8080"}})
	g := m.Service(guarded)
	ids := []string{model.SPIFFEID(domain, probe.Namespace, probe.Name)}
	var judged []*model.Route
	for _, r := range append(slices.Clone(g.Allow), g.Deny...) {
		ids = append(ids, r.Principals...)
		judged = append(judged, &model.Route{Match: []model.Match{{Methods: r.Methods, Paths: r.Paths, Headers: r.Headers}}})
	}
	targets = append(targets, target{pair{at: d.places("guarded"), side: "server", as: "?"}, newDrawer(seed, judged), []string{"guarded", "admin.example.org", "x.example.com"}})
	out := make([]pair, n)
	rng := rand.New(rand.NewPCG(seed, 13))
	for i := range out {
		t := targets[i%len(targets)]
		out[i] = t.pair
		out[i].request = t.drawer.request()
		out[i].host = t.hosts[min(rng.IntN(len(t.hosts)), rng.IntN(len(t.hosts)))]
		if out[i].as == "?" {
			out[i].as = ids[rng.IntN(len(ids))]
		}
		season(rng, &out[i].request)
	}
	return out
}

func (d *differential) sendAll(t *testing.T, pairs []pair, seed uint64) {
	t.Helper()
	for _, p := range pairs {
		if p.as != "" && d.configs[p.as] == nil {
			if d.configs == nil {
				d.configs = map[string]*tls.Config{}
			}
			d.configs[p.as] = d.plane.as(p.as)
		}
	}
	const width = 8
	together(width, width, func(w int) {
		lanes := map[string]*lane{}
		defer func() {
			for l := range maps.Values(lanes) {
				l.close()
			}
		}()
		for i := w; i < len(pairs); i += width {
			d.ask(t, lanes, &pairs[i], fmt.Sprintf("%d-%d", seed, i))
		}
	})
	d.asked += len(pairs)
}

// ask sends one request through both, and judges.
func (d *differential) ask(t *testing.T, lanes map[string]*lane, p *pair, id string) {
	seen := map[kind]*observation{}
	for _, k := range kinds {
		key := p.at[k] + " " + p.as
		if lanes[key] == nil {
			lanes[key] = &lane{addr: p.at[k], config: d.configs[p.as]}
		}
		name := string(k) + "-" + id
		o := &observation{Response: lanes[key].exchange(p.request.bytes(name), or(p.method, "GET"))}
		o.Arrivals = d.backends.take(name)
		seen[k] = o
	}
	x := &exchanged{pair: p, envoy: seen[envoy], meshc: seen[meshc], e: seen[envoy].facts(), m: seen[meshc].facts()}
	var left []string
	d.mu.Lock()
	defer d.mu.Unlock()
	d.statuses[x.envoy.Response.Status]++
	for _, fact := range differences(x.e, x.m) {
		if why := x.excuse(fact); why != "" {
			d.excused[why]++
			continue
		}
		left = append(left, fmt.Sprintf("%s: envoy %q, meshc-proxy %q", fact, x.e[fact], x.m[fact]))
	}
	if len(left) > 0 {
		t.Errorf("%s of seed %s: %q\n\t%s", p.side, id, p.request.bytes("{case}"), strings.Join(left, "\n\t"))
	}
}

// lane is one connection of a client that keeps it as long as it may.
type lane struct {
	addr   string
	config *tls.Config
	c      net.Conn
	in     *bufio.Reader
}

func (l *lane) close() {
	if l.c != nil {
		l.c.Close()
		l.c = nil
	}
}

// exchange sends one request and reads the answer, on another connection if the
// last one has ended.
func (l *lane) exchange(raw, method string) response {
	if l.c == nil {
		c, err := net.DialTimeout("tcp", l.addr, 5*time.Second)
		if err != nil {
			return response{Err: "connect"}
		}
		if l.config != nil {
			c = tls.Client(c, l.config)
		}
		l.c, l.in = c, bufio.NewReader(c)
	}
	_ = l.c.SetDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.WriteString(l.c, raw); err != nil {
		l.close()
		return response{Err: "write"}
	}
	res, err := http.ReadResponse(l.in, &http.Request{Method: method})
	for err == nil && res.StatusCode == http.StatusContinue {
		res, err = http.ReadResponse(l.in, &http.Request{Method: method})
	}
	if err != nil {
		l.close()
		return response{Err: readError(err)}
	}
	body, err := io.ReadAll(res.Body)
	out := response{Status: res.StatusCode, Header: lower(res.Header), Body: string(body)}
	if len(res.TransferEncoding) > 0 {
		out.Header["transfer-encoding"] = res.TransferEncoding
	}
	if err != nil {
		out.Err = readError(err)
	}
	if err != nil || res.Close || l.in.Buffered() > 0 {
		l.close()
	}
	return out
}

// take gives what arrived of a case, and forgets it.
func (b *backends) take(id string) []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.arrivals[id]
	delete(b.arrivals, id)
	return out
}

// forget lets go of the lines so far.
func (l *accessLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries, l.other, l.partial = nil, nil, bytes.Clone(l.partial)
}
