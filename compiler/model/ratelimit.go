package model

import (
	"fmt"
	"strings"
	"time"
)

// Built-in defaults of limits.
const (
	DefaultLimitStatus      = 429
	DefaultMaxKeys          = 10_000
	DefaultRateLimitTimeout = 20 * time.Millisecond // Envoy's own
)

// RateLimit limits the requests that a service or gateway takes: what Local says
// or, where that is nil, Server counts.
type RateLimit struct {
	Name            string
	Routes          []string // of a gateway, sorted; none: every request
	Match           []Match  // disjoint; none: every request
	Local           *LocalLimit
	Server          *RateLimitService // nil for a local one
	Global          []DescriptorEntry // constant entries of the descriptor that Server is asked about
	By              []LimitKey        // in the order of the descriptor
	Status          uint32
	Enforced        uint32 // basis points of what is beyond the limit
	ResponseHeaders bool
	Origin          Origin
}

// LocalLimit is what one proxy lets through.
type LocalLimit struct {
	Requests, Burst uint32
	Per             time.Duration
	MaxKeys         uint32
}

// DescriptorEntry is a constant that a service of limits goes by.
type DescriptorEntry struct{ Key, Value string }

// LimitKeyKind is what a LimitKey takes from a request.
type LimitKeyKind string

// Kinds.
const (
	LimitCaller   LimitKeyKind = "caller"
	LimitHeader   LimitKeyKind = "header"
	LimitQuery    LimitKeyKind = "query"
	LimitPath     LimitKeyKind = "path"
	LimitSourceIP LimitKeyKind = "sourceIP"
)

// LimitKey is a part of a request that tells it apart.
type LimitKey struct {
	From LimitKeyKind
	Name string // of a header, in lower case, or query parameter
}

// Key is that of the descriptor's entry.
func (k LimitKey) Key() string {
	switch {
	case k.From == LimitSourceIP:
		return "remote_address"
	case k.Name != "":
		return string(k.From) + "." + k.Name
	}
	return string(k.From)
}

// RateLimitService counts for global limits.
type RateLimitService struct {
	Service  Ref
	Port     uint16
	Version  string // its only one
	Domain   string
	Timeout  time.Duration
	FailOpen bool
	Origin   Origin
}

// LimitServer is whom a limit of the list asks; nil if none does. It is the same
// for all limits of a mesh.
func LimitServer(list []RateLimit) *RateLimitService {
	for i := range list {
		if list[i].Server != nil {
			return list[i].Server
		}
	}
	return nil
}

// String says what l does to the requests that it is for.
func (l *RateLimit) String() string {
	var what string
	if l.Local != nil {
		what = fmt.Sprintf("each proxy lets through %d in %s, %d at once", l.Local.Requests, l.Local.Per, l.Local.Burst)
	} else {
		var entries []string
		for _, e := range l.Global {
			entries = append(entries, e.Key+"="+e.Value)
		}
		what = l.Server.String() + " is asked about " + strings.Join(entries, ", ")
	}
	var by []string
	for _, k := range l.By {
		by = append(by, strings.Join(strings.Fields(string(k.From)+" "+k.Name), " "))
	}
	if len(by) > 0 {
		what += ", by " + strings.Join(by, ", ")
		if l.Local != nil {
			what += fmt.Sprintf(" (%d remembered)", l.Local.MaxKeys)
		}
	}
	switch l.Enforced {
	case 0:
		what += "; the rest is counted"
	case BasisPointsWhole:
		what += fmt.Sprintf("; the rest gets %d", l.Status)
	default:
		what += fmt.Sprintf("; %s %% of the rest gets %d", Hundredths(l.Enforced), l.Status)
	}
	if l.ResponseHeaders {
		what += ", and responses say so"
	}
	return what
}

// LimitSettings of a list of limits, "name" to what it is for and does.
func LimitSettings(list []RateLimit) []Setting {
	var out []Setting
	for i := range list {
		l := &list[i]
		s := &settings{at: l.Origin}
		if len(l.Routes) > 0 {
			s.add(l.Name+".on", strings.Join(l.Routes, ", "))
		}
		for j, m := range l.Match {
			s.add(fmt.Sprintf("%s.match[%d]", l.Name, j), m.String())
		}
		s.add(l.Name, l.String())
		out = append(out, s.list...)
	}
	return out
}

// String says whom proxies ask, and for how long.
func (r *RateLimitService) String() string {
	fails := "refuses"
	if r.FailOpen {
		fails = "lets through"
	}
	return fmt.Sprintf("%s (version %s, port %d, domain %q, which %s what it does not answer in %s)", r.Service, r.Version, r.Port, r.Domain, fails, r.Timeout)
}
