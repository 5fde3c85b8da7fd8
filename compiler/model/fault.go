package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// FaultScope says which requests of a route a fault is for.
type FaultScope struct {
	Match     []Match  // any-of; empty = every request of the route
	From      []Caller // sorted by Ref; empty = every caller
	MaxActive uint32   // requests that faults may hold at a time; 0: no limit
}

// Caller is a service or gateway, and who it is.
type Caller struct {
	Ref
	SPIFFEID string
}

// Delay holds a share of requests for a fixed time.
type Delay struct {
	FaultScope
	Name        string // of the fault
	Fixed       time.Duration
	BasisPoints uint32
	Until       time.Time
	Origin      Origin
}

// Abort answers a share of requests with a status, of HTTP or of gRPC.
type Abort struct {
	FaultScope
	Name        string
	Status      uint32 // of HTTP; 0 where GRPCStatus is set
	GRPCStatus  uint32 // 1 to 16 (google.rpc.Code); 0: none
	BasisPoints uint32
	Until       time.Time
	Origin      Origin
}

// Bandwidth limits the rate of the bodies of a share of responses.
type Bandwidth struct {
	FaultScope
	Name         string
	KiBPerSecond uint32 // units of 1,024 bytes
	BasisPoints  uint32
	Until        time.Time
	Origin       Origin
}

// Faulted is the requests of a route that faults are for which are not for all
// of its requests, and all faults that they meet.
type Faulted struct {
	Match     []Match // any-of: within the route's
	Delay     *Delay
	Abort     *Abort
	Bandwidth *Bandwidth
}

// GRPCStatusNames are the names of the statuses 0 to 16 as the language writes
// them (google.rpc.Code).
var GRPCStatusNames = []string{
	"ok", "cancelled", "unknown", "invalid-argument", "deadline-exceeded", "not-found", "already-exists", "permission-denied",
	"resource-exhausted", "failed-precondition", "aborted", "out-of-range", "unimplemented", "internal", "unavailable", "data-loss", "unauthenticated",
}

// Variants are r as proxies have it: in match order, for each set of requests
// the route that injects just what these meet. The names, and everything else,
// are those of r. Without faults for a part of the requests it is r alone.
func (r *Route) Variants() []*Route {
	if len(r.Faulted) == 0 {
		return []*Route{r}
	}
	var out []*Route
	for _, f := range r.Faulted {
		some := *r
		some.Match, some.Faulted = f.Match, nil
		some.Delay, some.Abort, some.Bandwidth = f.Delay, f.Abort, f.Bandwidth
		out = append(out, &some)
	}
	rest := *r
	rest.Faulted = nil
	rest.keepFaults(func(s *FaultScope) bool { return len(s.Match) == 0 })
	return append(out, &rest)
}

// ForCaller is r without the faults that are for others than the caller.
func (r *Route) ForCaller(ref Ref) *Route {
	out := *r
	out.keepFaults(func(s *FaultScope) bool { return s.Concerns(ref) })
	out.Faulted = nil
	for _, f := range r.Faulted {
		kept := Route{Delay: f.Delay, Abort: f.Abort, Bandwidth: f.Bandwidth}
		kept.keepFaults(func(s *FaultScope) bool { return s.Concerns(ref) })
		out.Faulted = append(out.Faulted, &Faulted{f.Match, kept.Delay, kept.Abort, kept.Bandwidth})
	}
	return &out
}

// Chosen lists the callers that faults of r are for and not for others, sorted.
func (r *Route) Chosen() []Caller {
	var out []Caller
	r.eachFault(func(s *FaultScope) { out = append(out, s.From...) })
	slices.SortFunc(out, func(a, b Caller) int { return a.Ref.Compare(b.Ref) })
	return slices.Compact(out)
}

// Concerns says that the fault is for the requests of a caller.
func (s *FaultScope) Concerns(ref Ref) bool {
	return len(s.From) == 0 || slices.ContainsFunc(s.From, func(c Caller) bool { return c.Ref == ref })
}

// keepFaults takes the faults of r away for which keep does not hold.
func (r *Route) keepFaults(keep func(*FaultScope) bool) {
	if r.Delay != nil && !keep(&r.Delay.FaultScope) {
		r.Delay = nil
	}
	if r.Abort != nil && !keep(&r.Abort.FaultScope) {
		r.Abort = nil
	}
	if r.Bandwidth != nil && !keep(&r.Bandwidth.FaultScope) {
		r.Bandwidth = nil
	}
}

func (r *Route) eachFault(visit func(*FaultScope)) {
	r.keepFaults(func(s *FaultScope) bool { visit(s); return true })
}

// Fault is one thing that is injected, for those who list them.
type Fault struct {
	FaultScope
	Kind        string // "delay", "abort" or "bandwidth"
	Name        string
	What        string // "7s", "503", "grpc unavailable", "64 KiB/s"
	BasisPoints uint32
	Until       time.Time
	Origin      Origin
}

// Faults lists what r injects.
func (r *Route) Faults() []Fault {
	var out []Fault
	if d := r.Delay; d != nil {
		out = append(out, Fault{d.FaultScope, "delay", d.Name, d.Fixed.String(), d.BasisPoints, d.Until, d.Origin})
	}
	if a := r.Abort; a != nil {
		out = append(out, Fault{a.FaultScope, "abort", a.Name, a.What(), a.BasisPoints, a.Until, a.Origin})
	}
	if b := r.Bandwidth; b != nil {
		out = append(out, Fault{b.FaultScope, "bandwidth", b.Name, fmt.Sprintf("%d KiB/s", b.KiBPerSecond), b.BasisPoints, b.Until, b.Origin})
	}
	return out
}

// What is the answer: "503" or "grpc unavailable".
func (a *Abort) What() string {
	switch {
	case a.GRPCStatus == 0:
		return fmt.Sprint(a.Status)
	case int(a.GRPCStatus) < len(GRPCStatusNames):
		return "grpc " + GRPCStatusNames[a.GRPCStatus]
	}
	return fmt.Sprint("grpc ", a.GRPCStatus)
}

// Text says the callers and the bound; "" where there are none.
func (s *FaultScope) Text() string {
	var parts []string
	if len(s.From) > 0 {
		var names []string
		for _, c := range s.From {
			names = append(names, c.Ref.String())
		}
		parts = append(parts, "from "+strings.Join(names, ", "))
	}
	if s.MaxActive > 0 {
		parts = append(parts, fmt.Sprintf("at most %d at a time", s.MaxActive))
	}
	return strings.Join(parts, ", ")
}
