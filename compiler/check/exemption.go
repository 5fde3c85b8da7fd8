package check

import (
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
)

// ExemptionForm reports what is wrong with the form of an exemption, of a policy
// or of a rule: with the code for policies, at its place, and in words that
// continue the name of the exemption.
func ExemptionForm(e *intent.Exemption, report func(code diag.Code, at diag.Range, why string)) {
	if _, err := literal.Time(e.Until.V); err != nil {
		report(diag.BadTime, e.Until.At, ": "+err.Error())
	}
	for _, v := range []intent.Value[string]{e.Reason, e.Owner} {
		if strings.TrimSpace(v.V) == "" {
			report(diag.BadPolicy, v.At, " needs a reason and an owner")
		}
	}
	if !ofOne(e) {
		report(diag.NotExactlyOne, e.At, " is for exactly one of `service`, `gateway` and `external`")
	}
}

func ofOne(e *intent.Exemption) bool {
	return howMany(e.Service != nil, e.Gateway != nil, e.External != nil) == 1
}
