package fielddiff

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

func (f *flat) raw(r *model.Raw) {
	path := at("raw", r.Name)
	f.add(path, fmt.Sprintf("%s %q", r.Kind, r.Target), r.Origin)
	var proxies []string
	for _, p := range r.Proxies {
		proxies = append(proxies, p.String())
	}
	f.add(path+".proxies", strings.Join(proxies, ", "), r.Origin)
	f.add(path+".patch", r.Patch, r.PatchOrigin)
	f.add(path+".hash", r.Hash, r.HashOrigin)
}
