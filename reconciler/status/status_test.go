package status

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler/diag"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }

func TestTransitionTimeMovesOnlyWithTheStatus(t *testing.T) {
	var s Status
	s.Set(Condition{Type: OnNodes, Status: False, Reason: "Pushing", Message: "0/2"}, at(0))
	s.Set(Condition{Type: Ready, Status: False, Reason: "Pushing"}, at(0))
	s.Set(Condition{Type: OnNodes, Status: False, Reason: "Pushing", Message: "1/2"}, at(1))
	c, _ := s.Condition(OnNodes)
	if c.LastTransitionTime != at(0) || c.Message != "1/2" {
		t.Errorf("same status: %+v", c)
	}
	s.Set(Condition{Type: OnNodes, Status: True, Reason: "Complete"}, at(2))
	if c, _ = s.Condition(OnNodes); c.LastTransitionTime != at(2) {
		t.Errorf("new status: %+v", c)
	}
	if s.Conditions[0].Type != Ready || len(s.Conditions) != 2 {
		t.Errorf("order: %+v", s.Conditions)
	}
}

func TestACommitIsProgrammedOnceAndKeepsItsTime(t *testing.T) {
	var s Status
	s.Record(Entry{Commit: "a", Outcome: Applied, ObservedAt: at(0), AppliedAt: at(1)})
	s.Observe(Programmed{Commit: "a"}, at(1))
	if s.Programmed.Complete() || s.History[0].Outcome != Applied {
		t.Error("0/0 counts as programmed")
	}
	s.Observe(Programmed{Commit: "a", Done: 1, Total: 2}, at(2))
	if s.History[0].Outcome != Applied || s.Programmed.Complete() {
		t.Fatalf("half way: %+v", s)
	}
	s.Observe(Programmed{Commit: "a", Done: 2, Total: 2}, at(3))
	s.Observe(Programmed{Commit: "a", Done: 2, Total: 2}, at(9))
	e := s.History[0]
	if e.Outcome != OnEveryNode || e.ProgrammedAt != at(3) || s.Programmed.CompletedAt != at(3) {
		t.Errorf("complete: %+v %+v", e, s.Programmed)
	}
	s.Observe(Programmed{Commit: "a", Done: 2, Total: 3}, at(10)) // a proxy joined
	if s.History[0].Outcome != OnEveryNode || !s.Programmed.CompletedAt.IsZero() {
		t.Errorf("a proxy joined: %+v", s)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var s Status
	for i := range 3 * maxHistory {
		s.Record(Entry{Commit: strings.Repeat("x", i+1), Outcome: Applied})
	}
	if len(s.History) != maxHistory || s.History[maxHistory-1].Outcome != Applied || s.History[0].Outcome != Superseded {
		t.Errorf("%d entries, first %s, last %s", len(s.History), s.History[0].Outcome, s.History[maxHistory-1].Outcome)
	}
}

// line is a history in which each commit descends from those before it;
// commits that start with "x" are on another branch.
func line(newer ...string) Ancestry {
	return func(a, b string) (bool, error) {
		if slices.Contains(newer, "?") {
			return false, errors.New("shallow")
		}
		i, j := slices.Index(newer, a), slices.Index(newer, b)
		return i >= 0 && j >= i, nil
	}
}

func TestVerdict(t *testing.T) {
	linear := line("a", "b", "c", "d")
	cases := map[string]struct {
		history  []Entry
		commit   string
		ancestry Ancestry
		want     Answer
	}{
		"programmed":                   {[]Entry{{Commit: "a", Outcome: OnEveryNode}}, "a", linear, Live},
		"on its way":                   {[]Entry{{Commit: "a", Outcome: Applied}}, "a", linear, Pending},
		"rejected":                     {[]Entry{{Commit: "a", Outcome: Rejected}}, "a", linear, Never},
		"rejected, then fixed":         {[]Entry{{Commit: "a", Outcome: Rejected}, {Commit: "b", Outcome: OnEveryNode}}, "a", linear, Never},
		"programmed, then moved on":    {[]Entry{{Commit: "a", Outcome: OnEveryNode}, {Commit: "b", Outcome: Applied}}, "a", linear, Live},
		"superseded by a live child":   {[]Entry{{Commit: "a", Outcome: Superseded}, {Commit: "b", Outcome: OnEveryNode}}, "a", linear, Live},
		"superseded, child on its way": {[]Entry{{Commit: "a", Outcome: Superseded}, {Commit: "b", Outcome: Applied}}, "a", linear, Pending},
		"child live, grandchild bad": {[]Entry{{Commit: "a", Outcome: Superseded}, {Commit: "b", Outcome: OnEveryNode}, {Commit: "c", Outcome: Rejected}},
			"a", linear, Live},
		"superseded by a stranger":  {[]Entry{{Commit: "a", Outcome: Superseded}, {Commit: "x", Outcome: OnEveryNode}}, "a", linear, Never},
		"superseded, no history":    {[]Entry{{Commit: "a", Outcome: Superseded}, {Commit: "b", Outcome: OnEveryNode}}, "a", line("?"), Untold},
		"not seen":                  {[]Entry{{Commit: "a", Outcome: OnEveryNode}}, "d", linear, Pending},
		"not seen, no history":      {[]Entry{{Commit: "a", Outcome: OnEveryNode}}, "d", line("?"), Pending},
		"a beginning":               {[]Entry{{Commit: "abcd", Outcome: OnEveryNode}}, "ab", linear, Live},
		"an ambiguous beginning":    {[]Entry{{Commit: "abcd", Outcome: OnEveryNode}, {Commit: "abxy", Outcome: Rejected}}, "ab", linear, Untold},
		"nothing yet":               {nil, "a", linear, Pending},
		"skipped, descendant live":  {[]Entry{{Commit: "a", Outcome: OnEveryNode}, {Commit: "c", Outcome: OnEveryNode}}, "b", linear, Live},
		"skipped, descendant bad":   {[]Entry{{Commit: "a", Outcome: OnEveryNode}, {Commit: "c", Outcome: Rejected}}, "b", linear, Never},
		"skipped, descendant comes": {[]Entry{{Commit: "a", Outcome: OnEveryNode}, {Commit: "c", Outcome: Applied}}, "b", linear, Pending},
		"served again after a rewind": {[]Entry{{Commit: "a", Outcome: OnEveryNode}, {Commit: "b", Outcome: OnEveryNode}, {Commit: "a", Outcome: Applied}},
			"a", linear, Pending},
	}
	for name, tc := range cases {
		s := Status{History: tc.history}
		if v := s.Verdict(tc.commit, tc.ancestry); v.Answer != tc.want || v.Reason == "" {
			t.Errorf("%s: %+v, want %d", name, v, tc.want)
		}
	}
}

func TestDiagnosticsPutErrorsFirstAndAreBounded(t *testing.T) {
	list := diag.List{
		{Code: "MSH2001", Severity: diag.Warning, Range: diag.Range{File: "a.cue", Start: diag.Pos{Line: 1, Col: 1}}, Message: "w"},
		{Code: "MSH1001", Severity: diag.Error, Range: diag.Range{File: "b.cue", Start: diag.Pos{Line: 7, Col: 3}}, Message: "e"},
	}
	want := []Diagnostic{
		{Code: "MSH1001", Severity: "error", File: "b.cue", Line: 7, Col: 3, Message: "e"},
		{Code: "MSH2001", Severity: "warning", File: "a.cue", Line: 1, Col: 1, Message: "w"},
	}
	if d := cmp.Diff(want, Diagnostics(list)); d != "" {
		t.Error(d)
	}
	if n := len(Diagnostics(make(diag.List, 500))); n != maxDiagnostics {
		t.Errorf("%d diagnostics", n)
	}
}

func TestJSONForm(t *testing.T) {
	s := Status{Repository: "/r", Serving: &Serving{Commit: "c", AppliedAt: t0}, Programmed: Programmed{Commit: "c", Done: 1, Total: 1, CompletedAt: t0}}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Status
	if err := json.Unmarshal(raw, &back); err != nil || !cmp.Equal(s, back) {
		t.Errorf("round trip: %v %s", err, cmp.Diff(s, back))
	}
}
