// Package behave says what services of a mesh do as functions from requests to
// outcomes, and compares two of them exactly: which requests are treated
// differently, each time with a request that shows it. What package reach
// cannot decide is a reach.Unknown.
package behave

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// Verdict is the end of a request, as far as the mesh decides it.
type Verdict string

// Verdicts.
const (
	Served  Verdict = "served"   // it goes to a version, if no fault answers first
	Replied Verdict = "replied"  // the client's proxy redirects or answers it
	Denied  Verdict = "denied"   // the server's proxy answers 403
	Unknown Verdict = "unknown"  // the proxy of the server, or the gateway, answers 401
	NoRoute Verdict = "no route" // the client's proxy answers 404
	Refused Verdict = "refused"  // the server takes no connection without mutual TLS
	Nowhere Verdict = "nowhere"  // there is no such port, or no such service
)

// Outcome is everything that the mesh does to a request, in normal form: equal
// outcomes are equal, however they are written, and names of routes, places in
// files and order of lists are no part of them.
type Outcome struct {
	Verdict  Verdict         `json:"verdict"`
	To       []Destination   `json:"to,omitempty"` // by cluster
	Redirect *model.Redirect `json:"redirect,omitempty"`
	Respond  *model.Respond  `json:"respond,omitempty"`
	Rewrite  *model.Rewrite  `json:"rewrite,omitempty"`
	Hash     []string        `json:"hash,omitempty"`
	Passing  []string        `json:"passing,omitempty"` // mirrors, upgrades, CORS and what keeps users, "name: value"
	Timeout  time.Duration   `json:"timeout,omitempty"`
	Longest  time.Duration   `json:"maxDuration,omitempty"`
	Idle     time.Duration   `json:"idleTimeout,omitempty"`
	Retry    *Retry          `json:"retry,omitempty"`
	Delay    *FaultOf        `json:"delay,omitempty"`
	Abort    *FaultOf        `json:"abort,omitempty"`
	Slow     *FaultOf        `json:"bandwidth,omitempty"`
	Request  HeaderOps       `json:"requestHeaders,omitzero"`
	Reply    HeaderOps       `json:"responseHeaders,omitzero"`
	Protocol model.Protocol  `json:"protocol,omitempty"` // of the port
	MTLS     model.MTLSMode  `json:"mtls,omitempty"`
	Server   string          `json:"server,omitempty"`        // the SPIFFE ID that the client insists on
	Aliases  []string        `json:"aliases,omitempty"`       // trust domains of which the server may be as well, sorted
	TLS      []string        `json:"tls,omitempty"`           // to an external, "name: value"
	Announce string          `json:"proxyProtocol,omitempty"` // that connections to an external begin with
	As       string          `json:"as,omitempty"`            // the SPIFFE ID of a gateway that goes on with the request
	Judged   string          `json:"judged,omitempty"`        // conditions on the rewritten path under which the server lets it in
	Pods     []string        `json:"pods,omitempty"`          // how the server's pods get a proxy, "name: value"
	Asks     []string        `json:"asks,omitempty"`          // whom the server asks about it, "name: value"
	Tokens   []string        `json:"tokens,omitempty"`        // that the server verifies, "name: value"
	Limits   []Limit         `json:"limits,omitempty"`        // rate limits, sorted
	Holding  []string        `json:"holding,omitempty"`       // what the server's proxy does for or against what comes, "name: value"
	Client   []string        `json:"client,omitempty"`        // what a gateway gives its clients time for, "name: value"
}

// Destination is one share of the requests.
type Destination struct {
	Cluster     string            `json:"cluster"`
	Name        string            `json:"-"` // for people: the version, behind a gateway with its service
	BasisPoints uint32            `json:"basisPoints"`
	Labels      map[string]string `json:"labels,omitempty"`    // that select its workloads
	Endpoints   []string          `json:"endpoints,omitempty"` // of an external without DNS
	Request     HeaderOps         `json:"requestHeaders,omitzero"`
	Reply       HeaderOps         `json:"responseHeaders,omitzero"`
	Traffic     []string          `json:"traffic,omitempty"` // how the client treats it, "name: value"
}

// Retry policy of a request whose method it applies to.
type Retry struct {
	Attempts uint32             `json:"attempts"`
	On       []string           `json:"on,omitempty"`
	Statuses []uint32           `json:"statuses,omitempty"`
	PerTry   time.Duration      `json:"perTry,omitempty"`
	Idle     time.Duration      `json:"perTryIdle,omitempty"`
	Backoff  *model.Backoff     `json:"backoff,omitempty"`
	Avoid    bool               `json:"avoidTried,omitempty"`
	Limited  *model.RateLimited `json:"rateLimited,omitempty"`
}

// FaultOf a share of the requests, until it ends.
type FaultOf struct {
	What        string    `json:"what"` // "7s", "503", "grpc unavailable", "64 KiB/s"
	BasisPoints uint32    `json:"basisPoints"`
	MaxActive   uint32    `json:"maxActive,omitempty"`
	Until       time.Time `json:"until"`
}

// key is equal for equal outcomes.
func (o *Outcome) key() string {
	raw, err := json.Marshal(o)
	if err != nil {
		panic(fmt.Sprintf("behave: an outcome has no JSON: %v", err))
	}
	return string(raw)
}

// gist is some of an outcome: equal ones have the same.
type gist struct {
	verdict                Verdict
	timeout, longest, idle time.Duration
	to                     int
	first                  string // cluster of the first destination
	share                  uint32 // of it
	attempts               uint32
	headers                [3]int // of the request: removed, set, added
}

