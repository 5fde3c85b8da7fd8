package policies

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
)

// Pack is a guardrail that ships: a kind of `mesh.policies` under the name that
// it is known by, and the line that switches it on.
type Pack struct {
	Name     string      `json:"name"`
	Kind     string      `json:"kind"`     // the field of #Policy
	Title    string      `json:"title"`    // what it forbids, in one line
	JudgedBy string      `json:"judgedBy"` // the verb
	Code     diag.Code   `json:"code"`     // of a violation
	Line     string      `json:"line"`     // CUE, with parameters as an example
	Exempt   string      `json:"exempt"`   // what an exemption is for, and whose it is
	Before   string      `json:"before,omitempty"`
	Passes   []Example   `json:"passes"`
	Violates []Example   `json:"violates"`
	Also     []diag.Code `json:"also,omitempty"` // codes beside Code
}

// Example is CUE of a mesh, or of what a change makes of Before; it is beside
// two services, web that calls api.
type Example struct {
	What string `json:"what"`
	CUE  string `json:"cue"`
}

// Packs are the guardrails that ship, by name.
func Packs() []Pack {
	return slices.SortedFunc(slices.Values(slices.Concat(packsOfMeshes, packsOfChanges)), func(a, b Pack) int { return strings.Compare(a.Name, b.Name) })
}

// PackOf finds a pack by its name, or by its kind.
func PackOf(name string) (Pack, bool) {
	for _, p := range Packs() {
		if p.Name == name || p.Kind == name {
			return p, true
		}
	}
	return Pack{}, false
}

const packExemption = "one service, gateway or external"

var packsOfMeshes = []Pack{
	{Name: "every-service-owned", Kind: "owned", Title: "every service says who owns it", JudgedBy: "vet", Code: diag.PolicyOwned,
		Line: `mesh: policies: "every-service-owned": owned: {}`, Exempt: "one service",
		Passes:   []Example{{"a new service with an owner", `service: batch: {owner: "team-batch", versions: v1: {}}`}},
		Violates: []Example{{"a new service without", `service: batch: versions: v1: {}`}, {"an owner of spaces", `service: batch: {owner: " ", versions: v1: {}}`}}},
	{Name: "egress-list", Kind: "egress", Title: "externals lead to listed hosts and networks alone", JudgedBy: "vet", Code: diag.PolicyEgress,
		Line: `mesh: policies: "egress-list": egress: {hosts: ["*.example.com"], networks: ["10.1.0.0/16"]}`, Exempt: "one external",
		Passes:   []Example{{"a name below", `external: cards: {host: "cards.example.com", ports: http: {number: 80, protocol: "http"}}`}},
		Violates: []Example{{"another name", `external: cards: {host: "cards.example.net", ports: http: {number: 80, protocol: "http"}}`}, {"a listed name at an address elsewhere", `external: cards: {host: "cards.example.com", endpoints: ["10.2.0.1:80"], ports: http: {number: 80, protocol: "http"}}`}}},
	{Name: "retry-bound", Kind: "retries", Title: "one request becomes at most so many, by the retries of all hops together", JudgedBy: "vet", Code: diag.PolicyRetries,
		Line: `mesh: policies: "retry-bound": retries: max: 4`, Exempt: "one service, or a route of it",
		Passes:   []Example{{"four tries at one hop", `service: api: routes: all: {to: v1: 100, retries: {attempts: 3, on: ["5xx"]}}`}},
		Violates: []Example{{"five tries at one hop", `service: api: routes: all: {to: v1: 100, retries: {attempts: 4, on: ["5xx"]}}`}}},
	{Name: "fault-windows", Kind: "faults", Title: "faults are injected within windows for experiments alone", JudgedBy: "vet", Code: diag.PolicyFaults,
		Line: `mesh: policies: "fault-windows": faults: windows: friday: {from: "2030-01-04T09:00:00Z", until: "2030-01-04T12:00:00Z"}`, Exempt: "one service, or a route of it",
		Passes: []Example{{"a fault that ends with the window", `service: api: {routes: all: to: v1: 100, faults: slow: {on: "all", delay: {fixed: "1s", percent: 1}, until: "2030-01-04T12:00:00Z"}}`},
			{"none", ``}},
		Violates: []Example{{"a fault that outlives it", `service: api: {routes: all: to: v1: 100, faults: slow: {on: "all", delay: {fixed: "1s", percent: 1}, until: "2030-01-05T00:00:00Z"}}`}}},
}

