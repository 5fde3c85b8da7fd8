package behave

import (
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// A request with a token that is not valid is no point of the space: what is
// valid is told by the settings of the providers, which are part of outcomes.
// One without a token is a point, and so are the claims of one that is valid.

// jwtFacet begins the names of facets about tokens.
const jwtFacet = "jwt "

// tokenless are requests that are answered with 401: for sure, and those that
// public requests may save by conditions on what was changed on the way.
func (v view) tokenless(providers []model.JWT, public []model.Rule) (sure reach.Pred, perhaps []open) {
	required := model.Requiring(providers)
	if len(required) == 0 {
		return reach.Any(), nil
	}
	before := v
	before.unverified = true
	exempt, perhaps := before.rules(public)
	none := reach.All(reach.Not(reach.Any(mapped(required, v.token)...)), reach.Not(exempt))
	for i := range perhaps {
		perhaps[i].when = reach.All(none, perhaps[i].when)
	}
	whole := reach.Any(mapped(perhaps, func(o open) reach.Pred { return o.when })...)
	return reach.All(none, reach.Not(whole)), perhaps
}

// tokenTexts are the settings of providers, "main.issuer: https://…".
func tokenTexts(providers []model.JWT) []string {
	return mapped(tokenSettings(providers), func(s model.Setting) string { return s.Name + ": " + s.Value })
}

func tokenSettings(providers []model.JWT) []model.Setting {
	var out []model.Setting
	for i := range providers {
		for _, s := range providers[i].Settings() {
			s.Name = providers[i].Name + "." + s.Name
			out = append(out, s)
		}
	}
	return out
}

// tokenClass of a change of one setting.
func tokenClass(name string) func(before, after string) Class {
	_, setting, _ := strings.Cut(name, ".")
	setting, _, _ = strings.Cut(setting, ".")
	return func(before, after string) Class {
		switch {
		case setting == "claimHeaders": // routes and applications go by such headers
			return Expose
		case setting == "clockSkew" || setting == "forward":
			return Tune
		case before == "" || setting == "required" && after == "true":
			return Harden
		case after == "" || setting == "required":
			return Weaken
		}
		return Expose
	}
}
