package diag

import (
	"testing"
	"time"
)

func TestSuppressor(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	field := Range{"a.cue", Pos{2, 1}, Pos{4, 2}}
	at := func(file string, line, col int) Range { return Range{file, NewPos(line, col), NewPos(line, col+1)} }
	all := []Suppression{
		{Code: ShadowedRoute, Scope: field, At: at("a.cue", 4, 3)},
		{Code: ShadowedRoute, Scope: Range{File: "b.cue"}, At: at("b.cue", 1, 1)},
		{Code: SharedAccount, Scope: field, Until: now, At: at("a.cue", 5, 1)},
		{Code: FaultExpired, Scope: field, Until: now.Add(time.Second), At: at("a.cue", 6, 1)},
		{Code: UnknownVersion, Scope: field, At: at("a.cue", 7, 1)}, // load refuses it; it must not hold either
	}
	s := NewSuppressor(all, now)
	left := s.Filter(List{
		New(ShadowedRoute, at("a.cue", 2, 1), "first byte"),
		New(ShadowedRoute, at("a.cue", 4, 1), "last byte"),
		New(ShadowedRoute, at("a.cue", 4, 2), "behind"),
		New(ShadowedRoute, at("a.cue", 1, 9), "before"),
		New(ShadowedRoute, at("c.cue", 3, 1), "another file"),
		New(ShadowedRoute, Range{File: "b.cue"}, "the file"),
		New(SharedAccount, at("a.cue", 3, 1), "expired"),
		New(FaultExpired, at("a.cue", 3, 1), "not yet"),
		New(UnknownVersion, at("a.cue", 3, 1), "an error"),
	})
	got := ""
	for _, d := range left {
		got += d.Message + ";"
	}
	if want := "behind;before;another file;expired;an error;"; got != want {
		t.Errorf("left %q, want %q", got, want)
	}
	if len(s.Taken) != 4 {
		t.Errorf("%+v", s.Taken)
	}
	if e := s.Expired(); len(e) != 1 || e[0].Range != all[2].At {
		t.Errorf("expired: %+v", e)
	}
	if u := s.Unused(); len(u) != 1 || u[0].Range != all[4].At {
		t.Errorf("unused: %+v", u)
	}
}

// TestErrorsStayUnlessTheyAreBearable names the policy: what has no meaning
// cannot be compiled, so it cannot be hidden.
func TestErrorsStayUnlessTheyAreBearable(t *testing.T) {
	for _, e := range Registry() {
		want := e.Severity != Error && e.Code != SuppressionUnused || e.Code == PerTryOverTimeout
		if Suppressible(e.Code) != want {
			t.Errorf("%s (%s): suppressible is %v", e.Code, e.Severity, !want)
		}
	}
	if Suppressible("MSH0000") {
		t.Error("an unknown code can be suppressed")
	}
}
