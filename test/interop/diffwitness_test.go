package interop

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// TestWitnessesOfDifferences changes a mesh again and again, at random. Of every
// difference that is told, the witness is sent to the mesh before and after the
// change: each time it must get what was said, and not the same. All classes that one
// request can show are among them. RESTART and NOOP are not: what is told there is that
// pods are made anew, and that nothing changes. That a caller's connection is still
// encrypted, and no longer has to be, is shown by whoever connects without.
func TestWitnessesOfDifferences(t *testing.T) {
	steps := 4
	if os.Getenv("MESHC_SOAK") != "" {
		steps = 120
	}
	const seed, tables = 17, 20
	x := &differing{m: maker{rand.New(rand.NewPCG(seed, 5))}, bed: newBed(t, nil), classes: map[behave.Class]int{}, unseen: map[behave.Class]int{}, sent: map[kind]int{}, wrong: map[kind]int{}}
	x.until = time.Now().Add(24 * time.Hour)
	x.mesh = x.first(tables)
	x.start(tables)
	for range steps {
		x.step()
	}
	t.Logf("seed %d: witnesses %v, by class %v, mismatches %v; no request can show %v; %d could not be sent", seed, x.sent, x.classes, x.wrong, x.unseen, x.unsent)
	for _, c := range []behave.Class{
		behave.Blackhole, behave.Expose, behave.Weaken, behave.Fault, behave.Narrow, behave.Reroute, behave.Shift, behave.Harden, behave.Tune,
	} {
		if x.classes[c] == 0 {
			t.Errorf("no witness of %s", c)
		}
	}
	for _, p := range x.all() {
		p.refusedNothing()
	}
}

// differing is a bed whose mesh changes. Services of tables have no proxy;
// guarded ones have one of each kind, which only clients of that kind call.
type differing struct {
	m maker
	*bed
	mu          sync.Mutex
	classes     map[behave.Class]int // of differences that a client saw
	unseen      map[behave.Class]int // of those of which the client of the witness sees nothing
	sent, wrong map[kind]int
	unsent      int
	until       time.Time // when faults end: long after the test
}

// clients of the services, by name.
var clients = []string{"web", "other"}

func guardedName(k kind) string { return "guarded-" + string(k) }

// first is the mesh that is changed.
func (x *differing) first(tables int) *model.Mesh {
	out := x.m.tables(tables)
	web := out.Service(ref("web"))
	for i := range tables {
		s := out.Service(ref(tableName(i)))
		s.Versions = []model.Version{{Name: "v1"}, {Name: "v2"}}
		for _, r := range s.Routes {
			r.Split = x.split()
		}
	}
	for _, k := range kinds {
		s := *out.Service(ref("app"))
		s.Ref, s.Host, s.ServiceAccount = ref(guardedName(k)), guardedName(k)+".default.svc.cluster.local", guardedName(k)
		s.SPIFFEID, s.MTLS = model.SPIFFEID(domain, "default", s.Name), model.MTLSStrict
		s.Routes = []*model.Route{{Name: "all", Ports: []uint16{meshPort}, Split: []model.Split{{Version: "v1", BasisPoints: model.BasisPointsWhole}}}}
		s.Allow = x.guards(2)
		out.Services = append(out.Services, &s)
		web.Uses = append(web.Uses, s.Ref)
	}
	other := *web
	other.Ref, other.Host, other.ServiceAccount, other.SPIFFEID = ref("other"), "other.default.svc.cluster.local", "other", model.SPIFFEID(domain, "default", "other")
	out.Services = append(out.Services, &other)
	slices.SortFunc(out.Services, func(a, b *model.Service) int { return a.Ref.Compare(b.Ref) })
	return out
}

func (x *differing) start(tables int) {
	apps := map[string]string{}
	for _, v := range []string{"v1", "v2"} {
		apps[v] = x.backends.start(x.t, v, nil)
	}
	x.application(ref("app"), "v1", "app-v1", apps["v1"])
	for i := range tables {
		for v, at := range apps {
			x.application(ref(tableName(i)), v, fmt.Sprintf("%s-%s", tableName(i), v), at)
		}
	}
	for _, k := range kinds {
		x.sidecar(ref(guardedName(k)), "v1", k, apps["v1"])
		for _, c := range clients {
			x.sidecar(ref(c), "v1", k, "")
		}
	}
	x.run()
}

// split is all for one version, or half for each of both.
func (x *differing) split() []model.Split {
	if x.m.chance(30) {
		return []model.Split{{Version: "v1", BasisPoints: model.BasisPointsWhole / 2}, {Version: "v2", BasisPoints: model.BasisPointsWhole / 2}}
	}
	return []model.Split{{Version: x.m.pick("v1", "v2"), BasisPoints: model.BasisPointsWhole}}
}

