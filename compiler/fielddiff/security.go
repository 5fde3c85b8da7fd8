package fielddiff

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

func (f *flat) rules(list string, rules []model.Rule) {
	for i := range rules {
		f.rule(fmt.Sprintf("%s[%d]", list, i), &rules[i])
	}
}

func (f *flat) rule(path string, r *model.Rule) {
	f.add(path+".from", r.From(), r.Origin)
	if len(r.Ports) > 0 {
		f.add(path+".ports", fmt.Sprint(r.Ports), r.Origin)
	}
	var hosts []string
	for _, h := range r.Hosts {
		hosts = append(hosts, h.String())
	}
	f.add(path+".hosts", strings.Join(hosts, " or "), r.Origin)
	f.add(path+".methods", strings.Join(r.Methods, ", "), r.Origin)
	f.add(path+".notMethods", strings.Join(r.NotMethods, ", "), r.Origin)
	f.add(path+".paths", pathsText(r.Paths), r.Origin)
	f.add(path+".notPaths", pathsText(r.NotPaths), r.Origin)
	for _, h := range r.Headers {
		f.add(at(path+".headers", h.Name), h.String(), r.Origin)
	}
	for _, c := range r.Claims {
		f.add(at(path+".claims", c.Name), c.String(), r.Origin)
	}
}

func pathsText(list []model.PathMatch) string {
	var paths []string
	for _, p := range list {
		paths = append(paths, p.String())
	}
	return strings.Join(paths, " or ")
}
