package reach

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// A claim has the values of a list one by one, as a header has: a condition
// holds when any of them meets it, a negated one when none does. Claims are
// those of a verified token. That there is one is a coordinate too, by the name
// of its provider alone: no claim is there without it.

// HasToken holds for requests with a valid token of a provider.
func HasToken(provider string) Pred { return Present(Dim{Claim, provider}) }

// OfClaim is a condition on a claim, by its model.ClaimName.
func OfClaim(c model.NamedMatch) Pred {
	c = plain(c)
	not := c.Not || c.Kind == model.Absent
	if c.Not = false; c.Kind == model.Absent {
		c.Kind = model.Present
	}
	provider, _ := model.SplitClaim(c.Name)
	p := All(HasToken(provider), OfNamed(Claim, c), Not(Any(each(c.YieldsTo(), HasToken)...)))
	if not {
		return Not(p)
	}
	return p
}

// claimValues are those of a claim; of a token itself, one that says nothing.
func claimValues(claims []model.Header, name string) []string {
	var out []string
	for _, c := range claims {
		if c.Name == name {
			out = append(out, c.Value)
		}
	}
	if len(out) == 0 && !strings.Contains(name, ".") && hasToken(claims, name) {
		return []string{""}
	}
	return out
}

func hasToken(claims []model.Header, provider string) bool {
	return slices.ContainsFunc(claims, func(c model.Header) bool {
		of, _ := model.SplitClaim(c.Name)
		return of == provider
	})
}
