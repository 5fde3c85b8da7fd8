package api

import "time"

// What a guard does with a step that it is about.
const (
	GuardHold   = "hold"   // what serves stays until the commit is approved
	GuardFollow = "follow" // the commit serves
)

// Guards bound the step from what serves to the next commit.
type Guards struct {
	// PrunePercent of the services and gateways that serve may be gone with one
	// commit; 0: 50.
	PrunePercent int `json:"prunePercent,omitempty"`
	// PruneCount is how many of them may be; 0: as many as the share lets.
	PruneCount int `json:"pruneCount,omitempty"`
	// MTLS is what to do about a commit that weakens mutual TLS; default follow.
	MTLS string `json:"mtls,omitempty"`
	// Access is what to do about a commit that lets somebody in who was not; default
	// follow.
	Access string `json:"access,omitempty"`
	// Namespaces are the only ones of the mesh that services and gateways may be in;
	// none: any.
	Namespaces []string `json:"namespaces,omitempty"`
}

// Suspend keeps what serves, whatever is committed. Commits are compiled and judged
// all the same.
type Suspend struct {
	// Reason is for people.
	Reason string `json:"reason"`
	// Until is when it ends by itself; zero: never.
	Until time.Time `json:"until,omitzero"`
}

// Active says whether it counts.
func (s *Suspend) Active(now time.Time) bool {
	return s != nil && (s.Until.IsZero() || now.Before(s.Until))
}

// Rollback has another commit serve than the repository says, until a time.
type Rollback struct {
	// To is the commit that served before what serves, or the beginning of its hash, or of
	// the digest of its manifest, which needs no repository; or the full hash of any
	// commit.
	To string `json:"to"`
	// Until is when the repository counts again.
	Until time.Time `json:"until"`
	// Reason is for people.
	Reason string `json:"reason,omitempty"`
}

// Active says whether it counts.
func (r *Rollback) Active(now time.Time) bool { return r != nil && now.Before(r.Until) }
