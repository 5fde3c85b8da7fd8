package behave_test

import (
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/test/soak"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	os.Exit(m.Run())
}

func generated(t testing.TB, seed uint64) *model.Mesh { return compiled(t, gen.Mesh(seed).FS()) }

func compiled(t testing.TB, files fs.FS) *model.Mesh {
	t.Helper()
	res, err := compiler.Compile(t.Context(), files, compiler.Options{
		Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Load: load.Options{InProcess: true},
	})
	if err != nil || res.Model == nil {
		t.Fatalf("%v %v", err, res)
	}
	return res.Model
}

// tally of a run.
type tally struct{ tried, differ, same, unknown, witnesses, requests int }

func (sum *tally) add(o tally) {
	sum.tried += o.tried
	sum.differ += o.differ
	sum.same += o.same
	sum.unknown += o.unknown
	sum.witnesses += o.witnesses
	sum.requests += o.requests
}

// trial is one mesh whose fields are changed, and which of the changes are made.
type trial struct {
	name  string
	files fs.FS
	pick  func(*rand.Rand, []mutation) []mutation
}

// oneIn picks one of share changes.
func oneIn(share int) func(*rand.Rand, []mutation) []mutation {
	return func(rng *rand.Rand, all []mutation) []mutation {
		return slices.DeleteFunc(all, func(mutation) bool { return rng.IntN(share) != 0 })
	}
}

var digits = regexp.MustCompile(`[0-9]+`)

// ofEach picks at most so many changes of each kind of each field, and one of
// share of those.
func ofEach(most, share int) func(*rand.Rand, []mutation) []mutation {
	return func(rng *rand.Rand, all []mutation) []mutation {
		shuffle(rng, all)
		seen := map[string]int{}
		all = slices.DeleteFunc(all, func(m mutation) bool {
			field, _, _ := strings.Cut(m.where, " = ")
			field = digits.ReplaceAllString(field, "")
			seen[field]++
			return seen[field] > most
		})
		return oneIn(share)(rng, all)
	}
}

// trials of a test, or of a part of a soak: MESHC_SOAK_PART=2/5 takes the second
// fifth.
func trials(t *testing.T) []trial {
	t.Helper()
	shop := os.DirFS("../../examples/bookinfo/mesh")
	if !soak.On() {
		out := []trial{{"bookinfo", shop, ofEach(1, 4)}}
		for seed := range uint64(5) {
			out = append(out, trial{fmt.Sprint("mesh", seed), gen.Mesh(seed).FS(), oneIn(50)})
		}
		for seed := uint64(1); seed < 3; seed++ {
			out = append(out, trial{fmt.Sprint("whole", seed), gen.Whole(seed).FS(), ofEach(1, 20)})
		}
		return out
	}
	var out []trial
	if part, _ := soak.Part(t); part == 1 {
		out = append(out, trial{"bookinfo", shop, oneIn(1)})
	}
	from, to := soak.Share(t, 20)
	for seed := from; seed < to; seed++ {
		out = append(out, trial{fmt.Sprint("whole", seed), gen.Whole(seed).FS(), ofEach(1, 1)})
	}
	from, to = soak.Share(t, 50)
	for seed := from; seed < to; seed++ {
		out = append(out, trial{fmt.Sprint("mesh", seed), gen.Mesh(seed).FS(), oneIn(1)})
	}
	return out
}

// TestMutations changes one field of Bookinfo and of generated meshes after the
// other. What package behave reports is what package answer sees: every witness
// is treated differently, in the way that the class says, and where nothing is
// reported no request of a walk is.
func TestMutations(t *testing.T) {
	var sum tally
	var mu sync.Mutex
	t.Run("mesh", func(t *testing.T) {
		for _, each := range trials(t) {
			t.Run(each.name, func(t *testing.T) {
				t.Parallel()
				one := mutateAll(t, each)
				mu.Lock()
				defer mu.Unlock()
				sum.add(one)
			})
		}
	})
	t.Logf("%d mutations: %d change behaviour (%d witnesses), %d do not (%d requests tried), %d unknown", sum.tried, sum.differ, sum.witnesses, sum.same, sum.requests, sum.unknown)
	if sum.unknown*1000 > sum.tried {
		t.Errorf("%d of %d are unknown", sum.unknown, sum.tried)
	}
}

