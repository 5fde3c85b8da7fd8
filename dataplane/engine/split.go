package engine

import "github.com/meshc/meshc/dataplane/route"

// splitValue chooses among the clusters of a split: the hash of the request's
// keys where the route says so and the request has one, else the stream's random
// value, as Envoy's WeightedClusterEntry does.
func (s *stream) splitValue() uint64 {
	if s.route.Keyed {
		if hash, ok := route.Hash(s.route.Hash, s.req.Request, s.source(), noCookie); ok {
			return hash
		}
	}
	return s.fs.Random
}

// noCookie: a cookie is given to clients when an endpoint is chosen, and not yet.
func noCookie(*route.HashKey) string { return "" }
