package reconciler

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/reconciler/status"
)

// maxFaults bounds what is said of objects that cannot be used.
const maxFaults = 20

// discovered says what of the platform could not be used for what serves; nothing
// where nobody tells. It stops nobody else: it is for who mends the objects.
func (r *Reconciler) discovered() []status.Condition {
	faulty, tells := r.opts.Workloads.(Faulty)
	if !tells || r.serving == nil {
		return nil
	}
	faults := faulty.Faults(r.serving.Mesh)
	if len(faults) == 0 {
		return []status.Condition{condition(status.Discovered, status.True, "Placed", fmt.Sprintf("%d workloads", len(r.opts.Workloads.List(r.serving.Mesh))), r.serving.Commit)}
	}
	message := strings.Join(faults[:min(len(faults), maxFaults)], "; ")
	if more := len(faults) - maxFaults; more > 0 {
		message += fmt.Sprintf("; and %d more", more)
	}
	return []status.Condition{condition(status.Discovered, status.False, "NotAllUsed", message, r.serving.Commit)}
}
