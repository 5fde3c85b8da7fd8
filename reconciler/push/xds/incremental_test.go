package xds

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// TestWhatIsKeptIsWhatWouldBeMade: whatever changes from one state to the next, the
// nodes that were kept hold what a server without a past would give them.
func TestWhatIsKeptIsWhatWouldBeMade(t *testing.T) {
	ca := [][]byte{newAuthority(t).pem(), newAuthority(t).pem()}
	rapid.Check(t, func(t *rapid.T) {
		clock, pem := time.Unix(1e9, 0), ca[0]
		made := func(commit string, d *Desired) *Server {
			s := New(Options{Now: func() time.Time { return clock }})
			fatal(t, s.SetBundle(domain, pem))
			fatal(t, s.SetDesired(commit, d))
			return s
		}
		d := wide(6)
		for i, s := range d.Mesh.Services {
			s.Uses = []model.Ref{d.Mesh.Services[(i+1)%6].Ref}
		}
		d.Workloads = emitxds.DefaultWorkloads(d.Mesh)
		s := made("c0", d)
		for i := range rapid.IntRange(1, 8).Draw(t, "steps") {
			d = changedAtRandom(t, d, &clock)
			commit := fmt.Sprint("c", i+1)
			if rapid.IntRange(0, 5).Draw(t, "bundle") == 0 {
				pem = ca[rapid.IntRange(0, 1).Draw(t, "which")]
				fatal(t, s.SetBundle(domain, pem))
			}
			if rapid.Bool().Draw(t, "checked") {
				fatal(t, s.Check(commit, d))
			}
			fatal(t, s.SetDesired(commit, d))
			got, want := s.snapshot(), made(commit, d).snapshot()
			if !slices.Equal(slices.Sorted(maps.Keys(got.nodes)), slices.Sorted(maps.Keys(want.nodes))) {
				t.Fatalf("nodes %v, want %v", maps.Keys(got.nodes), maps.Keys(want.nodes))
			}
			for id, n := range got.nodes {
				sameNode(t, n, want.nodes[id])
			}
		}
	})
}

func fatal(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sameNode compares all but provenance, which is as of the commit that made it.
func sameNode(t *rapid.T, got, want *nodeSet) {
	t.Helper()
	if got.commit != want.commit || got.spiffeID != want.spiffeID || !slices.Equal(got.unplaced, want.unplaced) || len(got.users) != len(want.users) {
		t.Fatalf("%s: %+v, want %+v", got.node, got, want)
	}
	for typ := range got.res {
		if !slices.Equal(sorted(got.res[typ]), sorted(want.res[typ])) {
			t.Fatalf("%s: %s %v, want %v", got.node, Type(typ), sorted(got.res[typ]), sorted(want.res[typ]))
		}
		for name, r := range got.res[typ] {
			w := want.res[typ][name]
			if r.Version != w.Version || !reflect.DeepEqual(r.Needs, w.Needs) || !slices.Equal(r.edges, w.edges) || r.endpoints != w.endpoints {
				t.Fatalf("%s: %s is %+v, want %+v", got.node, r.Key, r, w)
			}
		}
	}
}

// changedAtRandom copies what it changes, as compilers and discovery do.
func changedAtRandom(t *rapid.T, d *Desired, clock *time.Time) *Desired {
	m := *d.Mesh
	m.Services = slices.Clone(m.Services)
	all := slices.Clone(d.Workloads)
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		i := rapid.IntRange(0, len(m.Services)-1).Draw(t, "service")
		s := *m.Services[i]
		w := rapid.IntRange(0, len(all)-1).Draw(t, "workload")
		moved := *all[w]
		switch rapid.IntRange(0, 9).Draw(t, "change") {
		case 0:
			r := *s.Routes[0]
			r.Timeout = time.Duration(rapid.IntRange(1, 3).Draw(t, "timeout")) * time.Second
			s.Routes = []*model.Route{&r}
		case 1:
			r := *s.Routes[0]
			r.Delay = &model.Delay{Fixed: time.Second, BasisPoints: 1, Until: clock.Add(time.Minute)}
			s.Routes = []*model.Route{&r}
		case 2:
			*clock = clock.Add(2 * time.Minute)
		case 3:
			to := m.Services[rapid.IntRange(0, len(m.Services)-1).Draw(t, "to")].Ref
			if to != s.Ref && !slices.Contains(s.Uses, to) {
				s.Uses = append(slices.Clone(s.Uses), to)
			}
		case 4:
			if len(s.Uses) > 0 {
				s.Uses = s.Uses[1:]
			}
		case 5:
			s.Allow = []model.Rule{{Principals: []string{spiffeID(fmt.Sprintf("s%05d", rapid.IntRange(0, 5).Draw(t, "caller")))}}}
		case 6:
			s.SPIFFEID = spiffeID(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "identity"))
		case 7:
			moved.Ready = !moved.Ready
		case 8:
			moved.Locality = model.Locality{Region: "r", Zone: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "zone")}
		case 9:
			if len(all) > 6 {
				all = slices.Delete(all, w, w+1)
				continue
			}
		}
		m.Services[i] = &s
		if w < len(all) {
			all[w] = &moved
		}
	}
	return &Desired{Mesh: &m, Workloads: all}
}

