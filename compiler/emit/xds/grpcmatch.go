package xds

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// grpcMatches keeps, of an any-of list, what an RPC can match: its method is
// POST and its path has no query.
func grpcMatches(any []model.Match) ([]model.Match, error) {
	var out []model.Match
	for _, m := range any {
		if !reach.AcceptsMethod(m, "POST") || !withoutQuery(m.Query) {
			continue
		}
		if len(m.Cookies) > 0 {
			return nil, fmt.Errorf("grpc-go cannot match cookies")
		}
		if len(m.Paths) > 1 || len(m.Paths) == 1 && m.Paths[0].Not {
			return nil, fmt.Errorf("grpc-go cannot match two conditions on one path, nor a negated one")
		}
		if slices.ContainsFunc(m.Headers, func(h model.NamedMatch) bool { return strings.HasPrefix(h.Name, ":") }) {
			return nil, fmt.Errorf("grpc-go cannot match pseudo-headers")
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
