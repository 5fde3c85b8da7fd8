package diag

import (
	"fmt"
	"slices"
	"time"
)

// Suppression is what the attribute @meshc(ignore=..., reason=..., until=...)
// says: diagnostics of one code in one stretch of a file are not reported.
type Suppression struct {
	Code   Code      `json:"code"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"` // zero: for ever
	// Scope is the field that carries the attribute, or, without lines, a file.
	Scope Range `json:"scope"`
	At    Range `json:"at"`
}

// Suppressed is a diagnostic that is not reported, and why.
type Suppressed struct {
	Diagnostic Diagnostic  `json:"diagnostic"`
	By         Suppression `json:"by"`
}

// covers says that d lies where s holds.
func (s Suppression) covers(d Diagnostic) bool {
	if s.Code != d.Code || s.Scope.File != d.Range.File {
		return false
	}
	return s.Scope.Start.Line == 0 || !d.Range.Start.before(s.Scope.Start) && d.Range.Start.before(s.Scope.End)
}

func (p Pos) before(o Pos) bool { return p.Line < o.Line || p.Line == o.Line && p.Col < o.Col }

// Suppressible says whether reports of a code can be suppressed. Warnings and
// remarks can, beside those about suppressions themselves. An error can only
// where the mesh still has a meaning to compile.
func Suppressible(c Code) bool {
	e, ok := Lookup(c)
	switch {
	case !ok || slices.Contains(neverSuppressed, c):
		return false
	case e.Severity == Error:
		return slices.Contains(bearableErrors, c)
	}
	return true
}

// neverSuppressed are warnings that a suppression could only hide itself with.
var neverSuppressed = []Code{SuppressionUnused}

// bearableErrors leave a mesh that can be compiled: the field in question has
// no effect, and everything else holds.
var bearableErrors = []Code{PerTryOverTimeout}

// Suppressor takes suppressed diagnostics out of lists, and remembers which
// suppressions were of use.
type Suppressor struct {
	all  []Suppression
	now  time.Time
	used []bool
	// Taken are the diagnostics that were taken out.
	Taken []Suppressed
}

// NewSuppressor judges ends of suppressions at the time now.
func NewSuppressor(all []Suppression, now time.Time) *Suppressor {
	return &Suppressor{all: all, now: now, used: make([]bool, len(all))}
}

// Filter gives l without what is suppressed.
func (s *Suppressor) Filter(l List) List {
	if len(s.all) == 0 {
		return l
	}
	return slices.DeleteFunc(l, s.takes)
}

func (s *Suppressor) takes(d Diagnostic) bool {
	if !Suppressible(d.Code) {
		return false
	}
	taken := false
	for i, by := range s.all {
		if s.expired(by) || !by.covers(d) {
			continue
		}
		if s.used[i] = true; !taken {
			s.Taken = append(s.Taken, Suppressed{d, by})
		}
		taken = true
	}
	return taken
}

func (s *Suppressor) expired(by Suppression) bool {
	return !by.Until.IsZero() && !s.now.Before(by.Until)
}

// Expired reports the suppressions that have ended.
func (s *Suppressor) Expired() List {
	var out List
	for _, by := range s.all {
		if s.expired(by) {
			d := New(SuppressionExpired, by.At, "the suppression of %s ended at %s; its reason was: %s", by.Code, by.Until.Format(time.DateOnly), by.Reason)
			d.Help = fmt.Sprintf("mend what %s reports and take the attribute away, or set a later `until`", by.Code)
			out.Add(d)
		}
	}
	return out
}

// Unused reports the suppressions that took nothing out. It is for the end of
// a run that judged everything.
func (s *Suppressor) Unused() List {
	var out List
	for i, by := range s.all {
		if !s.used[i] && !s.expired(by) {
			d := New(SuppressionUnused, by.At, "nothing here is reported as %s, so the suppression hides nothing", by.Code)
			d.WithFix("take the attribute away", Edit{Op: RemoveText, Range: by.At})
			out.Add(d)
		}
	}
	return out
}
