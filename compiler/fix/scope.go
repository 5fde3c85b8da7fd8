package fix

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
)

// What a code is judged by decides whether a report can come from a cut
// elsewhere. Codes in no list are judged by several entries together, or
// by conditions that a cut widens; they wait until errors without a fix are
// mended.
var (
	// ofOneField are judged by what one field says, and by the schema.
	ofOneField = []diag.Code{
		diag.UnknownField, diag.BadName, diag.WrongValue, diag.Conflict, diag.NotConcrete,
		diag.ListedTwice, diag.BadRegex, diag.BadPath, diag.BadHeader, diag.BadMethod,
		diag.BadDuration, diag.BadPercent, diag.BadTime, diag.UnknownRetryOn, diag.RetriesUnused, diag.BadHost,
		diag.SelfUse, diag.FaultExpired,
	}
	// ofItself are those of them that nothing said elsewhere takes back.
	ofItself = slices.DeleteFunc(slices.Clone(ofOneField), func(c diag.Code) bool {
		return c == diag.NotConcrete || c == diag.RetriesUnused
	})
	// ofNames are judged by what one field says, and by the names of entries.
	ofNames = []diag.Code{diag.UnknownUse, diag.UnknownCaller, diag.UnknownBackend}
	// ofOneEntry are judged by one service, gateway or external, and by the names
	// of the others.
	ofOneEntry = []diag.Code{
		diag.NotExactlyOne, diag.MissingField, diag.DuplicatePort, diag.UnknownVersion, diag.WeightSum, diag.BadWeight, diag.ShadowedRoute,
		diag.UnknownFaultRoute, diag.RouteToNothing, diag.OrderCycle, diag.UnknownOrderRoute, diag.NotCovered, diag.UnknownListener,
		diag.HostNotOnListener, diag.NeverMatches, diag.DuplicateCondition, diag.NoRoutes, diag.NoPorts,
		diag.NobodyAllowed,
		diag.PerTryOverTimeout, diag.RetriesOverTimeout, diag.RetryNotIdempotent, diag.DuplicateFault, diag.FaultDoesNothing,
	}
)

// misspelt are the fields of whose misspellings a finding can be a consequence,
// for codes that are certain beside other unknown fields of their entry: those set
// nothing that the finding is judged by.
var misspelt = map[diag.Code][]string{
	diag.WeightSum:          {"to"},
	diag.BadWeight:          {"to"},
	diag.UnknownVersion:     {"to", "versions"},
	diag.UnknownFaultRoute:  {"on", "routes"},
	diag.UnknownOrderRoute:  {"before", "after", "routes"},
	diag.RetriesOverTimeout: {"retries", "timeout", "maxDuration", "perTry", "attempts"},
	diag.PerTryOverTimeout:  {"retries", "timeout", "maxDuration", "perTry"},
	diag.ShadowedRoute:      {"match", "except", "from", "port", "hosts", "listener", "before", "after"},
}

// conditions are the fields in which an unknown field makes a match wider when it
// is set aside.
var conditions = []string{"match", "except"}

// consequence says that a finding may be one of setting an unknown field aside.
func consequence(code diag.Code, unknown aside) bool {
	fields, known := misspelt[code]
	if !known || code == diag.ShadowedRoute && unknown.condition {
		return true
	}
	return slices.ContainsFunc(fields, func(f string) bool {
		return diag.EditDistance(unknown.name, f) <= max(len(f), len(unknown.name))/2
	})
}

// aside is an unknown field that was taken out of an entry.
type aside struct {
	name      string
	condition bool // in a condition
}
