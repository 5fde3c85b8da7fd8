package telemetry

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func exposed(t *testing.T, r *Registry) string {
	t.Helper()
	var b strings.Builder
	if err := r.WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestQuietGroupsAreForgottenAndComeBack(t *testing.T) {
	r := New(1)
	now := time.Unix(0, 0)
	g := r.Group(Label{"to", "a"})
	count := g.Counter("requests").Shard(0)
	took := g.Histogram("took").Shard(0)
	count.Inc()
	took.ObserveSize(7)
	r.Sweep(now)
	r.Sweep(now.Add(59 * time.Minute))
	if g.Idle() {
		t.Fatal("idle within the hour")
	}
	r.Sweep(now.Add(61 * time.Minute))
	if !g.Idle() || !strings.Contains(exposed(t, r), `requests{to="a"} 1`) {
		t.Fatalf("idle %v, want it idle and still there:\n%s", g.Idle(), exposed(t, r))
	}
	count.Inc() // by a loop that had looked before it was idle
	r.Sweep(now.Add(62 * time.Minute))
	if g.Idle() || !strings.Contains(exposed(t, r), `requests{to="a"} 2`) {
		t.Fatalf("what was counted while it became idle is lost:\n%s", exposed(t, r))
	}
	r.Sweep(now.Add(123 * time.Minute))
	if again := r.Group(Label{"to", "a"}); again != g || g.Idle() {
		t.Fatal("asking for an idle group does not bring it back")
	}
	r.Sweep(now.Add(124 * time.Minute))
	r.Sweep(now.Add(125 * time.Minute))
	if got := exposed(t, r); got != "" {
		t.Fatalf("still there after an hour without traffic:\n%s", got)
	}
	fresh := r.Group(Label{"to", "a"})
	fresh.Counter("requests").Shard(0).Inc()
	if got := exposed(t, r); got != "# TYPE requests counter\nrequests{to=\"a\"} 1\n" {
		t.Errorf("after it was forgotten: %q", got)
	}
}

func TestGroupsAreBounded(t *testing.T) {
	r := New(1)
	kept := r.Group(Label{"to", "rest"}).Keep()
	n := 1
	for i := range 2 * maxGroups {
		if g := r.Group(Label{"to", strconv.Itoa(i)}); g != nil {
			g.Counter("requests")
			n++
		}
	}
	if n != maxGroups {
		t.Errorf("%d groups, want %d", n, maxGroups)
	}
	for i := range 4 {
		r.Sweep(time.Unix(0, 0).Add(time.Duration(i) * 2 * quiet))
	}
	if kept.Idle() || r.Group(Label{"to", "new"}) == nil || len(r.groups) != 2 {
		t.Errorf("%d groups are left, want the kept one and the new", len(r.groups))
	}
}
