package language

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
)

// statements are fields that say an order. What is said holds, or vet refuses
// it; where it would hold anyway nothing else differs.
// Which proxy serves somebody is what vet goes by, and the account of a gateway
// is in its certificate.
var statements = []string{".before", ".before.[]", ".after", ".after.[]", ".proxy", "gateway.*.serviceAccount"}

// forPeople says that a field is a statement, or that the schema calls it
// documentation, or what vet and test go by.
func forPeople(field string) bool {
	if strings.Contains(field, ".expect.") || strings.HasPrefix(field, "mesh.policies.") {
		return true // the mesh is held against it, no proxy is given it
	}
	if slices.ContainsFunc(statements, func(end string) bool { return strings.HasSuffix(field, end) }) {
		return true
	}
	said := []string{"Envoy: none; it is for people", "shown by `meshc status`"}
	return slices.ContainsFunc(load.SchemaFields(), func(f load.SchemaField) bool {
		return f.Field == field && slices.ContainsFunc(said, func(text string) bool { return strings.Contains(f.Doc, text) })
	})
}

// onlyValue are fields that have one valid value wherever gen.Whole writes them,
// each with the reason.
var onlyValue = map[string]string{
	"gateway.*.kind":                         "what an ingress has an egress may not have, and the other way round",
	"gateway.*.namespace":                    "its routes and those who let it in name services and the gateway from there",
	"service.*.security.jwt.*.jwks.external": "a mesh has one external that serves keys",
	"gateway.*.security.jwt.*.jwks.external": "a mesh has one external that serves keys",
}

// noEffect are the diagnostics that say of a field, or of what it stands in,
// that nobody acts on it.
var noEffect = []diag.Code{
	diag.NobodyCalls, diag.VersionUnused, diag.LimitNever, diag.RouteNotEntered, diag.DefaultUnused,
}

// saysWhy says that a diagnostic speaks of the site, or of what it stands in.
func (b *base) saysWhy(s *site) bool {
	for at := s; at != nil; at = at.above {
		for _, d := range b.diags {
			if d.Range.File != s.file || int(d.Range.Start.Line) != at.node.Pos().Line() {
				continue
			}
			if at == s || slices.Contains(noEffect, d.Code) {
				return true
			}
		}
	}
	return false
}

// beyondGateways says that a site is in an exception, or in the match of a
// fault, of a service which only gateways call: these may be for requests that
// no gateway leads there.
func (b *base) beyondGateways(s *site) bool {
	field := s.place.field
	if !strings.HasPrefix(field, "service.") || !strings.HasSuffix(field, ".except.[]") && !strings.Contains(field, ".faults.*.match.") {
		return false
	}
	name := s.under("service.*").label
	return !slices.ContainsFunc(b.model.Services, func(o *model.Service) bool {
		return slices.ContainsFunc(o.Uses, func(to model.Ref) bool { return to.Name == name })
	})
}

// under gives the site of an ancestor.
func (s *site) under(field string) *site {
	for s.place.field != field {
		s = s.above
	}
	return s
}

// versionNotEntered says that a site is in the settings of a version to which
// only routes lead that no gateway enters, which a diagnostic says of each.
func (b *base) versionNotEntered(s *site) bool {
	if !strings.HasPrefix(s.place.field, "service.*.versions.*.") {
		return false
	}
	version, service := s.under("service.*.versions.*").label, s.under("service.*").label
	for _, o := range b.model.Services {
		for _, r := range o.Routes {
			leads := slices.ContainsFunc(r.Split, func(w model.Split) bool { return w.Version == version })
			if o.Name == service && leads && !b.notEntered(o, r.Name) {
				return false
			}
		}
	}
	return true
}

func (b *base) notEntered(s *model.Service, route string) bool {
	of := fmt.Sprintf("to route %q of service %q", route, s.Ref)
	return slices.ContainsFunc(b.diags, func(d diag.Diagnostic) bool {
		return d.Code == diag.RouteNotEntered && strings.Contains(d.Message, "a request "+of)
	})
}
