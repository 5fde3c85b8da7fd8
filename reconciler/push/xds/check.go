package xds

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// Check says whether SetDesired would take a commit, and changes nothing that is
// served. What it builds is kept for a SetDesired of the same.
func (s *Server) Check(commit string, d *Desired) error {
	if d == nil || d.Mesh == nil {
		return errors.New("desired state has no mesh")
	}
	s.building.Lock()
	defer s.building.Unlock()
	s.checked = nil
	at := s.opts.Now()
	if s.served.of(commit, d, at) {
		return nil // it was served already when this was asked
	}
	c, err := s.build(commit, d, s.bundles, at)
	if err != nil {
		return fmt.Errorf("commit %s: %w", commit, err)
	}
	s.checked = c
	return nil
}

// checked is a state that was built, and of what.
type checked struct {
	mesh      *model.Mesh
	also      *model.Mesh // found to say the same; nil: none
	workloads []*model.Workload
	at        time.Time
	after     *state // what was served, with which it shares resources
	state     *state
}

// of says whether a build of d at now would give the same. Meshes are compared by
// what they say: the one that is served has been to the store and back.
func (c *checked) of(commit string, d *Desired, now time.Time) bool {
	if c == nil || c.state.commit != commit || !slices.Equal(c.workloads, d.Workloads) {
		return false
	}
	if c.mesh != d.Mesh && c.also != d.Mesh && !reflect.DeepEqual(c.mesh, d.Mesh) {
		return false
	}
	c.also = d.Mesh
	if next := emitxds.NextExpiry(c.mesh, c.at); !next.IsZero() && !next.After(now) {
		return false // a fault has ended in between
	}
	return true
}

// build makes a state; building is held.
func (s *Server) build(commit string, d *Desired, bundles map[string]*Resource, at time.Time) (*checked, error) {
	old := s.snapshot()
	b := &builder{emit: s.opts.Emit, now: at, commit: commit, bundles: bundles, epoch: s.epoch, old: old, known: s.known}
	st, err := b.build(d)
	if err != nil {
		return nil, err
	}
	c := &checked{mesh: d.Mesh, workloads: slices.Clone(d.Workloads), at: at, after: old, state: st}
	if was := s.served; was != nil && was.mesh == d.Mesh {
		c.also = was.also
	} else if was != nil && was.also == d.Mesh {
		c.also = was.mesh
	}
	return c, nil
}
