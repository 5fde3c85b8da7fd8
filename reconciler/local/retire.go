package local

import (
	"slices"
	"strings"
	"time"
)

// retireAfter is how long a workload that is no longer wanted runs at most
// while proxies may still send it requests. It is longer than the ADS server
// holds routes back for the first instance of what takes its place (15 s).
const retireAfter = 30 * time.Second

// notWanted notes the commands that want does not name. They go on for now:
// proxies that have not seen the change still call them.
func (r *runner) notWanted(want map[string]bool) {
	for _, name := range r.sup.Names() {
		if want[name] {
			delete(r.retiring, name)
		} else if r.retiring[name].IsZero() {
			r.retiring[name] = time.Now()
		}
	}
}

// retire stops what is not wanted once no proxy calls it any more: sidecars,
// which let requests finish, before their applications.
func (r *runner) retire() {
	var proxies, apps []string
	for name, since := range r.retiring {
		node := r.nodes[name]
		if time.Since(since) < retireAfter && !r.forgotten(node) {
			continue
		}
		delete(r.retiring, name)
		delete(r.ready, node)
		delete(r.nodes, name)
		if strings.HasPrefix(name, appPrefix) {
			apps = append(apps, name)
		} else {
			proxies = append(proxies, name)
		}
	}
	r.sup.Stop(proxies...)
	r.sup.Stop(apps...)
}

// forgotten says whether every proxy runs a configuration without the node.
func (r *runner) forgotten(node string) bool {
	p, err := r.o.Programmed()
	return err == nil && p.Complete && !slices.Contains(p.Nodes, node)
}