// mutateAll tries what is picked of the mutations of one mesh.
func mutateAll(t *testing.T, of trial) tally {
	seed := fnv.New64()
	seed.Write([]byte(of.name))
	run := &mutated{before: compiled(t, of.files), rng: rand.New(rand.NewPCG(seed.Sum64(), 1)), prints: map[behave.Name]string{}}
	for _, mu := range of.pick(run.rng, mutations(t, run.before)) {
		after := mu.make(run.before)
		faulted(run.before, after)
		if sound(after) {
			run.check(t, mu.where, after)
		}
		if t.Failed() {
			t.Fatalf("%s, %s", of.name, mu.where)
		}
	}
	return run.sum
}

// faulted sets again what faults come to in the objects that differ.
func faulted(before, after *model.Mesh) {
	for _, s := range after.Services {
		if before.Service(s.Ref) != s {
			each(s, fault)
		}
	}
	for _, g := range after.Gateways {
		if before.Gateway(g.Ref) != g {
			each(g, fault)
		}
	}
}

// mutated is a mesh whose mutations are checked.
type mutated struct {
	before *model.Mesh
	rng    *rand.Rand
	prints map[behave.Name]string // fingerprints of before
	sum    tally
}

// samePrint says that an object has the fingerprint after a mutation that it
// had before.
func (run *mutated) samePrint(t *testing.T, after *model.Mesh, name behave.Name) bool {
	was, known := run.prints[name]
	if !known {
		was = fingerprint(t, run.before, name)
		run.prints[name] = was
	}
	return was == fingerprint(t, after, name)
}

func (run *mutated) check(t *testing.T, where string, after *model.Mesh) {
	t.Helper()
	run.sum.tried++
	r := behave.Meshes(run.before, after)
	prints := run.sum.tried%8 == 0 // they take as long as all the rest
	for i := range r.Objects {
		o := &r.Objects[i]
		if prints && run.samePrint(t, after, o.Name) && len(o.Unknown) == 0 && !onlyCallers(o) {
			t.Errorf("%s: %v behaves otherwise, and has the same fingerprint", where, o.Name)
		}
		for _, c := range o.Changes {
			run.sum.witnesses++
			checkWitness(t, where, o.Name, run.before, after, &c)
		}
	}
	switch {
	case r.Unknown():
		run.sum.unknown++
		for _, o := range r.Objects {
			t.Logf("%s: %v", where, o.Unknown)
		}
		return
	case r.Equal():
		run.sum.same++
	default:
		run.sum.differ++
	}
	for _, name := range r.Same {
		if prints && !run.samePrint(t, after, name) {
			t.Errorf("%s: %v behaves the same, and has another fingerprint", where, name)
		}
		from := askable(name, run.before, after)
		for range 40 {
			q := from.draw(run.rng)
			run.sum.requests++
			if b, a := judge(run.before, name, q), judge(after, name, q); b.text() != a.text() {
				t.Errorf("%s: %v is said to be the same, but %s\nbefore %s\nafter  %s", where, name, q, b.text(), a.text())
				return
			}
		}
	}
}

// onlyCallers says that nothing changes but who declares to call the object.
func onlyCallers(o *behave.Object) bool {
	return !slices.ContainsFunc(o.Changes, func(c behave.Change) bool { return !strings.HasPrefix(c.Deltas[0].Name, "caller ") })
}

func checkWitness(t *testing.T, where string, name behave.Name, before, after *model.Mesh, c *behave.Change) {
	t.Helper()
	if strings.HasPrefix(c.Deltas[0].Name, "caller ") {
		return // judged by TestCallers
	}
	b, a := judge(before, name, c.Witness), judge(after, name, c.Witness)
	if b.text() == a.text() {
		t.Errorf("%s: %v: %s is treated alike: %+v\n%s", where, name, c.Witness, c.Deltas, b.text())
		return
	}
	for _, class := range classesOf(b, a) {
		if !slices.Contains(c.Classes, class) {
			t.Errorf("%s: %v: %s: %v, and not %s\nbefore %s\nafter  %s", where, name, c.Witness, c.Classes, class, b.text(), a.text())
		}
	}
	judgedBy := []behave.Class{behave.Blackhole, behave.Expose, behave.Narrow, behave.Shift, behave.Fault, behave.Reroute}
	for _, class := range c.Classes {
		if slices.Contains(judgedBy, class) && !slices.Contains(classesOf(b, a), class) && b.Targets == nil {
			t.Errorf("%s: %v: %s: %v, of which %s is not so\nbefore %s\nafter  %s", where, name, c.Witness, c.Classes, class, b.text(), a.text())
		}
	}
}

