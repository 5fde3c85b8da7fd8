package fix

import "github.com/meshc/meshc/compiler/diag"

// What a code is judged by decides whether a report can come from a cut
// elsewhere. Codes in no list are judged by several entries together, or
// by conditions that a cut widens; they wait until errors without a fix are
// mended.
var (
	// ofOneField are judged by what one field says, and by the schema.
	ofOneField = []diag.Code{
		diag.UnknownField, diag.NotConcrete,
		diag.ListedTwice, diag.BadRegex, diag.BadPath, diag.BadHeader, diag.BadMethod,
		diag.BadDuration, diag.BadPercent, diag.BadTime, diag.UnknownRetryOn, diag.RetriesUnused, diag.BadHost,
		diag.SelfUse, diag.FaultExpired,
	}
	// ofNames are judged by what one field says, and by the names of entries.
	ofNames = []diag.Code{diag.UnknownUse, diag.UnknownCaller, diag.UnknownBackend}
	// ofOneEntry are judged by one service, gateway or external, and by the names
	// of the others.
	ofOneEntry = []diag.Code{
		diag.WrongValue, diag.NotExactlyOne, diag.Conflict, diag.MissingField, diag.DuplicatePort, diag.UnknownVersion, diag.WeightSum, diag.BadWeight, diag.ShadowedRoute,
		diag.UnknownFaultRoute, diag.RouteToNothing, diag.OrderCycle, diag.UnknownOrderRoute, diag.NotCovered, diag.UnknownListener,
		diag.HostNotOnListener, diag.NeverMatches, diag.DuplicateCondition, diag.NoRoutes, diag.NoPorts,
		diag.NobodyAllowed,
		diag.PerTryOverTimeout, diag.RetriesOverTimeout, diag.RetryNotIdempotent, diag.DuplicateFault, diag.FaultDoesNothing,
	}
)
