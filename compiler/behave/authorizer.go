package behave

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

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

// asked tells the requests that the authorizer of a service is asked about from
// those that it is not. Where conditions on what was changed on the way decide,
// they are part of whom is asked.
func (v view) asked(a *model.Authorizer, rules []rule) []rule {
	if !a.Some() {
		return rules
	}
	on, perhapsOn := v.rules(a.On)
	except, perhapsNot := v.rules(a.Except)
	open := len(perhapsOn)+len(perhapsNot) > 0
	texts := append(askedTexts("on: ", a.On), askedTexts("except: ", a.Except)...)
	var out []rule
	for _, r := range rules {
		switch {
		case len(r.then.Asks) == 0:
		case open:
			r.change(func(o *Outcome) { o.Asks = slices.Concat(o.Asks, texts) })
		default:
			some := r
			some.when = reach.All(r.when, about(a, on, except))
			out = append(out, some)
			r.change(func(o *Outcome) { o.Asks = nil })
		}
		out = append(out, r)
	}
	return out
}

// askedAtEdge does so for a gateway, before which nothing is changed.
func (v view) askedAtEdge(a *model.Authorizer, rules []rule) []rule {
	if !a.Some() {
		return rules
	}
	on, _ := v.rules(a.On)
	except, _ := v.rules(a.Except)
	var out []rule
	for _, r := range rules {
		if slices.ContainsFunc(r.then.Client, ofAuthorizer) {
			some := r
			some.when = reach.All(r.when, about(a, on, except))
			out = append(out, some)
			r.change(func(o *Outcome) { o.Client = slices.DeleteFunc(slices.Clone(o.Client), ofAuthorizer) })
		}
		out = append(out, r)
	}
	return out
}

// about is what a is asked about.
func about(a *model.Authorizer, on, except reach.Pred) reach.Pred {
	if len(a.On) == 0 {
		return reach.Not(except)
	}
	return reach.All(on, reach.Not(except))
}

func askedTexts(name string, list []model.Rule) []string {
	texts := mapped(list, func(r model.Rule) string { return name + ruleText(&r) })
	slices.Sort(texts)
	return texts
}

// someAsked says that a text about whom is asked is one of askedTexts.
func someAsked(text string) bool {
	return strings.HasPrefix(text, "on: ") || strings.HasPrefix(text, "except: ")
}

func ofAuthorizer(client string) bool { return strings.HasPrefix(client, authorizerFacet) }

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
