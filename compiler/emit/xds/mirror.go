package xds

import (
	"fmt"

	"github.com/meshc/meshc/compiler/model"
)

// beside are the clusters that routes of a unit may name and that are not in it: every
// proxy adds those that copies go to for all of its units together.
func (e *emitter) beside() []string {
	own := e.mesh.Service(e.self.Service)
	if !e.bare || own == nil {
		return nil
	}
	var out []string
	for _, m := range e.mesh.CopiesOf(own) {
		out = append(out, m.Cluster(own, m.Port))
	}
	return out
}

// copyClusters adds the clusters that copies go to beside the services that the
// proxy leads to, where it does not have them for its application.
func (e *emitter) copyClusters(list []model.Mirror) error {
	for i := range list {
		m := &list[i]
		s, err := e.service(m.Service)
		if err != nil {
			return fmt.Errorf("copies: %w", err)
		}
		if s.Port(m.Port) == nil || s.Version(m.Version) == nil {
			return fmt.Errorf("copies: service %s has no port %d or version %q", s.Ref, m.Port, m.Version)
		}
		if e.hasCluster(m.Cluster(s, m.Port)) {
			continue
		}
		if err := e.versionCluster(s, m.Version, m.Port); err != nil {
			return err
		}
	}
	return nil
}
