// Package status is what the reconciler knows about itself: which commit it
// tried, which one serves, on how many proxies, and why not more. It holds
// plain data with a stable JSON form, and the rules that read it.
package status

import (
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
)

// Status is the whole report. Times are UTC.
type Status struct {
	Mesh        string      `json:"mesh,omitempty"` // the name that what serves gives itself
	Repository  string      `json:"repository"`
	Ref         string      `json:"ref"`
	Path        string      `json:"path"`
	TrustDomain string      `json:"trustDomain"`
	Attempted   *Attempt    `json:"attempted,omitempty"` // the newest commit looked at
	Serving     *Serving    `json:"serving,omitempty"`   // nil: nothing serves yet
	Programmed  Programmed  `json:"programmed"`
	Conditions  []Condition `json:"conditions"`
	History     []Entry     `json:"history,omitempty"` // oldest first
	Controller  Controller  `json:"controller"`
	UpdatedAt   time.Time   `json:"updatedAt"`
}

// Controller is the process that wrote the report.
type Controller struct {
	PID         int       `json:"pid"`
	StartedAt   time.Time `json:"startedAt"`
	HeartbeatAt time.Time `json:"heartbeatAt,omitzero"` // when it last said that it runs
}

// Heartbeat is how often a controller that runs says so in its report, and
// Patience after how long without one it is taken for dead: its loop may be busy
// with a large commit for some seconds.
const (
	Heartbeat = 5 * time.Second
	Patience  = 6 * Heartbeat
)

// Late says that a report is too old at now to speak of the present.
func (c *Controller) Late(now time.Time) bool { return now.Sub(c.HeartbeatAt) > Patience }

// Attempt is the newest commit that was looked at. Error is empty when it
// serves or is on its way to.
type Attempt struct {
	Commit      string       `json:"commit"`
	Ref         string       `json:"ref,omitempty"` // the full reference that it was found at
	ObservedAt  time.Time    `json:"observedAt"`
	SignedBy    string       `json:"signedBy,omitempty"` // where signatures are demanded
	Notice      string       `json:"notice,omitempty"`   // a rewritten history or a moved tag that was followed
	Error       string       `json:"error,omitempty"`
	Diagnostics []Diagnostic `json:"diagnostics,omitempty"`
}

// Serving is the commit that proxies are given.
type Serving struct {
	Commit    string    `json:"commit"`
	Ref       string    `json:"ref,omitempty"` // the full reference that it was found at
	AppliedAt time.Time `json:"appliedAt"`
}

// Diagnostic is one finding of the compiler as it is reported. File is
// relative to the mesh's directory; Line and Col count from 1, 0 for none.
type Diagnostic struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Col      int    `json:"col,omitempty"`
	Message  string `json:"message"`
	Help     string `json:"help,omitempty"`
}

// maxDiagnostics bounds a report: the first ones name the cause.
const maxDiagnostics = 100

// Diagnostics converts the compiler's findings, errors first.
func Diagnostics(list diag.List) []Diagnostic {
	sorted := slices.Clone(list)
	sorted.Sort()
	slices.SortStableFunc(sorted, func(a, b diag.Diagnostic) int { return int(b.Severity) - int(a.Severity) })
	out := make([]Diagnostic, 0, min(len(sorted), maxDiagnostics))
	for _, d := range sorted[:min(len(sorted), maxDiagnostics)] {
		out = append(out, Diagnostic{
			Code: string(d.Code), Severity: d.Severity.String(), Message: d.Message, Help: d.Help,
			File: d.Range.File, Line: int(d.Range.Start.Line), Col: int(d.Range.Start.Col),
		})
	}
	return out
}

// Node states.
const (
	NodeProgrammed   = "programmed"   // has ACKed everything of the commit
	NodePending      = "pending"      // connected, on its way
	NodeRejected     = "rejected"     // NACKed; keeps its last good config
	NodeDisconnected = "disconnected" // expected and not connected
)

// Node is one proxy.
type Node struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Commit string `json:"commit,omitempty"` // the last one it is programmed with
	Detail string `json:"detail,omitempty"` // why, for rejected and pending
}

// Programmed says how far a commit has come. Done counts the nodes that run
// it, Total the nodes that should.
type Programmed struct {
	Commit      string    `json:"commit,omitempty"`
	Done        int       `json:"done"`
	Total       int       `json:"total"`
	CompletedAt time.Time `json:"completedAt,omitzero"`
	Nodes       []Node    `json:"nodes,omitempty"`  // by id
	Behind      []string  `json:"behind,omitempty"` // live replicas of the controller that do not give the commit to proxies yet
}

