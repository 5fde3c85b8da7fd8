package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/push/kube"
	"github.com/meshc/meshc/reconciler/store"
)

// Save makes g what serves. On an error what served before still does, unless the
// error says that only what is no longer needed could not be deleted: that is
// tried again later. What is there already is not written again, and a commit that
// changes nothing costs one write of the status.
func (s *Store) Save(g *store.Generation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	made, err := s.build.build(g)
	if err != nil {
		return fmt.Errorf("save commit %.12s: %w", g.Commit, err)
	}
	s.Cache.adopt(made.configs)
	if err := s.write(made); err != nil {
		return fmt.Errorf("save commit %.12s: %w", g.Commit, err)
	}
	if err := s.writeStatus(func(st *api.MeshStatus) { st.Inventory.SwitchTo(made.generation) }); err != nil {
		return fmt.Errorf("save commit %.12s: %w", g.Commit, err)
	}
	if s.set == nil || s.set.generation.Manifest != made.generation.Manifest {
		s.set, s.saved, s.seen = made, time.Now(), map[string]int{}
	}
	if err := s.prune(); err != nil {
		s.Log.Warn("objects that no longer serve could not be deleted yet", "error", err)
	}
	return nil
}

// write brings the objects of a generation to the cluster, after it has been noted
// that they may be there.
func (s *Store) write(made *set) error {
	gone := func(objects []kube.Object) []kube.Object {
		return slices.DeleteFunc(slices.Clone(objects), func(o kube.Object) bool { return s.intact(made, o.Name) })
	}
	// The manifest comes first: it tells whoever comes after a crash what there
	// may be.
	missing := [][]kube.Object{gone(made.objects[:made.manifests]), gone(made.objects[made.manifests:])}
	serving := s.mesh.Status.Inventory.Serving
	if len(missing[0])+len(missing[1]) == 0 && serving != nil && serving.Manifest == made.generation.Manifest {
		return nil
	}
	if err := s.writeStatus(func(st *api.MeshStatus) { st.Inventory.Expect(made.generation) }); err != nil {
		return fmt.Errorf("note what will be written: %w", err)
	}
	for _, objects := range missing {
		if err := s.apply(objects); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) apply(objects []kube.Object) error {
	drifted, err := s.applier.Apply(s.ctx, objects)
	for _, d := range drifted {
		s.Log.Warn("an object of the mesh was changed by others and is as it should be again", "object", d.Object, "by", d.Owners)
	}
	return err
}

// prune deletes what no generation has: what the inventory lists as retired, and
// what bears the label of this mesh and is in no list, as a controller that was
// replaced may write it late. The inventory forgets what is known to be gone.
func (s *Store) prune() error {
	maps.DeleteFunc(s.gone, func(name string, uid types.UID) bool {
		e := s.Cache.entry(name)
		return e == nil || e.UID != uid
	})
	garbage, err := s.garbage()
	if err != nil || len(garbage) == 0 && len(s.mesh.Status.Inventory.Retired) == 0 {
		return err
	}
	// What was listed may serve by now if this term is over.
	if err := s.refresh(); err != nil {
		return err
	}
	if s.mesh.Status.Inventory.Epoch != s.epoch {
		return ErrFenced
	}
	left, err := s.delete(garbage)
	if err != nil || left > 0 || len(s.mesh.Status.Inventory.Retired) == 0 {
		return err
	}
	return s.writeStatus(func(st *api.MeshStatus) { st.Inventory.Retired = nil })
}

// garbage lists what is in the cluster, or may be, and in no generation that stays.
func (s *Store) garbage() ([]kube.Target, error) {
	keep, err := s.kept()
	if err != nil {
		return nil, err
	}
	candidates := map[string]bool{}
	for _, name := range s.Cache.names() {
		candidates[name] = true
	}
	for _, name := range s.mesh.Status.Inventory.Retired {
		_ = s.members(name, candidates) // without a manifest none is left, or none was written
	}
	var out []kube.Target
	for name := range candidates {
		if keep[name] {
			continue
		}
		t := kube.Target{Ref: s.build.ref(name)}
		if e := s.Cache.entry(name); e != nil {
			t.UID = e.UID
		}
		out = append(out, t)
	}
	return out, nil
}

// members adds the names of all objects of a generation.
func (s *Store) members(manifest string, to map[string]bool) error {
	own, err := s.Cache.listing(manifest)
	if err != nil {
		return err
	}
	list, err := s.Cache.manifest(manifest)
	if err != nil {
		return err
	}
	for _, l := range append([]listed{own}, list.Configs...) {
		for i := range l.Parts {
			to[l.part(i)] = true
		}
	}
	return nil
}

// kept are the objects of the generations that stay.
func (s *Store) kept() (map[string]bool, error) {
	keep := map[string]bool{}
	if s.set != nil {
		for _, o := range s.set.objects {
			keep[o.Name] = true
		}
	}
	inventory := &s.mesh.Status.Inventory
	for _, g := range []*api.Generation{inventory.Serving, inventory.Pending} {
		if g == nil || s.set != nil && g.Manifest == s.set.generation.Manifest {
			continue
		}
		err := s.members(g.Manifest, keep)
		// A manifest is there before what it lists: where it is not, the generation
		// that was begun left nothing that anybody will look for.
		if err != nil && g != inventory.Pending {
			return nil, fmt.Errorf("it is not known what belongs to commit %.12s: %w", g.Commit, err)
		}
	}
	if inventory.Previous != nil {
		_ = s.members(inventory.Previous.Manifest, keep) // it is of use as long as it is whole
	}
	return keep, nil
}

// delete gives how many of the objects are still there. Manifests go last: as long
// as one is there, it says what else may be.
func (s *Store) delete(refs []kube.Target) (left int, err error) {
	manifest := func(t kube.Target) bool {
		e := s.Cache.entry(t.Name)
		return e != nil && e.kind == api.ConfigManifest
	}
	slices.SortFunc(refs, func(a, b kube.Target) int {
		switch ma, mb := manifest(a), manifest(b); {
		case ma == mb:
			return 0
		case mb:
			return -1
		}
		return 1
	})
	first := slices.IndexFunc(refs, manifest)
	if first < 0 {
		first = len(refs)
	}
	for _, group := range [][]kube.Target{refs[:first], refs[first:]} {
		outcomes, err := s.applier.Prune(s.ctx, group)
		if err != nil {
			return len(refs), err
		}
		for i, o := range outcomes {
			switch o {
			case kube.Gone:
				if group[i].UID != "" {
					s.gone[group[i].Name] = group[i].UID
				}
			case kube.Terminating:
				left++
			case kube.Disowned:
				s.Log.Warn("an object does not bear the label of the mesh any more and is left alone", "object", group[i].Ref)
			}
		}
		if left > 0 {
			break
		}
	}
	return left, errors.Join(err, context.Cause(s.ctx))
}
