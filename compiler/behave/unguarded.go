package behave

import (
	"fmt"

	"github.com/meshc/meshc/compiler/model"
)

// unguarded says why nobody of the mesh decides who is let in to a service: there
// is no proxy beside it, whatever its rules and the `uses` of others say. "" where
// there is one.
func unguarded(m *model.Mesh, ref model.Ref) string {
	s := m.Service(ref)
	switch {
	case s == nil:
		return ""
	case m.RoleOf(s) == model.RoleGRPC:
		return fmt.Sprintf("service %s speaks and uses nothing but grpc, so it has no proxy: its application reads xDS, and lets in whom it likes", ref)
	case s.Injection.Off:
		return fmt.Sprintf("pods of service %s get no proxy (`workload.inject: false`): who is let in is up to whatever runs there", ref)
	}
	return ""
}
