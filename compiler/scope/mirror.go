package scope

import (
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// MirrorRef is the service that a mirror of s names; zero for one without `to`.
func MirrorRef(s *intent.Service, m *intent.Mirror) model.Ref {
	if m.To == nil {
		return model.Ref{}
	}
	return literal.Ref(m.To.V, ServiceRef(s).Namespace)
}

// MirrorPort is the port that copies of requests of a protocol go to: the one
// that is named, else the only one of that protocol; nil when there is none.
func MirrorPort(to *intent.Service, m *intent.Mirror, protocol string) *intent.Port {
	var found []*intent.Port
	for _, p := range to.Ports {
		if p.Protocol.V == protocol && (m.Port == nil || m.Port.V == p.Name.V) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

// MirrorVersion is the version of to that gets copies: the one that is named,
// else the only one; "" when one is needed.
func MirrorVersion(to *intent.Service, m *intent.Mirror) string {
	switch {
	case m.Version != nil:
		return m.Version.V
	case len(to.Versions) == 1:
		return to.Versions[0].Name.V
	}
	return ""
}
