package diag

// expecting is 2170 to 2174: what is expected of a mesh.
var expecting = []Entry{
	{ExpectsNothing, Error, "an expectation that says nothing",
		"It names requests, and not what becomes of them, so it could never fail.",
		"expect: a: request: from: \"web\"", "expect: a: {request: from: \"web\", to: v1: 100}"},
	{BadExpectation, Error, "an expectation that cannot be met, or not as it is written",
		"Two of its parts exclude each other, as a destination and a refusal do, or a part belongs to another kind of expectation and would be passed over.",
		"expect: a: {request: from: \"web\", to: v1: 100, outcome: \"denied\"}", "expect: a: {request: from: \"web\", outcome: \"denied\"}"},
	{ExpectationFails, Error, "an expectation does not hold",
		"`meshc test` found a request of which something else becomes than is expected. Of `every` and `reachedBy` it is one of those that the expectation speaks of; the command that it prints shows every rule that was considered.",
		"expect: a: {every: [{}], to: v1: 100}; routes: all: to: {v1: 90, v2: 10}", "expect: a: {every: [{}], to: {v1: 90, v2: 10}}; routes: all: to: {v1: 90, v2: 10}"},
	{ExpectationVacuous, Error, "an expectation about nothing",
		"No request meets the conditions of `every`, or nobody sends one, or none of those whom `reachedBy` names is let in: it would hold whatever else the mesh says, which is hardly what it was written for.",
		"expect: a: {every: [{method: \"GET\", notMethod: \"GET\"}], to: v1: 100}", "expect: a: {every: [{method: \"GET\"}], to: v1: 100}"},
	{ExpectationUnknown, Error, "it cannot be told whether an expectation holds",
		"A verdict is exact or none: where conditions take more work than the limits allow, or a patch of `raw` may change what becomes of requests, it says so and concludes nothing.",
		"expect: a: {every: [{path: regex: \".*a.{20}b.*\"}, {path: regex: \".*b.{21}c.*\"}], to: v1: 100}", "expect: a: {every: [{path: prefix: \"/a/\"}], to: v1: 100}"},
}