var packsOfChanges = []Pack{
	{Name: "canary-step", Kind: "canary", Title: "a destination's share of requests grows by at most so many points in one change", JudgedBy: "diff", Code: diag.PolicyCanary, Also: []diag.Code{diag.PolicyUnknown},
		Line: `mesh: policies: "canary-step": canary: maxStep: 10`, Exempt: "one service or gateway, or a route of it",
		Before:   `service: api: {versions: v2: {}, routes: all: to: {v1: 90, v2: 10}}`,
		Passes:   []Example{{"ten points more", `service: api: {versions: v2: {}, routes: all: to: {v1: 80, v2: 20}}`}, {"another timeout", `service: api: {versions: v2: {}, routes: all: {to: {v1: 90, v2: 10}, timeout: "7s"}}`}},
		Violates: []Example{{"forty points more", `service: api: {versions: v2: {}, routes: all: to: {v1: 50, v2: 50}}`}, {"some requests by a route before", `service: api: {versions: v2: {}, routes: {some: {match: [{headers: x: exact: "1"}], to: v2: 100}, all: to: {v1: 90, v2: 10}}}`}}},
	{Name: "mtls-never-weaker", Kind: "mtls", Title: "what is encrypted, and who shows an identity, is never loosened", JudgedBy: "diff", Code: diag.PolicyMTLS, Also: []diag.Code{diag.PolicyUnknown},
		Line: `mesh: policies: "mtls-never-weaker": mtls: {}`, Exempt: packExemption,
		Before: `external: cards: {host: "cards.example.com", ports: https: {number: 443, protocol: "http"}, tls: {mode: "simple", minVersion: "1.3"}}`,
		Passes: []Example{{"a route more", `service: api: routes: all: to: v1: 100
external: cards: {host: "cards.example.com", ports: https: {number: 443, protocol: "http"}, tls: {mode: "simple", minVersion: "1.3"}}`}},
		Violates: []Example{{"a port that takes plaintext", `service: api: security: mtls: "permissive"
external: cards: {host: "cards.example.com", ports: https: {number: 443, protocol: "http"}, tls: {mode: "simple", minVersion: "1.3"}}`}, {"an older TLS to an external", `external: cards: {host: "cards.example.com", ports: https: {number: 443, protocol: "http"}, tls: {mode: "simple", minVersion: "1.2"}}`}}},
	{Name: "access-never-wider", Kind: "access", Title: "nobody is let in who was not, unless the service's owner approves", JudgedBy: "diff", Code: diag.PolicyAccess, Also: []diag.Code{diag.PolicyUnknown},
		Line: `mesh: policies: "access-never-wider": access: {}`, Exempt: "one service or external, by the owner that it has in BASE: an approval",
		Before: `service: api: {security: {allow: [{from: ["web"]}], deny: [{paths: [{regex: "/admin/.*"}]}]},
	routes: {shut: {match: [{headers: x: present: true}], respond: status: 403}, all: to: v1: 100}}`,
		Passes: []Example{{"a deny more", `service: api: {security: {allow: [{from: ["web"]}], deny: [{methods: ["PUT"]}, {paths: [{regex: "/admin/.*"}]}]},
	routes: {shut: {match: [{headers: x: present: true}], respond: status: 403}, all: to: v1: 100}}`},
			{"the same expression, written otherwise", `service: api: {security: {allow: [{from: ["web"]}], deny: [{paths: [{prefix: "/admin/"}]}]},
	routes: {shut: {match: [{headers: x: present: true}], respond: status: 403}, all: to: v1: 100}}`}},
		Violates: []Example{{"a deny that goes", `service: api: {security: allow: [{from: ["web"]}],
	routes: {shut: {match: [{headers: x: present: true}], respond: status: 403}, all: to: v1: 100}}`},
			{"routes in another order", `service: api: {security: {allow: [{from: ["web"]}], deny: [{paths: [{regex: "/admin/.*"}]}]},
	routes: {some: {match: [{path: prefix: "/some"}], to: v1: 100}, shut: {match: [{headers: x: present: true}], respond: status: 403}, all: to: v1: 100}}`},
			{"a regular expression that takes less", `service: api: {security: {allow: [{from: ["web"]}], deny: [{paths: [{regex: "/admin/.+"}]}]},
	routes: {shut: {match: [{headers: x: present: true}], respond: status: 403}, all: to: v1: 100}}`}}},
	{Name: "freeze-windows", Kind: "freeze", Title: "no request is treated differently while a window is open", JudgedBy: "diff", Code: diag.PolicyFreeze, Also: []diag.Code{diag.PolicyUnknown},
		Line: `mesh: policies: "freeze-windows": freeze: windows: peak: {from: "2029-12-20T00:00:00Z", until: "2030-01-07T00:00:00Z"}`, Exempt: packExemption,
		Before:   `service: api: {versions: v2: {}, routes: all: {match: [{path: prefix: "/"}], to: {v1: 90, v2: 10}}}`,
		Passes:   []Example{{"the same, written otherwise", `service: api: {versions: v2: {}, routes: every: to: {v2: 10, v1: 90}}`}},
		Violates: []Example{{"one point", `service: api: {versions: v2: {}, routes: all: {match: [{path: prefix: "/"}], to: {v1: 89, v2: 11}}}`}}},
}

// Text is what `meshc explain policy NAME` prints.
func (p Pack) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nJudged by `meshc %s`; a violation is %s (meshc explain %s).\nSwitch it on, in the root of the mesh:\n\n    %s\n\nAn exemption is for %s.\n", p.Name, p.Title, p.JudgedBy, p.Code, p.Code, p.Line, p.Exempt)
	section := func(title, text string) {
		if text != "" {
			fmt.Fprintf(&b, "\n%s:\n    %s\n", title, strings.ReplaceAll(text, "\n", "\n    "))
		}
	}
	section("Where a mesh says", p.Before)
	for _, e := range p.Passes {
		section("Passes, "+e.What, e.CUE)
	}
	for _, e := range p.Violates {
		section("Violates, "+e.What, e.CUE)
	}
	return b.String()
}
