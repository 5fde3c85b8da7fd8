package answer

import (
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// Outcome of a request, in one word.
type Outcome string

// Outcomes. Only Allowed is a yes.
const (
	Allowed     Outcome = "allowed"
	Denied      Outcome = "denied"           // the server's proxy answers 403
	Unknown     Outcome = "unauthenticated"  // the server's proxy answers 401
	NoRoute     Outcome = "no-route"         // the client's proxy answers 404
	UnknownHost Outcome = "unknown-host"     // nothing in the mesh has this host and port
	NotDeclared Outcome = "not-declared"     // the caller's `uses` does not name the service
	NoListener  Outcome = "no-listener"      // the gateway does not listen on this port
	NoHost      Outcome = "no-host"          // no table of the gateway accepts the host
	Redirected  Outcome = "redirected"       // the client's proxy answers with another URL
	Answered    Outcome = "answered"         // the client's proxy answers by itself
	OutsideMesh Outcome = "outside-the-mesh" // an external takes it; nobody here judges
)

// Good says that the request goes somewhere and is let in, or has the answer
// that somebody wrote.
func (o Outcome) Good() bool {
	return o == Allowed || o == OutsideMesh || o == Redirected || o == Answered
}

// Answer is everything that happens to one request, by the model.
type Answer struct {
	Outcome       Outcome        `json:"outcome"`
	Why           string         `json:"why"`
	Caller        Caller         `json:"caller"`
	Request       Request        `json:"request"`
	Headers       []string       `json:"headers,omitempty"` // of the request, "name: value"
	Claims        []string       `json:"claims,omitempty"`  // of the request, "provider.claim=value"
	Listener      string         `json:"listener,omitempty"`
	HostPattern   string         `json:"hostPattern,omitempty"` // gateways only
	Service       *model.Ref     `json:"service,omitempty"`
	Rules         []Rule         `json:"rules,omitempty"` // considered, in order; the last one took it if Route is set
	Route         *Taken         `json:"route,omitempty"`
	Connection    *Connection    `json:"connection,omitempty"`
	Authorization *Authorization `json:"authorization,omitempty"`

	Asked []Asked `json:"asked,omitempty"` // services that decide too, which nobody knows here

	Audited []Audited `json:"audited,omitempty"` // who logs it as audited

	Authentication *Authentication `json:"authentication,omitempty"` // of tokens, where they are looked at
	Raw            []Raw           `json:"raw,omitempty"`            // patches that may change all of this
}

// Caller is who asks.
type Caller struct {
	model.Ref
	Kind     string `json:"kind"` // service or gateway
	SPIFFEID string `json:"spiffeID"`
}

// Rule is one rule that was considered. Without Alternatives it takes every
// request on its ports.
type Rule struct {
	Name         string        `json:"name"`
	At           string        `json:"at,omitempty"`
	Took         bool          `json:"took"`
	Why          string        `json:"why,omitempty"` // set when the rule is on other ports
	Alternatives []Alternative `json:"alternatives,omitempty"`
}

// Alternative is one entry of a rule's match; any one suffices.
type Alternative struct {
	At         string      `json:"at,omitempty"`
	Holds      bool        `json:"holds"`
	Conditions []Condition `json:"conditions"`
}

// Taken is what the rule that took the request does with it.
type Taken struct {
	Name            string         `json:"name"`
	At              string         `json:"at,omitempty"` // "" is the built-in default
	Split           []Destination  `json:"split"`
	Redirect        string         `json:"redirect,omitempty"` // status and URL
	Respond         string         `json:"respond,omitempty"`  // status, type and body
	Rewrite         *Sent          `json:"rewrite,omitempty"`
	More            []Setting      `json:"more,omitempty"` // what is done beside sending it on
	Timeout         string         `json:"timeout"`
	TimeoutAt       string         `json:"timeoutAt,omitempty"`
	MaxDuration     string         `json:"maxDuration,omitempty"`
	IdleTimeout     string         `json:"idleTimeout,omitempty"`
	Hash            []string       `json:"hash,omitempty"` // what chooses the endpoint
	Retry           *Retry         `json:"retry,omitempty"`
	Faults          []Fault        `json:"faults,omitempty"`
	RequestHeaders  []HeaderChange `json:"requestHeaders,omitempty"` // in the order of application
	ResponseHeaders []HeaderChange `json:"responseHeaders,omitempty"`
}

// Sent is what destinations see in place of the request's own.
type Sent struct {
	Host string `json:"host,omitempty"`
	Path string `json:"path,omitempty"` // with the query
}

// HeaderChange is one step: "remove", "set" or "add".
type HeaderChange struct {
	Op    string `json:"op"`
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

// Destination is one part of the split.
type Destination struct {
	Version string `json:"version,omitempty"`
	Percent string `json:"percent"`
	Cluster string `json:"cluster"`

	RequestHeaders  []HeaderChange `json:"requestHeaders,omitempty"` // before those of the route
	ResponseHeaders []HeaderChange `json:"responseHeaders,omitempty"`

	At string `json:"at,omitempty"`

	Traffic []Setting `json:"traffic,omitempty"` // how its endpoints are chosen and treated, where anything is written
}

// Setting is one thing that is set: "outliers.interval", "10s".
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	At    string `json:"at,omitempty"` // "" is the built-in default
}

// Retry policy as it applies to this request.
type Retry struct {
	Attempts uint32   `json:"attempts"`
	On       []string `json:"on"`
	PerTry   string   `json:"perTry,omitempty"`
	Applies  bool     `json:"applies"` // false: not for this method
	At       string   `json:"at,omitempty"`

	More []Setting `json:"more,omitempty"` // pauses and choice of endpoints, where written
}

// Fault that may be injected.
type Fault struct {
	Name    string `json:"name"`
	What    string `json:"what"` // "delay 7s", "abort 500", "abort grpc unavailable" or "bandwidth 64 KiB/s"
	Percent string `json:"percent"`
	Until   string `json:"until"`
	Active  bool   `json:"active"` // its end has not passed
	At      string `json:"at,omitempty"`

	// MaxActive is how many requests faults hold at a time; 0: no limit.
	MaxActive uint32 `json:"maxActive,omitempty"`
}

// Connection to the server.
type Connection struct {
	MTLS   model.MTLSMode `json:"mtls,omitempty"`
	Server string         `json:"server,omitempty"` // the SPIFFE ID that the client insists on
	TLS    []Setting      `json:"tls,omitempty"`    // to an external
}

// Authorization by the server's proxy.
type Authorization struct {
	Allowed bool   `json:"allowed"`
	Caller  string `json:"caller"` // SPIFFE ID that the server sees, "" in plaintext
	Rule    string `json:"rule"`
	At      string `json:"at,omitempty"` // "" is derived from `uses`
}

// Asked is an authorizer of a service or gateway.
type Asked struct {
	By  model.Ref `json:"by"`
	Who string    `json:"who"`
	At  string    `json:"at,omitempty"`
}

// Asks says that whom is asked about the request r.
func Asks(whom *model.Authorizer, r *Request) bool {
	is := func(list []model.Rule) bool {
		return slices.ContainsFunc(list, func(some model.Rule) bool { return takes(&some, r) })
	}
	return whom != nil && (len(whom.On) == 0 || is(whom.On)) && !is(whom.Except)
}

// asks notes whom by asks about the request r.
func (a *asking) asks(by model.Ref, whom *model.Authorizer, r *Request) {
	if Asks(whom, r) {
		a.out.Asked = append(a.out.Asked, Asked{by, whom.String(), place(whom.Origin)})
	}
}

// asking is one question on its way to an answer.
type asking struct {
	mesh *model.Mesh
	now  time.Time
	req  *Request
	out  *Answer
}

// Ask says what happens when the service or gateway called from sends req at
// the time now; ok is false when there is no such caller. For a gateway, req is
// what a client sends to the gateway itself.
func Ask(m *model.Mesh, from model.Ref, req *Request, now time.Time) (out *Answer, ok bool) {
	a := &asking{mesh: m, now: now, req: req, out: &Answer{Request: *req}}
	for _, h := range req.Headers {
		a.out.Headers = append(a.out.Headers, h.Name+": "+h.Value)
	}
	for _, c := range req.Claims {
		a.out.Claims = append(a.out.Claims, c.Name+"="+c.Value)
	}
	if g := m.Gateway(from); g != nil {
		a.out.Caller = Caller{Ref: from, Kind: "gateway", SPIFFEID: g.SPIFFEID}
		a.throughGateway(g)
		a.out.Raw = rawOn(m, a.out)
		return a.out, true
	}
	if s := m.Service(from); s != nil {
		a.out.Caller = Caller{Ref: from, Kind: "service", SPIFFEID: s.SPIFFEID}
		a.throughSidecar(s)
		a.out.Raw = rawOn(m, a.out)
		return a.out, true
	}
	return nil, false
}

func (a *asking) end(o Outcome, why string) { a.out.Outcome, a.out.Why = o, why }

// place writes an origin; the built-in default has none.
func place(o diag.Range) string { return o.String() }
