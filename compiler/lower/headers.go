package lower

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

func headerOps(h *intent.HeaderOps) model.HeaderOps {
	if h == nil {
		return model.HeaderOps{}
	}
	var remove []string
	for _, name := range h.Remove {
		remove = append(remove, strings.ToLower(name.V))
	}
	slices.Sort(remove)
	return model.HeaderOps{Set: headers(h.Set), Add: headers(h.Add), Remove: slices.Compact(remove)}
}

func headers(kvs []*intent.KV) []model.Header {
	var out []model.Header
	for _, kv := range kvs {
		out = append(out, model.Header{Name: strings.ToLower(kv.Key.V), Value: kv.Value.V})
	}
	// Equal names keep the order of the source: `add` may repeat one.
	slices.SortStableFunc(out, func(a, b model.Header) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