// TestWhatChangesNothingIsNotMadeAgain: a commit that leaves a node alone keeps what
// it holds, and one that reaches few makes few.
func TestWhatChangesNothingIsNotMadeAgain(t *testing.T) {
	s, d := New(Options{}), wide(20)
	must(t, s.SetBundle(domain, newAuthority(t).pem()))
	must(t, s.SetDesired("c1", d))
	made := func(commit string, d *Desired) int {
		before := s.snapshot()
		must(t, s.SetDesired(commit, d))
		n := 0
		for id, set := range s.snapshot().nodes {
			if set.commit != commit {
				t.Errorf("%s is of %s", id, set.commit)
			}
			if set.content != before.nodes[id].content {
				n++
			}
		}
		return n
	}
	if n := made("c2", &Desired{Mesh: stored(t, d.Mesh), Workloads: d.Workloads}); n != 0 {
		t.Errorf("%d nodes were made for a commit that changes nothing", n)
	}
	next := stored(t, d.Mesh)
	next.Services[7].Routes[0].Timeout += time.Second
	reached := 0
	for _, w := range d.Workloads {
		if of := next.Service(w.Service); of == next.Services[7] || slices.Contains(of.Uses, next.Services[7].Ref) {
			reached++
		}
	}
	if n := made("c3", &Desired{Mesh: next, Workloads: d.Workloads}); n != reached {
		t.Errorf("%d nodes were made, and the change reaches %d", n, reached)
	}
	held := len(s.known.version)
	for i := range 50 { // what is no longer held is forgotten
		next = stored(t, next)
		next.Services[i%20].Routes[0].Timeout += time.Second
		made(fmt.Sprint("c", i+4), &Desired{Mesh: next, Workloads: d.Workloads})
	}
	if now := len(s.known.version); now > 2*held {
		t.Errorf("%d resources are known, after the first commits %d", now, held)
	}
}

// TestACommitThatLeavesANodeAloneIsProgrammedAtOnce: nothing is sent, and what was
// confirmed counts for the new commit, until the client or the goal moves again.
func TestACommitThatLeavesANodeAloneIsProgrammedAtOnce(t *testing.T) {
	set := first1()
	s := newScript(t, set)
	s.up()
	same := *set
	same.commit = "c2"
	s.want(s.goal(&same), "")
	if s.programmed != "c2" || !s.done || s.memory.good != &same {
		t.Errorf("programmed %s, done %v", s.programmed, s.done)
	}
	s.want(s.sub(EDS, "a"), "EDS a=1") // what it asks for again it gets
	third := same
	third.commit = "c3"
	s.want(s.goal(&third), "")
	if s.programmed != "c2" {
		t.Error("a commit counts as confirmed while an answer is awaited")
	}
	s.want(s.ack(EDS), "")
	if s.programmed != "c3" {
		t.Errorf("programmed %s", s.programmed)
	}
}
