package answer

import (
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// Raw is a patch of Envoy's own configuration that touches what a request goes
// through; what it does to the request is not known here.
type Raw struct {
	Name string `json:"name"`
	At   string `json:"at,omitempty"`
}

// rawOn finds the patches of the resources by which the caller reaches the host
// of the request, and of those of the service itself.
func rawOn(m *model.Mesh, a *Answer) []Raw {
	var out []Raw
	for i := range m.Raw {
		r := &m.Raw[i]
		touches := r.OfGateways() && a.Caller.Kind == "gateway" || strings.HasSuffix(r.Target, "|"+strings.ToLower(a.Request.Host))
		own := false
		if a.Service != nil {
			if s := m.Service(*a.Service); s != nil {
				touches = touches || strings.HasSuffix(r.Target, "|"+s.Host)
				own = strings.HasPrefix(r.Target, "inbound|") && r.For(s.Ref)
			}
		}
		if touches && r.For(a.Caller.Ref) || own {
			out = append(out, Raw{r.Name, place(r.Origin)})
		}
	}
	return out
}
