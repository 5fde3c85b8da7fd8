package status

import (
	"slices"
	"strings"
	"time"
)

// ConditionStatus is "True", "False" or "Unknown".
type ConditionStatus string

// Condition statuses, as Kubernetes spells them.
const (
	True    ConditionStatus = "True"
	False   ConditionStatus = "False"
	Unknown ConditionStatus = "Unknown"
)

// ConditionType names a condition.
type ConditionType string

// Condition types, in the order in which they are shown.
const (
	Ready       ConditionType = "Ready"       // the newest commit is on every node
	Reconciling ConditionType = "Reconciling" // work is under way
	Stalled     ConditionType = "Stalled"     // only a new commit or an operator can help
	Verified    ConditionType = "Verified"    // the attempted commit is signed as demanded; only where something is
	Compiled    ConditionType = "Compiled"    // the attempted commit compiles
	AppliedType ConditionType = "Applied"     // the attempted commit is stored and handed to the push server
	OnNodes     ConditionType = "Programmed"  // the serving commit is on every node
	Discovered  ConditionType = "Discovered"  // all that runs could be placed; only where that is known
	Suspended   ConditionType = "Suspended"   // an operator keeps commits from serving; only where one does
	Drifted     ConditionType = "Drifted"     // what serves was changed by others and is not as it should be yet
)

var order = []ConditionType{Ready, Reconciling, Stalled, Verified, Compiled, AppliedType, OnNodes, Suspended, Discovered, Drifted}

// Condition is one aspect, shaped as metav1.Condition is. Reason is one
// CamelCase word for programs, Message is for people.
type Condition struct {
	Type               ConditionType   `json:"type"`
	Status             ConditionStatus `json:"status"`
	Reason             string          `json:"reason"`
	Message            string          `json:"message"`
	ObservedRevision   string          `json:"observedRevision,omitempty"`
	LastTransitionTime time.Time       `json:"lastTransitionTime"`
}

// Set replaces the condition of c's type. LastTransitionTime moves only when
// the status does.
func (s *Status) Set(c Condition, now time.Time) {
	c.LastTransitionTime = now
	if old, found := s.Condition(c.Type); found {
		if old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		s.Conditions = slices.DeleteFunc(s.Conditions, func(o Condition) bool { return o.Type == c.Type })
	}
	s.Conditions = append(s.Conditions, c)
	slices.SortStableFunc(s.Conditions, func(a, b Condition) int {
		if d := slices.Index(order, a.Type) - slices.Index(order, b.Type); d != 0 {
			return d
		}
		return strings.Compare(string(a.Type), string(b.Type))
	})
}

// Condition gives the condition of a type.
func (s *Status) Condition(t ConditionType) (Condition, bool) {
	i := slices.IndexFunc(s.Conditions, func(c Condition) bool { return c.Type == t })
	if i < 0 {
		return Condition{}, false
	}
	return s.Conditions[i], true
}
