package behave_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	os.Exit(m.Run())
}

func generated(t testing.TB, seed uint64) *model.Mesh {
	t.Helper()
	res, err := compiler.Compile(t.Context(), gen.Mesh(seed).FS(), compiler.Options{
		Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Load: load.Options{InProcess: true},
	})
	if err != nil || res.Model == nil {
		t.Fatalf("seed %d: %v %v", seed, err, res)
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

// TestMutations changes one field of generated meshes after the other. What
// package behave reports is what package answer sees: every witness is treated
// differently, in the way that the class says, and where nothing is reported no
// request of a walk is.
func TestMutations(t *testing.T) {
	from, to, share := uint64(0), uint64(5), 50
	if os.Getenv("MESHC_SOAK") != "" {
		from, to, share = 0, 50, 1
	}
	// MESHC_SOAK_PART=2/5 takes the second fifth of the meshes of a soak.
	if text := os.Getenv("MESHC_SOAK_PART"); text != "" {
		var part, of uint64
		if _, err := fmt.Sscanf(text, "%d/%d", &part, &of); err != nil || part < 1 || part > of {
			t.Fatalf("MESHC_SOAK_PART is %q, want such as 2/5", text)
		}
		from, to = (part-1)*to/of, part*to/of
	}
	var sum tally
	var mu sync.Mutex
	t.Run("mesh", func(t *testing.T) {
		for seed := from; seed < to; seed++ {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				one := mutateAll(t, seed, share)
				mu.Lock()
				defer mu.Unlock()
				sum.add(one)
			})
		}
	})
	t.Logf("%d mutations: %d change behaviour (%d witnesses), %d do not (%d requests tried), %d unknown", sum.tried, sum.differ, sum.witnesses, sum.same, sum.requests, sum.unknown)
	if sum.unknown*100 > sum.tried {
		t.Errorf("%d of %d are unknown", sum.unknown, sum.tried)
	}
}

// mutateAll tries one of share mutations of the mesh of a seed.
func mutateAll(t *testing.T, seed uint64, share int) tally {
	run := &mutated{before: generated(t, seed), rng: rand.New(rand.NewPCG(seed, 1)), prints: map[behave.Name]string{}}
	for _, mu := range mutations(run.before, run.rng) {
		if share > 1 && run.rng.IntN(share) != 0 {
			continue
		}
		after := clone(t, run.before)
		mu.make(after)
		if sound(after) {
			run.check(t, mu.where, after)
		}
		if t.Failed() {
			t.Fatalf("seed %d, %s", seed, mu.where)
		}
	}
	return run.sum
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
	for i := range r.Objects {
		o := &r.Objects[i]
		if run.samePrint(t, after, o.Name) && len(o.Unknown) == 0 && !onlyCallers(o) {
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
		if !run.samePrint(t, after, name) {
			t.Errorf("%s: %v behaves the same, and has another fingerprint", where, name)
		}
		for range 40 {
			q := draw(run.rng, run.before, after, name)
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

// draw makes a request to an object that some condition of either mesh accepts,
// or nearly does.
func draw(rng *rand.Rand, before, after *model.Mesh, name behave.Name) *reach.Request {
	var matches []model.Match
	var ids, hosts []string
	var ports []uint16
	for _, m := range []*model.Mesh{before, after} {
		for _, s := range m.Services {
			ids = append(ids, s.SPIFFEID)
		}
		if s := m.Service(name.Ref); s != nil {
			hosts = append(hosts, s.Host)
			for _, p := range s.Ports {
				ports = append(ports, p.Number)
			}
			for _, r := range s.Routes {
				matches = append(matches, r.Match...)
			}
			for _, r := range slices.Concat(s.Allow, s.Deny) {
				matches = append(matches, r.Matches()...)
			}
		}
		if e := m.External(name.Ref); e != nil {
			hosts = append(hosts, e.Host)
			ports = append(ports, e.Ports[0].Number)
		}
		if g := m.Gateway(name.Ref); g != nil {
			for _, l := range g.Listeners {
				ports = append(ports, l.Port)
				for _, h := range l.Hosts {
					hosts = append(hosts, strings.Replace(h.Host, "*", "a", 1))
					for _, r := range h.Routes {
						matches = append(matches, r.Route.Match...)
					}
				}
			}
		}
	}
	out := &reach.Request{Scheme: "http", Method: "GET", Path: "/"}
	if len(matches) > 0 {
		if found, err := reach.Find(reach.OfMatch(matches[rng.IntN(len(matches))])); err == nil && found != nil {
			out = found
		}
	}
	if len(ports) > 0 {
		out.Port = ports[rng.IntN(len(ports))]
	}
	if len(hosts) > 0 {
		out.Host = hosts[rng.IntN(len(hosts))]
	}
	if name.Kind == behave.ServiceKind && rng.IntN(8) > 0 {
		out.Identity = ids[rng.IntN(len(ids))]
	}
	if name.Kind == behave.GatewayKind {
		out.Scheme = "http"
	}
	out.Address = []string{"10.0.0.1", "192.0.2.1", "8.8.8.8"}[rng.IntN(3)]
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