// asks is what requests to an object are drawn from.
type asks struct {
	name               behave.Name
	matches            []model.Match
	ids, hosts, tokens []string
	ports              []uint16
}

// askable are the conditions of either mesh on requests to an object.
func askable(name behave.Name, before, after *model.Mesh) *asks {
	a := &asks{name: name}
	for _, m := range []*model.Mesh{before, after} {
		for _, s := range m.Services {
			a.ids = append(a.ids, s.SPIFFEID)
		}
		if s := m.Service(name.Ref); s != nil {
			a.hosts = append(a.hosts, s.Host)
			for _, p := range s.Ports {
				a.ports = append(a.ports, p.Number)
			}
			each(s, func(x *model.Match) { a.matches = append(a.matches, *x) })
			each(s, func(r *model.Rule) { a.matches = append(a.matches, r.Matches()...) })
			each(s, func(p *model.JWT) { a.tokens = append(a.tokens, p.Name) })
		}
		if e := m.External(name.Ref); e != nil {
			a.hosts = append(a.hosts, e.Host)
			a.ports = append(a.ports, e.Ports[0].Number)
		}
		if g := m.Gateway(name.Ref); g != nil {
			for _, l := range g.Listeners {
				a.ports = append(a.ports, l.Port)
				for _, h := range l.Hosts {
					a.hosts = append(a.hosts, strings.Replace(h.Host, "*", "a", 1))
					for _, r := range h.Routes {
						if s := m.Service(r.Service); s != nil {
							each(s, func(r *model.Rule) { a.matches = append(a.matches, r.Matches()...) })
							each(s.RateLimits, func(x *model.Match) { a.matches = append(a.matches, *x) })
							each(s, func(p *model.JWT) { a.tokens = append(a.tokens, p.Name) })
						}
					}
				}
			}
			each(g, func(x *model.Match) { a.matches = append(a.matches, *x) })
			each(g, func(r *model.Rule) { a.matches = append(a.matches, r.Matches()...) })
			each(g, func(p *model.JWT) { a.tokens = append(a.tokens, p.Name) })
		}
	}
	return a
}

// draw makes a request that some condition accepts, or nearly does.
func (a *asks) draw(rng *rand.Rand) *reach.Request {
	out := &reach.Request{Scheme: "http", Method: "GET", Path: "/"}
	if len(a.matches) > 0 {
		if found, err := reach.Find(reach.OfMatch(a.matches[rng.IntN(len(a.matches))])); err == nil && found != nil {
			out = found
		}
	}
	if len(a.ports) > 0 {
		out.Port = a.ports[rng.IntN(len(a.ports))]
	}
	if len(a.hosts) > 0 && (out.Host == "" || rng.IntN(4) > 0) {
		out.Host = a.hosts[rng.IntN(len(a.hosts))]
	}
	if a.name.Kind == behave.ServiceKind && rng.IntN(8) > 0 {
		out.Identity = a.ids[rng.IntN(len(a.ids))]
	}
	if a.name.Kind == behave.GatewayKind {
		out.Scheme = []string{"http", "https"}[rng.IntN(2)]
	}
	addresses := []string{"10.0.0.1", "192.0.2.1", "8.8.8.8", "2001:db8::1"}
	out.Address = addresses[rng.IntN(len(addresses))]
	out.Client = addresses[rng.IntN(len(addresses))]
	out.Through = addresses[rng.IntN(len(addresses))]
	if len(a.tokens) > 0 && rng.IntN(2) == 0 {
		out.Claims = append(out.Claims, model.Header{Name: a.tokens[rng.IntN(len(a.tokens))]})
	}
	switch rng.IntN(6) {
	case 0:
		out.Method = "POST"
	case 1:
		out.Path += "x"
	case 2:
		out.Path = strings.TrimSuffix(out.Path, "/") + "/x"
	case 3:
		if len(out.Headers) > 0 {
			out.Headers[0].Value += "1"
		}
	}
	return out
}
