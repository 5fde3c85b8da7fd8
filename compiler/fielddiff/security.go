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
	if len(r.NotPorts) > 0 {
		f.add(path+".notPorts", fmt.Sprint(r.NotPorts), r.Origin)
	}
	f.add(path+".hosts", conditionsText(r.Hosts), r.Origin)
	f.add(path+".notHosts", conditionsText(r.NotHosts), r.Origin)
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

func conditionsText(list []model.NamedMatch) string {
	var out []string
	for _, c := range list {
		out = append(out, c.String())
	}
	return strings.Join(out, " or ")
}

func pathsText(list []model.PathMatch) string {
	var paths []string
	for _, p := range list {
		paths = append(paths, p.String())
	}
	return strings.Join(paths, " or ")
}