// Complete says that every node that should run the commit does, and that no replica
// would give another one to a node that comes. While no node
// is known nothing is programmed: 0/0 would be true and mean nothing.
func (p Programmed) Complete() bool {
	return p.Commit != "" && p.Total > 0 && p.Done == p.Total && len(p.Behind) == 0
}

// Outcome of a commit.
type Outcome string

// Outcomes. Only Applied can change, into OnEveryNode or Superseded.
const (
	Rejected    Outcome = "rejected"   // did not compile, or was refused; never served
	Applied     Outcome = "applied"    // is being pushed
	OnEveryNode Outcome = "programmed" // was on every node
	Superseded  Outcome = "superseded" // a newer commit was applied before it was on every node
)

// Entry is the story of one commit. ProgrammedAt minus ObservedAt is how long
// it took from being seen to being on every node.
type Entry struct {
	Commit       string    `json:"commit"`
	Ref          string    `json:"ref,omitempty"`        // the full reference that it was found at
	Repository   string    `json:"repository,omitempty"` // "": the one that is followed
	Outcome      Outcome   `json:"outcome"`
	Error        string    `json:"error,omitempty"`
	ObservedAt   time.Time `json:"observedAt"`
	AppliedAt    time.Time `json:"appliedAt,omitzero"`
	ProgrammedAt time.Time `json:"programmedAt,omitzero"`
	Done         int       `json:"done"`
	Total        int       `json:"total"`
}

// maxHistory bounds History.
const maxHistory = 100

// Record appends the story of a commit. The same commit again replaces its
// last entry, unless that was applied from another reference; an older one that is still on its way becomes superseded when
// the new one is applied.
func (s *Status) Record(e Entry) {
	if n := len(s.History); n > 0 && s.History[n-1].Commit == e.Commit {
		if last := s.History[n-1]; last.Outcome == Rejected || last.Ref == "" || last.Ref == e.Ref {
			s.History = s.History[:n-1]
		}
	}
	if e.Outcome == Applied {
		for i := range s.History {
			if s.History[i].Outcome == Applied {
				s.History[i].Outcome = Superseded
			}
		}
	}
	s.History = Newest(append(s.History, e), maxHistory)
}

// Newest gives at most n entries of a history. Those that were rejected have half
// of the room, or what others leave: what was applied is what references are held
// against, and no number of bad commits may have it forgotten.
func Newest(history []Entry, n int) []Entry {
	rejected := 0
	for _, e := range history {
		if e.Outcome == Rejected {
			rejected++
		}
	}
	out := slices.Clone(history)
	for len(out) > n {
		bad := rejected > n/2
		i := slices.IndexFunc(out, func(e Entry) bool { return (e.Outcome == Rejected) == bad })
		if out = slices.Delete(out, i, i+1); bad {
			rejected--
		}
	}
	return out
}

// From says that s comes from a repository other than that of its history, which
// keeps the name of its own.
func (s *Status) From(old, repository string) {
	for i := range s.History {
		e := &s.History[i]
		if e.Repository == "" {
			e.Repository = old
		}
		if e.Repository == repository {
			e.Repository = ""
		}
	}
}

// Observe takes what the push server reports at now.
func (s *Status) Observe(p Programmed, now time.Time) {
	p.CompletedAt = time.Time{}
	if p.Complete() {
		p.CompletedAt = now
		if s.Programmed.Complete() && s.Programmed.Commit == p.Commit {
			p.CompletedAt = s.Programmed.CompletedAt
		}
	}
	s.Programmed = p
	for i := range s.History {
		e := &s.History[i]
		if e.Commit != p.Commit || e.Outcome != Applied {
			continue
		}
		e.Done, e.Total = p.Done, p.Total
		if p.Complete() {
			e.Outcome, e.ProgrammedAt = OnEveryNode, now
		}
	}
}

// find gives the newest entry whose hash begins with prefix, and whether other
// commits' do as well.
func (s *Status) find(prefix string) (newest *Entry, ambiguous bool) {
	for i := len(s.History) - 1; i >= 0; i-- {
		e := &s.History[i]
		switch {
		case !strings.HasPrefix(e.Commit, prefix):
		case newest == nil:
			newest = e
		case e.Commit != newest.Commit:
			ambiguous = true
		}
	}
	return newest, ambiguous
}
