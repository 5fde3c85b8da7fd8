package xds

import "testing"

// A retry that finds everything confirmed is no reason to pass over the next goal:
// a node that refused a commit, took the one after it, and was pardoned meanwhile
// gets the third at once.
func TestAGoalAfterAPardonIsSentAtOnce(t *testing.T) {
	with := func(commit, version string) *nodeSet {
		return newSet(commit, append(clusterAt("a", "1"), listenerTo("r", version, "a")...)...)
	}
	s := newScript(t, with("c1", "1"))
	s.up()
	s.want(s.goal(with("c2", "bad")), "RDS r=bad")
	s.want(s.nack(RDS, "r is bad"), "")
	s.want(s.goal(with("c3", "1")), "")
	if !s.done || s.programmed != "c3" {
		t.Fatalf("the commit that mends is not confirmed: %q", s.programmed)
	}
	s.now = s.now.Add(lastRetry)
	s.want(s.sends(), "") // forgives, and has nothing to send
	s.want(s.goal(with("c4", "2")), "RDS r=2")
}
