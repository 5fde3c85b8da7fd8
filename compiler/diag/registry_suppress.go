package diag

// suppress is 1040 to 1059: what the user says about diagnostics.
var suppress = []Entry{
	{BadSuppression, Error, "a suppression that cannot be read",
		"A suppression names one code and says why: @meshc(ignore=MSHnnnn, reason=\"...\"), and perhaps until=\"2027-01-31\". One that is misread would hide nothing, or hide too much, without a word.",
		"service: job: {versions: {v1: {}, v2: {}}, routes: all: to: v1: 100} @meshc(ignore=MSH1020)",
		"service: job: {versions: {v1: {}, v2: {}}, routes: all: to: v1: 100} @meshc(ignore=MSH1020, reason=\"its port follows\")"},
	{SuppressionExpired, Error, "a suppression that has ended",
		"Its `until` has passed, so the diagnostic is reported again. Mend what it hid, or say a later date.",
		"@meshc(ignore=MSH1020, reason=\"its port follows\", until=\"2020-01-31\")", "@meshc(ignore=MSH1020, reason=\"its port follows\", until=\"2099-01-31\")"},
	{SuppressionUnused, Warning, "a suppression that hides nothing",
		"Nothing of this code is found where it stands, so it would only hide a mistake that somebody makes later.",
		"service: web: {ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}} @meshc(ignore=MSH1020, reason=\"its port follows\")",
		"service: web: {ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}}"},
	{NotSuppressible, Error, "this code is never suppressed",
		"Without what the code asks for, the mesh has no meaning that could be compiled, or the code is about suppressions themselves. `meshc explain CODE` says of each code whether it can be suppressed.",
		"routes: all: {to: v9: 100} @meshc(ignore=MSH2001, reason=\"v9 follows\")", "versions: v9: {}\nroutes: all: to: v9: 100"},
	{ListedTwice, Warning, "an entry is listed twice",
		"The order and the number of entries in this list mean nothing, so the second one has no effect. Mostly another entry was meant.",
		"security: allow: [{from: [\"web\", \"web\"]}]", "security: allow: [{from: [\"web\", \"admin\"]}]"},
}
