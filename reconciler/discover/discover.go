// Package discover finds the running instances of the mesh: a platform goes
// in, lists of workloads come out, each a whole and valid picture. An adapter
// that cannot read its platform says so and keeps the last good list: that
// nothing can be seen is no evidence that nothing is there.
package discover

import (
	"context"

	"github.com/meshc/meshc/compiler/model"
)

// Update is one thing a Source has to say.
type Update struct {
	// Workloads is the newest good list, sorted by node id and not to be
	// changed; nil while there has been none.
	Workloads []*model.Workload
	// Place, unless nil, gives the workloads in place of Workloads, of a platform
	// that knows instances and not which version of a mesh they are: sorted by
	// node id, and what could not be used, each in a sentence that names it. It may
	// be called as often as a mesh changes, also concurrently, and gives what is known then.
	Place func(*model.Mesh) ([]*model.Workload, []string)
	// Err says why the platform's newest state could not be taken; Workloads
	// is then the last good list. nil: all is well.
	Err error
}

// Source is where workloads are found.
type Source interface {
	// Watch sends an Update at once, and one whenever the list changes or an
	// error comes or goes. A slow reader misses what is superseded, never the
	// newest. The channel is closed after ctx ends. Watch may be called again,
	// also concurrently.
	Watch(ctx context.Context) <-chan Update
}

// Offer puts u into a channel of capacity one, in place of what was not read.
// Only one goroutine may offer.
func Offer(c chan Update, u Update) {
	select {
	case <-c:
	default:
	}
	c <- u
}