func (x *differing) guards(n int) []model.Rule {
	var out []model.Rule
	for range n {
		r := model.Rule{}
		switch x.m.IntN(4) {
		case 0:
			r.Authenticated = true
		case 1:
			r.Any = true
		default:
			r.Principals = []string{model.SPIFFEID(domain, "default", x.m.pick(clients...))}
		}
		c := x.m.condition()
		r.Paths, r.Methods, r.Headers = c.Paths, c.Methods, c.Headers
		out = append(out, r)
	}
	return out
}

// changed is the mesh with a change of every service that has a table or rules.
func (x *differing) changed() *model.Mesh {
	after := *x.mesh
	after.Services = slices.Clone(after.Services)
	for i, s := range after.Services {
		now := *s
		switch {
		case s.Name[0] == 'g':
			if x.m.chance(40) {
				now.MTLS = map[model.MTLSMode]model.MTLSMode{model.MTLSStrict: model.MTLSPermissive, model.MTLSPermissive: model.MTLSStrict}[s.MTLS]
			} else {
				x.changeRules(&now)
			}
		case len(s.Routes) > 0 && s.Name[0] == 't':
			now.Routes = slices.Clone(s.Routes)
			x.changeRoutes(&now)
		}
		after.Services[i] = &now
	}
	return &after
}

func (x *differing) changeRules(s *model.Service) {
	list := &s.Allow
	if x.m.chance(40) {
		list = &s.Deny
	}
	*list = slices.Clone(*list)
	if n := len(*list); n > 0 && (x.m.chance(40) || n > 4) {
		i := x.m.IntN(n)
		*list = slices.Delete(*list, i, i+1)
		return
	}
	*list = append(*list, x.guards(1)...)
}

func (x *differing) changeRoutes(s *model.Service) {
	i := x.m.IntN(len(s.Routes))
	r := *s.Routes[i]
	switch x.m.IntN(8) {
	case 0, 1:
		r.Split = x.split()
	case 6, 7:
		r.Abort = x.abort(r.Abort)
	case 2:
		r.Match = slices.Clone(r.Match)
		r.Match[x.m.IntN(len(r.Match))] = x.m.condition()
	case 3:
		if len(s.Routes) > 1 {
			s.Routes = slices.Delete(s.Routes, i, i+1)
			return
		}
	case 4:
		j := x.m.IntN(len(s.Routes))
		s.Routes[i], s.Routes[j] = s.Routes[j], s.Routes[i]
		return
	case 5:
		r.Name = fmt.Sprint("r", x.m.IntN(1_000_000))
		r.Match = []model.Match{x.m.condition()}
		r.ResponseHeaders.Set = []model.Header{{Name: ruleHeader, Value: r.Name}}
		s.Routes = slices.Insert(s.Routes, i, &r)
		return
	}
	s.Routes[i] = &r
}

// abort is another one than there is, for every request, or none.
func (x *differing) abort(now *model.Abort) *model.Abort {
	if now != nil && x.m.chance(50) {
		return nil
	}
	out := &model.Abort{Name: "broken", Status: 500, BasisPoints: model.BasisPointsWhole, Until: x.until}
	if now != nil && now.Status == out.Status {
		out.Status = 418
	}
	return out
}

// witnessed is one difference, and to which proxies its witness is sent.
type witnessed struct {
	service model.Ref
	client  string
	kinds   []kind
	plain   bool // it is sent to the server, and not encrypted
	behave.Change
}

// visible says that a client can see the difference.
func (w *witnessed) visible() bool { return saw(&w.Before) != saw(&w.After) }

// unseeable says that nothing of a difference is to be seen by the client of the
// witness: its connection is encrypted either way, or a fault answers either way.
func (w *witnessed) unseeable() bool {
	if w.Before.Abort != nil && w.After.Abort != nil {
		return true
	}
	return !slices.ContainsFunc(w.Deltas, func(d behave.Delta) bool { return d.Name != "mtls" })
}

func (x *differing) step() {
	x.t.Helper()
	after := x.changed()
	report := behave.Meshes(x.mesh, after)
	if report.Unknown() {
		x.t.Fatalf("%+v", report.Objects)
	}
	var all []witnessed
	for _, o := range report.Objects {
		for _, c := range o.Changes {
			if one, ok := x.sender(o.Ref, c); ok {
				all = append(all, one)
			} else {
				x.unsent++
			}
		}
	}
	x.replayAll(all, "before", func(c *witnessed) *behave.Outcome { return &c.Before })
	x.mesh = after
	x.plane.programmed(x.plane.set(x.mesh, x.workloads), x.all()...)
	x.replayAll(all, "after", func(c *witnessed) *behave.Outcome { return &c.After })
	for i := range all {
		for _, k := range all[i].kinds {
			x.sent[k]++
		}
		told := x.classes
		if !all[i].visible() {
			told = x.unseen
		}
		for _, class := range all[i].Classes {
			told[class]++
		}
		if all[i].Route == "" {
			all[i].Route = "none"
		}
		if !all[i].visible() && !all[i].unseeable() {
			x.t.Errorf("%s, route %s: a client cannot see the difference between %s and %s", all[i].service, all[i].Route, all[i].Before.String(), all[i].After.String())
		}
	}
}

