package artifact

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// Errors of Find.
var (
	ErrNoProxy   = errors.New("no such proxy")
	ErrAmbiguous = errors.New("several proxies have this name")
)

// Find gives the first workload, by ID, that is called name:
// "service/version", "gateway", or either with "namespace/" in front. The
// error says which names there are.
func Find(workloads []*model.Workload, name string) (*model.Workload, error) {
	found := make(map[group]*model.Workload)
	var known []string
	for _, w := range workloads {
		full := fullName(w)
		known = append(known, full)
		if name != full && name != strings.TrimPrefix(full, w.Service.Namespace+"/") {
			continue
		}
		if first := found[groupOf(w)]; first == nil || w.ID < first.ID {
			found[groupOf(w)] = w
		}
	}
	slices.Sort(known)
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: %q; there are %s", ErrNoProxy, name, strings.Join(slices.Compact(known), ", "))
	case 1:
		for _, w := range found {
			return w, nil
		}
	}
	return nil, fmt.Errorf("%w: %q; name the namespace: %s", ErrAmbiguous, name, strings.Join(slices.Compact(known), ", "))
}

func fullName(w *model.Workload) string {
	if w.Role == model.RoleGateway {
		return w.Service.String()
	}
	return w.Service.String() + "/" + w.Version
}