func (o *Outcome) gist() gist {
	out := gist{verdict: o.Verdict, timeout: o.Timeout, longest: o.Longest, idle: o.Idle, to: len(o.To)}
	out.headers = [3]int{len(o.Request.Remove), len(o.Request.Set), len(o.Request.Add)}
	if len(o.To) > 0 {
		out.first, out.share = o.To[0].Cluster, o.To[0].BasisPoints
	}
	if o.Retry != nil {
		out.attempts = o.Retry.Attempts
	}
	return out
}

// outcomeOf is what r does to a request that is let in, without its retries.
func outcomeOf(s *model.Service, port uint16, r *model.Route) Outcome {
	if r.NotFound {
		return Outcome{Verdict: NoRoute}
	}
	if r.Answers() {
		return replied(r)
	}
	out := Outcome{
		Verdict: Served, Timeout: r.Timeout, Longest: r.MaxDuration, Idle: r.IdleTimeout, MTLS: s.ModeOn(port),
	}
	if s.ModeOn(port) != model.MTLSDisable {
		out.Server, out.Aliases = s.SPIFFEID, s.Aliases
	}
	if r.Rewrite != nil && (r.Rewrite.Host != "" || r.Rewrite.Path != nil) {
		plain := *r.Rewrite
		plain.Origin = model.Origin{}
		out.Rewrite = &plain
	}
	if hashes(s, r) {
		for _, k := range r.Hash {
			out.Hash = append(out.Hash, k.String())
		}
	}
	out.Passing = passing(r)
	for _, set := range s.Injection.Settings() {
		out.Pods = append(out.Pods, set.Name+": "+set.Value)
	}
	for _, set := range s.Holding(port) {
		out.Holding = append(out.Holding, set.Name+": "+set.Value)
	}
	out.inject(r)
	if p := s.Port(port); p != nil {
		out.Protocol = p.Protocol
	}
	for _, d := range r.Split {
		to := Destination{
			Cluster: model.ClusterName(port, d.Version, s.Host), Name: d.Version, BasisPoints: d.BasisPoints,
			Request: headerOps(d.RequestHeaders, r.RequestHeaders), Reply: headerOps(d.ResponseHeaders, r.ResponseHeaders),
		}
		if v := s.Version(d.Version); v != nil {
			to.Labels = v.Labels
			to.Traffic = traffic(v.Traffic)
		}
		out.To = append(out.To, to)
	}
	slices.SortFunc(out.To, func(a, b Destination) int { return strings.Compare(a.Cluster, b.Cluster) })
	out.Request = shared(out.To, func(d *Destination) *HeaderOps { return &d.Request })
	out.Reply = shared(out.To, func(d *Destination) *HeaderOps { return &d.Reply })
	return out
}

// unwritten are settings that say what holds without them.
var unwritten = map[string]string{
	"connectTimeout":          model.DefaultConnectTimeout.String(),
	"connections.max":         strconv.Itoa(model.DefaultMaxConnections),
	"connections.maxPending":  strconv.Itoa(model.DefaultMaxPending),
	"connections.maxRequests": strconv.Itoa(model.DefaultMaxRequests),
	"connections.maxRetries":  strconv.Itoa(model.DefaultMaxRetries),
	"connections.idle":        model.DefaultUpstreamIdle.String(),
}

// traffic lists settings that differ from the built-in ones. Among how many
// clients limits were divided is no behaviour: the limits are.
func traffic(t *model.Traffic) []string {
	var out []string
	for _, s := range t.Settings() {
		if unwritten[s.Name] != s.Value && s.Name != "connections.clients" {
			out = append(out, s.Name+": "+s.Value)
		}
	}
	return out
}

// hashes says that the endpoints of some destination are chosen by a hash.
func hashes(s *model.Service, r *model.Route) bool {
	return slices.ContainsFunc(r.Split, func(d model.Split) bool {
		v := s.Version(d.Version)
		return v != nil && v.Traffic != nil && v.Traffic.Balance != nil && v.Traffic.Balance.Policy.Hashes()
	})
}

// inject adds the faults of a variant of a route, which are for all requests that
// it takes.
func (o *Outcome) inject(r *model.Route) {
	for _, f := range r.Faults() {
		of := &FaultOf{What: f.What, BasisPoints: f.BasisPoints, MaxActive: f.MaxActive, Until: f.Until.UTC()}
		switch f.Kind {
		case "delay":
			o.Delay = of
		case "abort":
			o.Abort = of
		default:
			o.Slow = of
		}
	}
}

// replied is the outcome of a route that answers by itself.
func replied(r *model.Route) Outcome {
	out := Outcome{Verdict: Replied, Reply: headerOps(r.ResponseHeaders), Passing: passing(r)}
	out.inject(r)
	if r.Redirect != nil {
		plain := *r.Redirect
		plain.Origin = model.Origin{}
		if plain.Path != "" {
			plain.Rewrite = nil
		}
		out.Redirect = &plain
	}
	if r.Respond != nil {
		plain := *r.Respond
		plain.Origin = model.Origin{}
		out.Respond = &plain
	}
	return out
}

// retry is nil for a policy that never retries.
func retry(r *model.Retry) *Retry {
	if r == nil || r.Attempts == 0 || len(r.On) == 0 && len(r.Statuses) == 0 {
		return nil
	}
	return &Retry{
		Attempts: r.Attempts, On: r.On, Statuses: r.Statuses, PerTry: r.PerTry,
		Idle: r.PerTryIdle, Backoff: r.Backoff, Avoid: r.AvoidTried, Limited: r.RateLimited,
	}
}

func passing(r *model.Route) []string {
	var out []string
	for _, s := range r.Passing() {
		out = append(out, s.Name+": "+s.Value)
	}
	slices.Sort(out) // the order of mirrors is nothing that requests could tell
	return out
}