// sender is who can send the witness of a change: nobody presents an identity
// that is not its own, or none at all.
func (x *differing) sender(to model.Ref, c behave.Change) (witnessed, bool) {
	out := witnessed{service: to, client: clients[0], kinds: kinds, Change: c}
	for _, k := range kinds {
		if to.Name == guardedName(k) {
			out.kinds = []kind{k}
		}
	}
	if c.Witness.Identity == "" {
		out.plain = len(out.kinds) == 1 // else rules do not look at it
		return out, true
	}
	for _, client := range clients {
		if c.Witness.Identity == model.SPIFFEID(domain, "default", client) {
			out.client = client
			return out, true
		}
	}
	return out, false
}

// seen is what a client can tell apart.
type seen struct {
	status int
	served string // versions that answer, sorted, joined by "+"
	rule   string
}

// ended is in the place of a status: the server has taken the connection, and ended it
// without an answer.
const ended = -4

// saw is what an outcome looks like from outside.
func saw(o *behave.Outcome) seen {
	switch o.Verdict {
	case behave.NoRoute:
		return seen{status: 404}
	case behave.Denied:
		return seen{status: 403}
	case behave.Refused:
		return seen{status: ended}
	case behave.Served:
		out := seen{status: 200}
		var served []string
		for _, d := range o.To {
			served = append(served, d.Name)
		}
		slices.Sort(served)
		out.served = strings.Join(served, "+")
		for _, h := range o.Reply.Set {
			if h.Name == ruleHeader {
				out.rule = h.Value
			}
		}
		if o.Abort != nil { // the fault answers, with the header of the route
			status, err := strconv.Atoi(o.Abort.What)
			if err != nil || o.Abort.BasisPoints != model.BasisPointsWhole {
				return seen{status: -1}
			}
			out.status, out.served = status, ""
		}
		return out
	}
	return seen{status: -1}
}

func (x *differing) replayAll(all []witnessed, when string, of func(*witnessed) *behave.Outcome) {
	together(8, len(all), func(i int) {
		for _, k := range all[i].kinds {
			want := saw(of(&all[i]))
			got := x.settled(k, &all[i], want)
			if got == want {
				continue
			}
			x.mu.Lock()
			x.wrong[k]++
			x.mu.Unlock()
			s := x.mesh.Service(all[i].service)
			x.t.Errorf("%s, %s: %s gets %+v, and was to get %+v (%v)\nallow %+v\ndeny %+v", k, when, all[i].Witness, got, want, all[i].Classes, s.Allow, s.Deny)
		}
	})
}

// settled replays a witness until it gets what was said, for a moment: the
// workers of a proxy follow shortly after it has acknowledged a change.
func (x *differing) settled(k kind, c *witnessed, want seen) seen {
	end := time.Now().Add(patience)
	for {
		if got := x.see(k, c, want); got == want || time.Now().After(end) {
			return got
		}
	}
}

// halves is how often a request of which each of two versions gets half is sent
// at most: that one of them never answers has a chance of 2⁻³⁹.
const halves = 40

// see sends a witness, several times where both versions are to answer.
func (x *differing) see(k kind, c *witnessed, want seen) seen {
	at := x.placed[c.client+"-"+string(k)].Outbound[model.OutboundKey(c.service, meshPort)]
	if c.plain {
		at = x.placed[c.service.Name+"-"+string(k)].Inbound[meshPort]
	}
	var out seen
	var served []string
	for i := range halves {
		res := send(at, nil, asSent(c.Witness), "")
		now := seen{cmp.Or(res.Status, -2), "", only(res.Header[ruleHeader])}
		if res.Status == 0 && res.Err == "ended" {
			now.status = ended
		}
		if i > 0 && (now.status != out.status || now.rule != out.rule) {
			return seen{status: -3} // on the way from one mesh to the next
		}
		out = now
		if v := only(res.Header["x-served"]); v != "" && !slices.Contains(served, v) {
			served = append(served, v)
		}
		slices.Sort(served)
		if out.served = strings.Join(served, "+"); out == want {
			break
		}
		if !strings.Contains(want.served, "+") {
			break
		}
	}
	return out
}

func only(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return ""
}

// asSent is a request of the space as a client sends it.
func asSent(r *reach.Request) *request {
	out := &request{method: r.Method, target: r.Target(), host: r.Host}
	for _, h := range r.Fields() {
		out.headers = append(out.headers, h.Name+": "+h.Value)
	}
	return out
}
