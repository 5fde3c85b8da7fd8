package behave_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/model"
)

// considered are the fields of the model that the outcome functions know: each
// is part of an outcome, part of a condition, or no behaviour of requests
// (names, owners, origins, logs, and Uses, which concerns callers).
var considered = map[reflect.Type]string{
	reflect.TypeFor[model.Service](): "Ref Owner Host ServiceAccount SPIFFEID Ports Versions Uses Routes MTLS Allow Deny AccessLog Origin",
	reflect.TypeFor[model.Port]():    "Name Number Protocol MTLS Origin",
	reflect.TypeFor[model.Version](): "Name Labels Traffic Origin",
	reflect.TypeFor[model.Route](): "Name Ports Match Split NotFound Redirect Respond Rewrite Timeout TimeoutOrigin MaxDuration IdleTimeout Hash Retry " +
		"RequestHeaders ResponseHeaders Delay Abort Origin",
	reflect.TypeFor[model.Split]():     "Version BasisPoints RequestHeaders ResponseHeaders Origin",
	reflect.TypeFor[model.Retry]():     "Attempts On Statuses PerTry PerTryIdle Methods Backoff AvoidTried RateLimited Origin",
	reflect.TypeFor[model.HeaderOps](): "Set Add Remove",
	reflect.TypeFor[model.Delay]():     "Name Fixed BasisPoints Until Origin",
	reflect.TypeFor[model.Abort]():     "Name Status BasisPoints Until Origin",
	reflect.TypeFor[model.Redirect]():  "Scheme Host Port Path Rewrite Status StripQuery Origin",
	reflect.TypeFor[model.Respond]():   "Status Body ContentType Origin",
	reflect.TypeFor[model.Rewrite]():   "Host Path Origin",
	reflect.TypeFor[model.HashKey]():   "From Name Terminal Origin",
	reflect.TypeFor[model.Rule]():      "Any Authenticated Principals NotPrincipals Namespaces IPs NotIPs Ports Hosts Methods NotMethods Paths NotPaths Headers Origin",
	reflect.TypeFor[model.Match]():     "Paths Methods NotMethods Headers Query Cookies Origin",
}

// TestEveryFieldIsConsidered fails when the model learns something that the
// comparison would overlook.
func TestEveryFieldIsConsidered(t *testing.T) {
	for typ, want := range considered {
		var got []string
		for i := range typ.NumField() {
			got = append(got, typ.Field(i).Name)
		}
		if names := strings.Join(got, " "); names != want {
			t.Errorf("%s has %s; package behave knows %s", typ, names, want)
		}
	}
}
