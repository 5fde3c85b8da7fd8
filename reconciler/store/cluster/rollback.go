package cluster

import (
	"fmt"

	"github.com/meshc/meshc/reconciler/store"
)

// Rollback makes what served before serve again, if to is the beginning of its commit
// or of the digest of its manifest; it does nothing if that is what serves.
// store.ErrNothing says that it is neither.
func (s *Store) Rollback(to string) error {
	g, err := s.find(to)
	if g == nil || err != nil {
		return err
	}
	return s.Save(g)
}

// find gives the generation before, or nil for the one that serves.
func (s *Store) find(to string) (*store.Generation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	inventory := s.mesh.Status.Inventory
	switch {
	case inventory.Serving.Named(to):
		return nil, nil
	case inventory.Previous.Named(to):
		return s.Cache.generation(inventory.Previous)
	}
	return nil, fmt.Errorf("%q is neither what serves nor what served before: %w", to, store.ErrNothing)
}
