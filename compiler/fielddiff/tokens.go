package fielddiff

import "github.com/meshc/meshc/compiler/model"

// tokens lists who makes them, and what needs none.
func (f *flat) tokens(providers []model.JWT, public []model.Rule) {
	for i := range providers {
		for _, s := range providers[i].Settings() {
			f.add(at("jwt", providers[i].Name)+"."+s.Name, s.Value, s.At)
		}
	}
	f.rules("public", public)
}

func (f *flat) authorizer(a *model.Authorizer) {
	for _, s := range a.Settings() {
		f.add("authorizer."+s.Name, s.Value, s.At)
	}
	if a != nil {
		f.rules("authorizer.on", a.On)
		f.rules("authorizer.except", a.Except)
	}
}
