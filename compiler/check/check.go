// Package check judges a mesh: it takes intent, or the model made of it, and
// gives diagnostics. It changes nothing. Everything here is about how fields
// and services fit together; the shape of each is the schema's and load's.
package check

import (
	"time"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// overIntent is what the passes over intent share.
type overIntent struct {
	mesh  *intent.Mesh
	scope *scope.Scope
	diags diag.List

	in struct { // focus
		services  []*intent.Service
		gateways  []*intent.Gateway
		externals []*intent.External
	}

	calledBy map[model.Ref][]model.Ref // made by callersOf
	reads    *changed.Reads
}

func (c *overIntent) widen() {
	c.in.services, c.in.gateways, c.in.externals = c.mesh.Services, c.mesh.Gateways, c.mesh.Externals
}

func (c *overIntent) focus(unit int) {
	c.in.services, c.in.gateways, c.in.externals = focused(unit, c.mesh.Services, c.mesh.Gateways, c.mesh.Externals)
}

func (c *overIntent) units() int {
	return len(c.mesh.Services) + len(c.mesh.Gateways) + len(c.mesh.Externals)
}

func (c *overIntent) found() *diag.List     { return &c.diags }
func (c *overIntent) asked() *changed.Reads { return c.reads }

// focused gives one thing of three lists, which are numbered through.
func focused[S, G, E any](unit int, services []S, gateways []G, externals []E) ([]S, []G, []E) {
	if unit < len(services) {
		return services[unit : unit+1], nil, nil
	}
	if unit -= len(services); unit < len(gateways) {
		return nil, gateways[unit : unit+1], nil
	}
	unit -= len(gateways)
	return nil, nil, externals[unit : unit+1]
}

// intentPasses in the order in which they run. A pass stays silent about what
// an earlier one has refused: one mistake, one diagnostic.
var intentPasses = []pass[*overIntent]{
	{run: (*overIntent).namesOwn, on: eachUnit},    // names once in every list
	{run: (*overIntent).names, on: outlines},       // one thing per name and per host: every later look-up relies on it
	{run: (*overIntent).ports, on: eachUnit},       // numbers once per owner, protocols that this version routes
	{run: (*overIntent).identities, on: outlines},  // account and domain parts that make a valid SPIFFE ID
	{run: (*overIntent).uses, on: eachUnit},        // edges of the call graph end somewhere
	{run: (*overIntent).protocols, on: eachUnit},   // retries that calls of gRPC would get
	{run: (*overIntent).routes, on: eachUnit},      // destinations, weights, ports, order constraints
	{run: (*overIntent).routeFrom, on: eachUnit},   // callers that have a route
	{run: (*overIntent).copyLoops, on: outlines},   // copies that are not copied again
	{run: (*overIntent).matches, on: eachUnit},     // conditions that a proxy can evaluate
	{run: (*overIntent).headers, on: eachUnit},     // header changes that a proxy may make
	{run: (*overIntent).resilience, on: eachUnit},  // durations, retries and their arithmetic
	{run: (*overIntent).traffic, on: eachUnit},     // limits, ejection, health checks and balancing that can do what they say
	{run: (*overIntent).trafficMet, on: outlines},  // blocks that meet
	{run: (*overIntent).faults, on: eachUnit},      // known route, real effect, an end
	{run: (*overIntent).capacity, on: eachUnit},    // connections for all callers
	{run: (*overIntent).holding, on: eachUnit},     // bodies that can be compressed and held
	{run: (*overIntent).admission, on: eachUnit},   // admission control that can refuse
	{run: (*overIntent).security, on: eachUnit},    // callers exist and can be known
	{run: (*overIntent).hostsSeen, on: everything}, // rules for hosts that requests come with
	{run: (*overIntent).rateLimits, on: outlines},  // limits that are kept, and by whom
	{run: (*overIntent).migrations, on: outlines},  // planned changes of mTLS that end
	{run: (*overIntent).callers, on: outlines},     // `uses` and gateway routes against explicit allow lists
	{run: (*overIntent).tcp, on: eachUnit},         // nothing about requests where there are none
	{run: (*overIntent).gateways, on: eachUnit},    // listeners, hosts, backends
	{run: (*overIntent).egress, on: outlines},      // externals through gateways that take them
	{run: (*overIntent).edgeBytes, on: eachUnit},   // listeners that read no requests, and their routes
	{run: (*overIntent).externalTLS, on: eachUnit}, // what TLS to externals can do
	{run: (*overIntent).facing, on: eachUnit},      // whom gateways believe, and where they listen
	{run: (*overIntent).listenerTLS, on: eachUnit}, // certificates by server name, redirects to https
	{run: (*overIntent).telemetry, on: outlines},   // formats and filters of logs
	{run: (*overIntent).workloads, on: outlines},   // pods and proxies that can be what is written
	{run: (*overIntent).expects, on: outlines},     // expectations that can be held against the mesh
	{run: (*overIntent).policies, on: outlines},    // guardrails that can be judged
	{run: (*overIntent).raws, on: outlines},        // patches of proxies that there are
	{run: (*overIntent).ignored, on: eachUnit},     // fields where no request comes by
	{run: (*overIntent).targets, on: outlines},     // nothing that the proxies concerned cannot serve
	{run: (*overIntent).defaults, on: outlines},    // values for others that all have their own
	{run: (*overIntent).twice, on: eachUnit},       // entries that a list holds already
}

// Intent judges what the user wrote. Only without errors may it be lowered.
func Intent(m *intent.Mesh) diag.List {
	c := &overIntent{mesh: m, scope: scope.New(m)}
	runAll(c, intentPasses)
	c.diags.Sort()
	return c.diags
}

// overModel is what the passes over the model share.
type overModel struct {
	mesh     *model.Mesh
	now      time.Time
	calls    *callGraph             // made by graph
	calledBy map[model.Ref][]caller // made by callersOf
	known    *Tables                // what earlier calls found; nil for nothing
	diags    diag.List

	in struct { // focus
		services  []*model.Service
		gateways  []*model.Gateway
		externals []*model.External
	}

	reads *changed.Reads
}

func (c *overModel) widen() {
	c.in.services, c.in.gateways, c.in.externals = c.mesh.Services, c.mesh.Gateways, c.mesh.Externals
}

func (c *overModel) focus(unit int) {
	c.in.services, c.in.gateways, c.in.externals = focused(unit, c.mesh.Services, c.mesh.Gateways, c.mesh.Externals)
}

func (c *overModel) units() int {
	return len(c.mesh.Services) + len(c.mesh.Gateways) + len(c.mesh.Externals)
}

func (c *overModel) found() *diag.List     { return &c.diags }
func (c *overModel) asked() *changed.Reads { return c.reads }

// modelPasses in the order in which they run.
var modelPasses = []pass[*overModel]{
	{run: (*overModel).sharedIdentities, on: outlines},                            // two services that nobody can tell apart
	{run: (*overModel).reachability, on: eachUnit, split: (*overModel).reachable}, // rules that earlier rules leave nothing, or compete with; requests that no rule takes
	{run: (*overModel).gatewayReachability, on: eachUnit},                         // rules of gateways that earlier ones leave nothing
	{run: (*overModel).redirectLoops, on: everything},                             // redirects that come back
	{run: (*overModel).alternatives, on: eachUnit},                                // matches that multiply beyond what a proxy is given
	{run: (*overModel).faultOverlaps, on: eachUnit},                               // faults that no request meets, and those that meet the same requests
	{run: (*overModel).limitOverlaps, on: eachUnit},                               // limits that count nothing, or refuse nothing
	{run: (*overModel).preflights, on: eachUnit},                                  // preflights that come to other routes
	{run: (*overModel).rules, on: eachUnit},                                       // rules on callers that never hold, or that another one makes useless
	{run: (*overModel).healthDenied, on: outlines},                                // health checks that the server would not let in
	{run: (*overModel).healthTokens, on: everything},                              // health checks that carry no token
	{run: (*overModel).tokensTaken, on: everything},                               // tokens that do not get to where they are required
	{run: (*overModel).questions, on: everything},                                 // what proxies ask, and nobody answers
	{run: (*overModel).healthJudged, on: everything},                              // health checks that others answer, or that limits refuse
	{run: (*overModel).corsByClaims, on: everything},                              // cors of routes that only a token leads to
	{run: (*overModel).settledByClaims, on: everything},                           // what routes that only a token leads to cannot settle
	{run: (*overModel).openMigrations, on: everything},                            // ports that are to be strict some day
	{run: (*overModel).expiredInsecure, on: everything},                           // certificates that are verified again
	{run: (*overModel).expiredFaults, on: everything},                             // faults whose end has passed
	{run: (*overModel).retryAmplification, on: everything},                        // tries that multiply along the call graph
	{run: (*overModel).timeoutBudgets, on: everything},                            // callers that give up before what they wait for
	{run: (*overModel).faultEffects, on: everything},                              // faults that limits cut short, or that nothing sees
	{run: (*overModel).uselessRetries, on: eachUnit},                              // retries that no request gets
	{run: (*overModel).nobodyCalls, on: outlines},                                 // what only callers would act on
	{run: (*overModel).notEntered, on: everything},                                // routes to which no gateway leads
	{run: (*overModel).versions, on: eachUnit},                                    // versions that select the same workloads
}

// Model judges a lowered mesh at the time now.
func Model(m *model.Mesh, now time.Time) diag.List { return (*Tables)(nil).Model(m, now) }

// Model does so with what earlier calls found, and keeps what this one finds.
func (t *Tables) Model(m *model.Mesh, now time.Time) diag.List {
	c := &overModel{mesh: m, now: now, known: t}
	runAll(c, modelPasses)
	c.diags.Sort()
	return c.diags
}

// report adds a diagnostic of the registry and gives it for its details.
func (c *overIntent) report(code diag.Code, at diag.Range, format string, args ...any) *diag.Diagnostic {
	c.diags.Add(diag.New(code, at, format, args...))
	return &c.diags[len(c.diags)-1]
}

func (c *overModel) report(code diag.Code, at diag.Range, format string, args ...any) *diag.Diagnostic {
	c.diags.Add(diag.New(code, at, format, args...))
	return &c.diags[len(c.diags)-1]
}
