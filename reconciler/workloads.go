package reconciler

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/discover"
)

// Discovered is what a discover.Source says, as Workloads.
type Discovered struct {
	mu      sync.Mutex
	newest  discover.Update
	err     error // why newest is not of now
	seq     int   // of newest
	placed  []placed
	changed chan struct{}
}

// placed are the workloads of one mesh.
type placed struct {
	mesh   *model.Mesh
	seq    int
	list   []*model.Workload
	faults []string
}

// maxPlaced is how many meshes are asked for at a time: the one that serves and the
// one that is judged.
const maxPlaced = 2

// Discover follows src until ctx ends. It returns once src has spoken for the
// first time, so that what is restored is pushed with the workloads of now.
func Discover(ctx context.Context, src discover.Source, log *slog.Logger) *Discovered {
	d := &Discovered{changed: make(chan struct{})}
	updates := src.Watch(ctx)
	if first, open := <-updates; open {
		d.take(first, log)
	}
	go func() {
		for u := range updates {
			d.take(u, log)
		}
	}()
	return d
}

func (d *Discovered) take(u discover.Update, log *slog.Logger) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u.Err != nil && (d.err == nil || d.err.Error() != u.Err.Error()) {
		log.Warn("the workloads cannot be read, the last good ones stay", "count", len(u.Workloads), "error", u.Err)
	}
	d.err = u.Err
	if u.Err == nil || u.Place != nil {
		d.newest = u
		d.seq++
	}
	close(d.changed)
	d.changed = make(chan struct{})
}

// List implements Workloads. Workloads that are as they were are the same pointers.
func (d *Discovered) List(m *model.Mesh) []*model.Workload { return d.place(m).list }

// Faults implements Faulty.
func (d *Discovered) Faults(m *model.Mesh) []string {
	faults := d.place(m).faults
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		faults = append([]string{"the last good workloads serve: " + d.err.Error()}, faults...)
	}
	return faults
}

func (d *Discovered) place(m *model.Mesh) placed {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.newest.Place == nil || m == nil {
		return placed{list: d.newest.Workloads}
	}
	i := slices.IndexFunc(d.placed, func(p placed) bool { return p.mesh == m })
	if i >= 0 && d.placed[i].seq == d.seq {
		return d.placed[i]
	}
	now := placed{mesh: m, seq: d.seq}
	now.list, now.faults = d.newest.Place(m)
	if i >= 0 {
		now.list = keep(d.placed[i].list, now.list)
		d.placed = slices.Delete(d.placed, i, i+1)
	}
	d.placed = append(d.placed, now)
	if len(d.placed) > maxPlaced {
		d.placed = slices.Delete(d.placed, 0, 1)
	}
	return now
}

// keep gives the workloads of now, those of old where they are the same. Both are
// sorted by node id.
func keep(old, now []*model.Workload) []*model.Workload {
	byID := make(map[string]*model.Workload, len(old))
	for _, w := range old {
		byID[w.NodeID()] = w
	}
	for i, w := range now {
		if was := byID[w.NodeID()]; was != nil && reflect.DeepEqual(was, w) {
			now[i] = was
		}
	}
	return now
}

// Changed implements Workloads.
func (d *Discovered) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}
