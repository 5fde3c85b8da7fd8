package xds

import (
	"fmt"

	"github.com/meshc/meshc/compiler/model"
)

// grpcMatches keeps, of an any-of list, what an RPC can match: its method is
// POST and its path has no query.
func grpcMatches(any []model.Match) ([]model.Match, error) {
	var out []model.Match
	for _, m := range any {
		if !methodsTake(m.Methods, "POST") || !withoutQuery(m.Query) {
			continue
		}
		if len(m.Cookies) > 0 {
			return nil, fmt.Errorf("grpc-go cannot match cookies")
		}
		if len(m.Paths) > 1 {
			return nil, fmt.Errorf("grpc-go cannot match two conditions on one path")
		}
		out = append(out, model.Match{Paths: m.Paths, Headers: m.Headers, Origin: m.Origin})
	}
	return out, nil
}

// withoutQuery says whether a request without a query meets every condition.
func withoutQuery(query []model.NamedMatch) bool {
	for _, q := range query {
		if q = normal(q); q.Kind != model.Absent && !q.Not {
			return false
		}
	}
	return true
}
