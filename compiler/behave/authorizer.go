package behave

import "github.com/meshc/meshc/compiler/model"

// authorizerFacet begins the names of facets about who is asked.
const authorizerFacet = "authorizer "

// asks are the settings of an authorizer, "service: shop/guard". What it says is
// behind the mesh.
func asks(a *model.Authorizer) []string {
	var out []string
	for _, s := range a.Settings() {
		out = append(out, s.Name+": "+s.Value)
	}
	return out
}

// authorizerClass of a change of one setting.
func authorizerClass(setting string) func(before, after string) Class {
	return func(before, after string) Class {
		switch {
		case setting == "failOpen" && after == "true":
			return Weaken
		case setting == "failOpen" && before == "true":
			return Harden
		case setting == "timeout" || setting == "headers" || setting == "maxBody":
			return Tune
		case before == "":
			return Harden
		case after == "":
			return Weaken
		}
		return Expose
	}
}
