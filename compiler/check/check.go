// Package check judges a mesh: it takes intent, or the model made of it, and
// gives diagnostics. It changes nothing. Everything here is about how fields
// and services fit together; the shape of each is the schema's and load's.
package check

import (
	"time"

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
}

// intentPasses in the order in which they run. A pass stays silent about what
// an earlier one has refused: one mistake, one diagnostic.
var intentPasses = []func(*overIntent){
	(*overIntent).names,       // one thing per name and per host: every later look-up relies on it
	(*overIntent).ports,       // numbers once per owner, protocols that this version routes
	(*overIntent).identities,  // account and domain parts that make a valid SPIFFE ID
	(*overIntent).uses,        // edges of the call graph end somewhere
	(*overIntent).protocols,   // retries that calls of gRPC would get
	(*overIntent).routes,      // destinations, weights, ports, order constraints
	(*overIntent).routeFrom,   // callers that have a route
	(*overIntent).copyLoops,   // copies that are not copied again
	(*overIntent).matches,     // conditions that a proxy can evaluate
	(*overIntent).headers,     // header changes that a proxy may make
	(*overIntent).resilience,  // durations, retries and their arithmetic
	(*overIntent).traffic,     // limits, ejection, health checks and balancing that can do what they say
	(*overIntent).faults,      // known route, real effect, an end
	(*overIntent).security,    // callers exist and can be known
	(*overIntent).rateLimits,  // limits that are kept, and by whom
	(*overIntent).migrations,  // planned changes of mTLS that end
	(*overIntent).callers,     // `uses` and gateway routes against explicit allow lists
	(*overIntent).tcp,         // nothing about requests where there are none
	(*overIntent).gateways,    // listeners, hosts, backends
	(*overIntent).egress,      // externals through gateways that take them
	(*overIntent).edgeBytes,   // listeners that read no requests, and their routes
	(*overIntent).externalTLS, // what TLS to externals can do
	(*overIntent).listenerTLS, // certificates by server name, redirects to https
	(*overIntent).telemetry,   // formats and filters of logs
	(*overIntent).workloads,   // pods and proxies that can be what is written
	(*overIntent).raws,        // patches of proxies that there are
	(*overIntent).ignored,     // fields where no request comes by
	(*overIntent).targets,     // nothing that the proxies concerned cannot serve
	(*overIntent).defaults,    // values for others that all have their own
	(*overIntent).twice,       // entries that a list holds already
}

// Intent judges what the user wrote. Only without errors may it be lowered.
func Intent(m *intent.Mesh) diag.List {
	c := &overIntent{mesh: m, scope: scope.New(m)}
	for _, pass := range intentPasses {
		pass(c)
	}
	c.diags.Sort()
	return c.diags
}

// overModel is what the passes over the model share.
type overModel struct {
	mesh     *model.Mesh
	now      time.Time
	calls    *callGraph             // made by graph
	calledBy map[model.Ref][]caller // made by callersTold
	known    *Tables                // what earlier calls found; nil for nothing
	diags    diag.List
}

// modelPasses in the order in which they run.
var modelPasses = []func(*overModel){
	(*overModel).sharedIdentities,    // two services that nobody can tell apart
	(*overModel).reachability,        // rules that earlier rules leave nothing, or compete with; requests that no rule takes
	(*overModel).gatewayReachability, // rules of gateways that earlier ones leave nothing
	(*overModel).redirectLoops,       // redirects that come back
	(*overModel).alternatives,        // matches that multiply beyond what a proxy is given
	(*overModel).rules,               // rules on callers that never hold, or that another one makes useless
	(*overModel).healthDenied,        // health checks that the server would not let in
	(*overModel).healthTokens,        // health checks that carry no token
	(*overModel).tokensTaken,         // tokens that do not get to where they are required
	(*overModel).questions,           // what proxies ask, and nobody answers
	(*overModel).healthJudged,        // health checks that others answer, or that limits refuse
	(*overModel).corsByClaims,        // cors of routes that only a token leads to
	(*overModel).openMigrations,      // ports that are to be strict some day
	(*overModel).expiredInsecure,     // certificates that are verified again
	(*overModel).expiredFaults,       // faults whose end has passed
	(*overModel).retryAmplification,  // tries that multiply along the call graph
	(*overModel).timeoutBudgets,      // callers that give up before what they wait for
	(*overModel).faultEffects,        // faults that limits cut short, or that nothing sees
	(*overModel).uselessRetries,      // retries that no request gets
	(*overModel).nobodyCalls,         // what only callers would act on
	(*overModel).notEntered,          // routes to which no gateway leads
	(*overModel).versions,            // versions that select the same workloads
}

// Model judges a lowered mesh at the time now.
func Model(m *model.Mesh, now time.Time) diag.List { return (*Tables)(nil).Model(m, now) }

// Model does so with what earlier calls found, and keeps what this one finds.
func (t *Tables) Model(m *model.Mesh, now time.Time) diag.List {
	c := &overModel{mesh: m, now: now, known: t}
	for _, pass := range modelPasses {
		pass(c)
	}
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
