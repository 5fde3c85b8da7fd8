package answer

import "github.com/meshc/meshc/compiler/model"

// holding adds what a proxy does for or against what it takes, beside judging it.
func (a *asking) holding(at string, list []model.Setting) {
	if a.out.Route == nil {
		return
	}
	for _, s := range list {
		a.out.Route.More = append(a.out.Route.More, Setting{Name: at + " " + s.Name, Value: s.Value, At: place(s.At)})
	}
}
