package reconciler

import (
	"context"
	"log/slog"
	"sync"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/discover"
)

// Discovered is what a discover.Source says, as Workloads.
type Discovered struct {
	mu      sync.Mutex
	list    []*model.Workload
	changed chan struct{}
}

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
	if u.Err != nil {
		log.Warn("the workloads cannot be read, the last good ones stay", "count", len(u.Workloads), "error", u.Err)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = u.Workloads
	close(d.changed)
	d.changed = make(chan struct{})
}

// List implements Workloads.
func (d *Discovered) List() []*model.Workload {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.list
}

// Changed implements Workloads.
func (d *Discovered) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}
