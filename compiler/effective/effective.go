// Package effective says what the fields come to that a mesh leaves out: it
// takes what the mesh sets and the model that was made of it, and adds the
// built-in defaults as they took effect.
package effective

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
)

// Value is one field with what it comes to.
type Value struct {
	load.Setting
	// Effective is the value in force, as JSON; "" where nothing is in force, or
	// where only the words in Default say what is.
	Effective string `json:"effective,omitempty"`
	// BuiltIn says that no line of the mesh set it.
	BuiltIn bool `json:"builtIn,omitempty"`
}

// Entry gives the values of an entry. m is nil for a mesh with mistakes; then
// only defaults that depend on nothing are known.
func Entry(e load.Entry, m *model.Mesh) []Value {
	out := make([]Value, len(e.Settings))
	for i, s := range e.Settings {
		v := Value{Setting: s, Effective: s.Value}
		if s.Value == "" && s.Conflict == "" {
			v.BuiltIn, v.Effective = true, builtIn(e, s, m)
		}
		out[i] = v
	}
	return out
}

// builtIn gives the default of a field that nobody wrote: what the model holds,
// else what the schema documents when that is a value.
func builtIn(e load.Entry, s load.Setting, m *model.Mesh) string {
	if m != nil {
		if value, ok := computed[s.Schema]; ok {
			if v := value(m, e, s); v != nil {
				return asJSON(v)
			}
		}
	}
	if json.Valid([]byte(s.Default)) {
		return s.Default
	}
	return ""
}

func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(data)
}

// compute finds the value of one field in the model; nil when it is not there.
type compute func(m *model.Mesh, e load.Entry, s load.Setting) any

// computed are the defaults that depend on the rest of the mesh, by the path of
// the field in the schema.
var computed = map[string]compute{
	"mesh.name":        func(m *model.Mesh, _ load.Entry, _ load.Setting) any { return m.Name },
	"mesh.trustDomain": func(m *model.Mesh, _ load.Entry, _ load.Setting) any { return m.TrustDomain },

	"service.*.namespace":      func(_ *model.Mesh, e load.Entry, _ load.Setting) any { return e.Namespace },
	"service.*.host":           ofService(func(s *model.Service) any { return s.Host }),
	"service.*.serviceAccount": ofService(func(s *model.Service) any { return s.ServiceAccount }),
	"service.*.security":       ofService(securityOf),
	"service.*.security.mtls":  ofService(func(s *model.Service) any { return s.MTLS }),
	"service.*.security.allow": ofService(allowOf),
	"service.*.routes":         ofService(routesOf),

	"service.*.versions.*":        ofVersion(func(v *model.Version) any { return map[string]any{"labels": v.Labels} }),
	"service.*.versions.*.labels": ofVersion(func(v *model.Version) any { return v.Labels }),

	"service.*.routes.*.port":    ofRoute(func(r *model.Route) any { return r.Ports }),
	"service.*.routes.*.timeout": ofRoute(func(r *model.Route) any { return duration(r.Timeout) }),
	"service.*.routes.*.retries": ofRoute(retriesOf),

	"gateway.*.namespace":      func(_ *model.Mesh, e load.Entry, _ load.Setting) any { return e.Namespace },
	"gateway.*.serviceAccount": ofGateway(func(g *model.Gateway) any { return g.ServiceAccount }),

	"external.*.namespace": func(_ *model.Mesh, e load.Entry, _ load.Setting) any { return e.Namespace },
	"external.*.timeout":   ofExternal(func(x *model.External) any { return duration(x.Timeout) }),
}

func ofService(f func(*model.Service) any) compute {
	return func(m *model.Mesh, e load.Entry, _ load.Setting) any {
		ref := model.Ref{Namespace: e.Namespace, Name: e.Name}
		i := slices.IndexFunc(m.Services, func(s *model.Service) bool { return s.Ref == ref })
		if i < 0 {
			return nil
		}
		return f(m.Services[i])
	}
}

func ofGateway(f func(*model.Gateway) any) compute {
	return func(m *model.Mesh, e load.Entry, _ load.Setting) any {
		ref := model.Ref{Namespace: e.Namespace, Name: e.Name}
		i := slices.IndexFunc(m.Gateways, func(g *model.Gateway) bool { return g.Ref == ref })
		if i < 0 {
			return nil
		}
		return f(m.Gateways[i])
	}
}

func ofExternal(f func(*model.External) any) compute {
	return func(m *model.Mesh, e load.Entry, _ load.Setting) any {
		ref := model.Ref{Namespace: e.Namespace, Name: e.Name}
		i := slices.IndexFunc(m.Externals, func(x *model.External) bool { return x.Ref == ref })
		if i < 0 {
			return nil
		}
		return f(m.Externals[i])
	}
}

func ofRoute(f func(*model.Route) any) compute {
	return func(m *model.Mesh, e load.Entry, s load.Setting) any {
		return ofService(func(svc *model.Service) any {
			name := label(s.Path, 3)
			i := slices.IndexFunc(svc.Routes, func(r *model.Route) bool { return r.Name == name })
			if i < 0 {
				return nil
			}
			return f(svc.Routes[i])
		})(m, e, s)
	}
}

func ofVersion(f func(*model.Version) any) compute {
	return func(m *model.Mesh, e load.Entry, s load.Setting) any {
		return ofService(func(svc *model.Service) any {
			name := label(s.Path, 3)
			i := slices.IndexFunc(svc.Versions, func(v model.Version) bool { return v.Name == name })
			if i < 0 {
				return nil
			}
			return f(&svc.Versions[i])
		})(m, e, s)
	}
}

// label gives one label of a path.
func label(path string, i int) string {
	p, err := load.ParsePath(path)
	if err != nil || i >= len(p) {
		return ""
	}
	return p[i]
}

// duration writes a limit as the language does; 0 is none.
func duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func retriesOf(r *model.Route) any {
	if r.Retry == nil {
		return nil
	}
	methods := any(r.Retry.Methods)
	if len(r.Retry.Methods) == 0 {
		methods = "any"
	}
	return struct {
		Attempts uint32   `json:"attempts"`
		On       []string `json:"on"`
		Methods  any      `json:"methods"`
	}{r.Retry.Attempts, r.Retry.On, methods}
}

func routesOf(s *model.Service) any {
	if len(s.Routes) == 0 {
		return nil
	}
	to := map[string]any{}
	for _, r := range s.Routes {
		split := map[string]float64{}
		for _, d := range r.Split {
			split[d.Version] = float64(d.BasisPoints) / 100 // for people to read
		}
		to[r.Name] = map[string]any{"to": split}
	}
	return to
}

func securityOf(s *model.Service) any {
	return map[string]any{"mtls": s.MTLS, "allow": allowOf(s)}
}

// allowOf lists who is let in when nobody wrote it: the callers' identities.
func allowOf(s *model.Service) any {
	from := []string{}
	for _, a := range s.Allow {
		if a.Any {
			from = append(from, "*")
		}
		from = append(from, a.Principals...)
	}
	return []map[string][]string{{"from": from}}
}
