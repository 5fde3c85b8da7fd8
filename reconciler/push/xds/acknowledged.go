package xds

import (
	"maps"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// bundlePrefix is how the names of trust bundles begin.
const bundlePrefix = "bundle|"

// bundles gives, of each trust bundle that the client has subscribed to, the version
// that it has confirmed, "" for none. before is what it gave last, and is given again
// if nothing is different.
func (s *session) bundles(before map[string]string) map[string]string {
	ts := &s.types[SDS]
	out := map[string]string{}
	for name := range ts.subs {
		if !strings.HasPrefix(name, bundlePrefix) {
			continue
		}
		out[name] = ""
		if r := ts.acked[name]; r != nil {
			out[name] = r.Version
		}
	}
	if maps.Equal(out, before) {
		return before
	}
	return out
}

// BundlesAcknowledged says how many of the proxies that are connected have confirmed
// the trust bundles that were set last. Before the first commit nobody can tell who
// will connect, which counts as one that has not.
func (s *Server) BundlesAcknowledged() (done, live int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return 0, 1
	}
	s.eachHolder(func(_ string, has bool) {
		live++
		if has {
			done++
		}
	})
	return done, live
}

// BundlesMissing names the nodes that are connected and have not confirmed the trust
// bundles that were set last, sorted.
func (s *Server) BundlesMissing() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return nil
	}
	var out []string
	s.eachHolder(func(node string, has bool) {
		if !has {
			out = append(out, node)
		}
	})
	slices.Sort(out)
	return out
}

// eachHolder says of each node that is connected whether it has the trust bundles. mu
// is held, and there is a current state.
func (s *Server) eachHolder(visit func(node string, has bool)) {
	for id, set := range s.current.nodes {
		var streams []*stream
		for _, str := range s.streams[id] {
			if !str.doubtful.Load() {
				streams = append(streams, str)
			}
		}
		if len(streams) == 0 {
			continue
		}
		proxyless := s.roles[id] == model.RoleGRPC
		if !proxyless {
			streams = streams[len(streams)-1:] // an older one is dead and not yet noticed
		}
		has := true
		for _, str := range streams {
			has = has && set.confirmed(str.published.bundles, proxyless)
		}
		visit(id, has)
	}
}

// confirmed says whether a client has the trust bundles of its set, by the versions
// that it has confirmed. One that has not asked for a bundle yet has not got it; an
// application without a proxy has its roots in files, and may never ask.
func (n *nodeSet) confirmed(versions map[string]string, proxyless bool) bool {
	for name, want := range n.res[SDS] {
		version, asked := versions[name]
		if strings.HasPrefix(name, bundlePrefix) && version != want.Version && (asked || !proxyless) {
			return false
		}
	}
	return true
}
