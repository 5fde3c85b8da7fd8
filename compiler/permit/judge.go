package permit

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// judge is the service or gateway that refuses, and the request as it gets it.
type judge struct {
	*search
	model    *model.Mesh
	ref      model.Ref
	gateway  bool
	label    intent.Value[string] // of the service or gateway, with its place
	security *intent.Security     // nil: not written

	caller model.Ref // zero: the client of a gateway, who has no identity
	id     string
	host   string
	method string
	path   string
	l7     bool // the port carries requests
}

// judge finds who refuses: the gateway before a route is chosen, else the
// service.
func (s *search) judge(m *model.Mesh, got *answer.Answer) *judge {
	j := &judge{search: s, model: m, host: got.Request.Host, method: got.Request.Method, path: got.Request.Path(), l7: true}
	if got.Service == nil {
		j.gateway, j.ref = true, got.Caller.Ref
		for _, g := range s.mesh.Gateways {
			if scope.GatewayRef(g) == j.ref {
				j.label, j.security = intent.Value[string]{V: g.Name.V, At: g.At}, g.Security
			}
		}
		return j
	}
	j.ref, j.caller, j.id = *got.Service, got.Caller.Ref, got.Caller.SPIFFEID
	if r := got.Route.Rewrite; r != nil && r.Host != "" {
		j.host = r.Host
	}
	if r := got.Route.Rewrite; r != nil && r.Path != "" {
		j.path, _, _ = strings.Cut(r.Path, "?")
	}
	for _, svc := range s.mesh.Services {
		if scope.ServiceRef(svc) == j.ref {
			j.label, j.security = intent.Value[string]{V: svc.Name.V, At: svc.At}, svc.Security
			j.l7 = !slices.ContainsFunc(svc.Ports, func(p *intent.Port) bool {
				return uint16(p.Number.V) == got.Request.Port && model.Protocol(p.Protocol.V).Opaque()
			})
		}
	}
	return j
}

// lists of rules of a service or gateway.
type lists struct{ allow, deny, public *[]model.Rule }

// change gives a mesh in which the rules of the judge are others.
func (j *judge) change(m *model.Mesh, change func(lists)) *model.Mesh {
	out := *m
	if j.gateway {
		out.Gateways = slices.Clone(m.Gateways)
		for i, g := range out.Gateways {
			if g.Ref == j.ref {
				own := *g
				own.Allow, own.Deny, own.Public = slices.Clone(g.Allow), slices.Clone(g.Deny), slices.Clone(g.Public)
				change(lists{&own.Allow, &own.Deny, &own.Public})
				out.Gateways[i] = &own
			}
		}
		return &out
	}
	out.Services = slices.Clone(m.Services)
	for i, s := range out.Services {
		if s.Ref == j.ref {
			own := *s
			own.Allow, own.Deny, own.Public = slices.Clone(s.Allow), slices.Clone(s.Deny), slices.Clone(s.Public)
			change(lists{&own.Allow, &own.Deny, &own.Public})
			out.Services[i] = &own
		}
	}
	return &out
}

// kind of the judge as a field of the language.
func (j *judge) kind() string {
	if j.gateway {
		return "gateway"
	}
	return "service"
}

// declare adds a use to the caller.
func (s *search) declare(m *model.Mesh, got *answer.Answer) []step {
	to := *got.Service
	apply := func(m *model.Mesh) *model.Mesh {
		out := uses(m, got.Caller.Ref, to)
		for i, svc := range out.Services {
			if svc.Ref == to && s.derived(to) {
				own := *svc
				own.Allow = append(slices.Clip(svc.Allow), model.Rule{Principals: []string{got.Caller.SPIFFEID}})
				out.Services[i] = &own
			}
		}
		return out
	}
	title := fmt.Sprintf("declare that %s uses %s", got.Caller.Ref, to)
	wide := s.derived(to) // whoever declares to use it is let in, with every request
	var out []step
	for _, svc := range s.mesh.Services {
		if scope.ServiceRef(svc) != got.Caller.Ref {
			continue
		}
		name := label(written(to, got.Caller.Namespace))
		if len(svc.Uses) > 0 {
			first := svc.Uses[0].Ref.At
			out = append(out, step{title, first, []diag.Edit{before(first, name+": {}, ")}, apply, wide})
		}
		line := fmt.Sprintf("service: %s: uses: %s: {}", label(svc.Name.V), name)
		if e, ok := s.append(svc.At.File, line); ok {
			out = append(out, step{title, e.Range, []diag.Edit{e}, apply, wide})
		}
	}
	declared := uses(m, got.Caller.Ref, to)
	if then, ok := ask(declared, s.q); ok && wide && then.Outcome == answer.Denied {
		out = append(out, s.spelled(out, s.judge(declared, then))...)
	}
	return out
}

// derived says that who is let in follows from who declares to use it.
func (s *search) derived(ref model.Ref) bool {
	for _, svc := range s.mesh.Services {
		if scope.ServiceRef(svc) == ref {
			return svc.Security == nil || !svc.Security.HasAllow
		}
	}
	return false
}

// publish lets the request in without a token.
func (j *judge) publish() []step {
	one := fmt.Sprintf("{methods: [%s], paths: [{exact: %s}]}", strconv.Quote(j.method), strconv.Quote(j.path))
	apply := func(m *model.Mesh) *model.Mesh {
		return j.change(m, func(l lists) {
			*l.public = append(*l.public, model.Rule{Any: true, Methods: []string{j.method}, Paths: []model.PathMatch{{Kind: model.Exact, Value: j.path}}})
		})
	}
	title := fmt.Sprintf("let %s take %s %s without a token", j.ref, j.method, j.path)
	if j.security != nil && len(j.security.Public) > 0 {
		first := j.security.Public[0].At
		return []step{{title, first, []diag.Edit{before(first, one+", ")}, apply, false}}
	}
	line := fmt.Sprintf("%s: %s: security: public: [%s]", j.kind(), label(j.label.V), one)
	e, ok := j.append(j.label.At.File, line)
	if !ok {
		return nil
	}
	return []step{{title, e.Range, []diag.Edit{e}, apply, false}}
}

// append is an edit that adds a line to a file of CUE.
func (s *search) append(file, line string) (diag.Edit, bool) {
	text, err := fs.ReadFile(s.fsys, file)
	if err != nil || path.Ext(file) != ".cue" {
		return diag.Edit{}, false
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		line = "\n" + line
	}
	end := diag.PosAt(text, len(text))
	return diag.Edit{Range: diag.Range{File: file, Start: end, End: end}, New: line + "\n"}, true
}

// before is an edit that writes text in front of a place.
func before(place diag.Range, text string) diag.Edit {
	place.End = place.Start
	return diag.Edit{Range: place, New: text}
}

// behind is an edit that writes text after a place.
func behind(place diag.Range, text string) diag.Edit {
	place.Start = place.End
	return diag.Edit{Range: place, New: text}
}

// inside is an edit that writes text at the beginning of a struct.
func inside(place diag.Range, text string) diag.Edit {
	place.Start.Col++
	return before(place, text)
}

// identifier is what needs no quotes as a label.
var identifier = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)

func label(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return strconv.Quote(name)
}

// written is a reference as it is written in a namespace.
func written(r model.Ref, namespace string) string {
	if r.Namespace == namespace {
		return r.Name
	}
	return r.String()
}
