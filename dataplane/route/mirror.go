package route

import (
	"fmt"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// Mirror sends copies of a part of the requests to another cluster. Nobody waits
// for the responses.
type Mirror struct {
	Route  Entry // leads to the cluster, within the timeouts of the route
	Suffix bool  // the host of a copy ends in "-shadow"
	all    bool
	share  Fraction
}

// Takes draws by the stream's random value, as Envoy does.
func (m *Mirror) Takes(random uint64) bool { return m.all || m.share.Takes(random) }

// mirrors decodes the policies of a route whose timeouts are known.
func mirrors(e *Entry, list []*routev3.RouteAction_RequestMirrorPolicy) error {
	for i, p := range list {
		if p.GetCluster() == "" {
			return fmt.Errorf("request_mirror_policies[%d]: needs a cluster", i)
		}
		m := MirrorAll(p.GetCluster(), e.Timeout)
		m.Suffix, m.all = !p.GetDisableShadowHostSuffixAppend(), p.GetRuntimeFraction() == nil
		if e.Idle != 0 {
			m.Route.Idle = e.Idle
		}
		if !m.all {
			var err error
			if m.share, err = NewFraction(p.GetRuntimeFraction().GetDefaultValue()); err != nil {
				return fmt.Errorf("request_mirror_policies[%d]: runtime_fraction: %w", i, err)
			}
		}
		e.Mirrors = append(e.Mirrors, m)
	}
	return nil
}

// mirrorIdle is how long a copy may stand still where its route does not say it:
// nobody but a timeout ends it.
const mirrorIdle = 5 * time.Minute

// MirrorAll is a copy of every request, for a cluster; timeout as in Entry.
func MirrorAll(cluster string, timeout time.Duration) Mirror {
	return Mirror{
		Route:  Entry{Clusters: []WeightedCluster{{Name: cluster, Weight: 1}}, Total: 1, Timeout: timeout, Idle: mirrorIdle},
		Suffix: true, all: true,
	}
}
