package http2

import (
	"runtime"
	"strings"
	"testing"

	"github.com/meshc/meshc/dataplane/message"
)

// A thousand crumbs, which are a thousand bytes on the wire once they are in the
// table, cost no more than what they come to.
func TestCrumbsCostWhatTheyHold(t *testing.T) {
	lim := testLimits
	var c collector
	crumb := strings.Repeat("x", 20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.reset(requestHead, &lim, nil)
	const crumbs = 1000
	for range crumbs {
		c.field("cookie", crumb, false)
	}
	runtime.ReadMemStats(&after)
	if c.fault != nil || len(c.fields) != 1 {
		t.Fatalf("fault %v, %d fields", c.fault, len(c.fields))
	}
	if want := strings.Repeat(crumb+"; ", crumbs-1) + crumb; c.fields[0].Value != want {
		t.Errorf("joined to %d bytes, want %d", len(c.fields[0].Value), len(want))
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 20*uint64(lim.HeadBytes) {
		t.Errorf("%d bytes were allocated for a head of at most %d", spent, lim.HeadBytes)
	}
}

// A value that was read before the next crumb came stays as it was.
func TestCrumbsLeaveEarlierValues(t *testing.T) {
	lim := testLimits
	var c collector
	c.reset(requestHead, &lim, []message.Field{})
	var seen []string
	for _, v := range []string{"a=1", "b=2", "c=3", "d=4"} {
		c.field("cookie", v, false)
		seen = append(seen, c.fields[0].Value)
	}
	if got := strings.Join(seen, "|"); got != "a=1|a=1; b=2|a=1; b=2; c=3|a=1; b=2; c=3; d=4" {
		t.Error(got)
	}
}
