package xds

import (
	"slices"
	"testing"
	"time"
)

func TestARefusedCommitIsTriedAgain(t *testing.T) {
	s := newScript(t, first1())
	s.up()
	next := newSet("c2", slices.Concat(clusterAt("a", "1"), listenerTo("r", "2", "a"))...)
	s.want(s.goal(next), "RDS r=2")
	pause := firstRetry
	for range 9 {
		s.want(s.nack(RDS, "the port is taken"), "")
		if s.target.commit != "c1" {
			t.Fatalf("led to %s after a NACK", s.target.commit)
		}
		end, ok := s.next()
		if !ok || end.Sub(s.now) != min(pause, lastRetry) {
			t.Fatalf("tried again after %v, want %v", end.Sub(s.now), pause)
		}
		if at := s.status(s.now).RetryAt; at != end {
			t.Errorf("status says %v, not %v", at, end)
		}
		s.now = end.Add(-time.Millisecond)
		s.want(s.sends(), "")
		s.now = end
		s.want(s.sends(), "RDS r=2")
		pause *= 2
	}
	s.want(s.ack(RDS), "")
	if s.programmed != "c2" || !s.done {
		t.Errorf("programmed %q, done %v", s.programmed, s.done)
	}
	if end, ok := s.next(); ok {
		t.Errorf("something is tried at %v although nothing is refused", end)
	}
	// The next refusal is the first one again.
	s.want(s.goal(newSet("c3", slices.Concat(clusterAt("a", "1"), listenerTo("r", "3", "a"))...)), "RDS r=3")
	s.want(s.nack(RDS, "no"), "")
	if end, _ := s.next(); end.Sub(s.now) != firstRetry {
		t.Errorf("tried again after %v", end.Sub(s.now))
	}
}

func TestRefusedEndpointsAreTriedAgain(t *testing.T) {
	s := newScript(t, first1())
	s.up()
	moved := []*Resource{simResource(CDS, "a", "1", Key{EDS, "a"}), simResource(EDS, "a", "2")}
	s.want(s.goal(newSet("c2", append(moved, listenerTo("r", "1", "a")...)...)), "EDS a=2")
	s.want(s.nack(EDS, "no"), "")
	s.now = s.now.Add(firstRetry)
	s.want(s.sends(), "EDS a=2")
	s.want(s.ack(EDS), "")
	if s.programmed != "c2" {
		t.Errorf("programmed %q", s.programmed)
	}
}

func TestARefusedRemovalIsTriedAgain(t *testing.T) {
	s := newScript(t, newSet("c1", append(clusterAt("a", "1"), clusterAt("b", "1")...)...))
	s.want(s.sub(CDS, "*"), "CDS a=1 b=1")
	s.want(s.sub(LDS, "*"), "LDS ")
	s.ack(LDS)
	s.ack(CDS)
	s.want(s.sub(EDS, "a", "b"), "EDS a=1 b=1")
	s.ack(EDS)
	s.want(s.goal(newSet("c2", clusterAt("a", "1")...)), "CDS -b")
	// Back to what was confirmed: b may be gone in spite of the NACK.
	s.want(s.nack(CDS, "no removals"), "CDS b=1")
	s.want(s.ack(CDS), "")
	s.now = s.now.Add(firstRetry)
	s.want(s.sends(), "CDS -b")
	s.want(s.ack(CDS), "EDS -b")
}

// A commit that mends what was refused does not wait for the next try.
func TestANewCommitDoesNotWaitForTheNextTry(t *testing.T) {
	s := newScript(t, first1())
	s.up()
	s.want(s.goal(newSet("c2", slices.Concat(clusterAt("a", "1"), listenerTo("r", "2", "a"))...)), "RDS r=2")
	s.want(s.nack(RDS, "no"), "")
	s.want(s.goal(newSet("c3", slices.Concat(clusterAt("a", "1"), listenerTo("r", "3", "a"))...)), "RDS r=3")
	s.want(s.ack(RDS), "")
	if s.programmed != "c3" {
		t.Errorf("programmed %q", s.programmed)
	}
}

// What a client reported before this server had it is known once it does.
func TestWhatIsReportedIsRecognisedLater(t *testing.T) {
	s := newScript(t, newSet("c1"))
	s.types[CDS].acked["a"] = s.reported(Key{CDS, "a"}, "1")
	if !s.types[CDS].acked["a"].opaque {
		t.Fatal("known already")
	}
	s.setDesired(first1())
	if held := s.types[CDS].acked["a"]; held.opaque || len(held.Needs) != 1 {
		t.Errorf("holds %+v", held)
	}
}
