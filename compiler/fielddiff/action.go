package fielddiff

import (
	"fmt"

	"github.com/meshc/meshc/compiler/model"
)

// actions are what a route does beside sending on.
func (f *flat) actions(path string, r *model.Route) {
	if w := r.Redirect; w != nil {
		path := path + ".redirect"
		f.add(path+".status", fmt.Sprint(w.Status), w.Origin)
		f.add(path+".scheme", w.Scheme, w.Origin)
		f.add(path+".host", w.Host, w.Origin)
		if w.Port != 0 {
			f.add(path+".port", fmt.Sprint(w.Port), w.Origin)
		}
		f.add(path+".path", w.Path, w.Origin)
		f.substitution(path+".prefix", w.Rewrite, w.Origin)
		f.add(path+".keepQuery", fmt.Sprint(!w.StripQuery), w.Origin)
	}
	if w := r.Respond; w != nil {
		path := path + ".respond"
		f.add(path+".status", fmt.Sprint(w.Status), w.Origin)
		f.add(path+".body", w.Body, w.Origin)
		f.add(path+".contentType", w.ContentType, w.Origin)
	}
	f.rewrite(path, r.Rewrite)
	for _, d := range r.Split {
		f.headers(at(path+".destinations", d.Version)+".requestHeaders", d.RequestHeaders, d.Origin)
		f.headers(at(path+".destinations", d.Version)+".responseHeaders", d.ResponseHeaders, d.Origin)
	}
}

func (f *flat) substitution(path string, s *model.Substitution, origin model.Origin) {
	if s != nil {
		f.add(path, fmt.Sprintf("%q for %q", s.Text, s.Pattern), origin)
	}
}

func (f *flat) rewrite(path string, w *model.Rewrite) {
	if w != nil {
		f.add(path+".rewrite.host", w.Host, w.Origin)
		f.substitution(path+".rewrite.path", w.Path, w.Origin)
	}
}

// gatewayAction is what a gateway's own rule does.
func (f *flat) gatewayAction(path string, r *model.GatewayRoute) {
	if r.Itself() {
		f.actions(path, r.Route)
		f.headers(path+".responseHeaders", r.Route.ResponseHeaders, r.Origin)
		return
	}
	f.add(path+".to", fmt.Sprintf("%s:%d", r.Service, r.Port), r.Origin)
	f.rewrite(path, r.Rewrite)
	f.headers(path+".requestHeaders", r.RequestHeaders, r.Origin)
	f.headers(path+".responseHeaders", r.ResponseHeaders, r.Origin)
}
