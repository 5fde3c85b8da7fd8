package permit

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// split makes a deny rule leave out what has this caller, method and path all
// together, and nothing else: each of the rules that it becomes leaves out one of
// them. Those that would hold for nothing are not written.
func (j *judge) split(r *intent.Rule) []step {
	written, ok := j.lowered(r)
	knobs := j.exceptions(r)
	if !ok || len(knobs) < 2 {
		return nil
	}
	var rules []model.Rule
	var texts []string
	for _, k := range knobs {
		one := written
		k.apply(&one)
		text, ok := j.textOf(r, k.edit)
		if !ok {
			return nil
		}
		if j.holdsForSome(&one) {
			rules, texts = append(rules, one), append(texts, text)
		}
	}
	edit := diag.Edit{Range: r.At, New: strings.Join(texts, ", ")}
	if len(texts) == 0 {
		edit = diag.Edit{Range: r.At, Op: diag.RemoveElement}
	}
	return []step{{
		does:  fmt.Sprintf("leave %s out of the deny rule of %s", j.request(), j.ref),
		place: r.At,
		edits: []diag.Edit{edit},
		apply: func(m *model.Mesh) *model.Mesh {
			return j.change(m, func(l lists) {
				if i := slices.IndexFunc(*l.deny, func(d model.Rule) bool { return d.Origin == r.At }); i >= 0 {
					*l.deny = slices.Replace(*l.deny, i, i+1, rules...)
				}
			})
		},
	}}
}

// like writes an allow rule for this caller, method and path, with what else a rule
// that is there asks for: networks, hosts, ports, headers and claims.
func (j *judge) like(r *intent.Rule) []step {
	if len(r.IPs)+len(r.NotIPs)+len(r.ClientIPs)+len(r.NotClientIPs)+len(r.Ports)+len(r.NotPorts)+len(r.Headers)+len(r.Claims) == 0 &&
		(j.gateway || len(r.Hosts)+len(r.NotHosts) == 0) {
		return nil // `admit` asks for as much
	}
	rule, ok := j.lowered(r)
	if !ok {
		return nil
	}
	var edits []diag.Edit
	only := func(field, entry string, places []diag.Range) {
		if n := len(places); n > 0 {
			edits = append(edits, diag.Edit{Range: diag.Range{File: r.At.File, Start: places[0].Start, End: places[n-1].End}, New: entry})
			return
		}
		edits = append(edits, inside(r.At, fmt.Sprintf("%s: [%s], ", field, entry)))
	}
	if !j.gateway {
		rule.Any, rule.Authenticated, rule.Principals = false, false, []string{j.id}
		only("from", j.name(), placesOf(r.From))
	} else {
		rule.Hosts = []model.NamedMatch{{Name: model.HostHeader, Kind: model.Exact, Value: j.host}}
		only("hosts", strconv.Quote(j.host), placesOf(r.Hosts))
	}
	if j.l7 {
		rule.Methods, rule.Paths = []string{j.method}, []model.PathMatch{{Kind: model.Exact, Value: j.path}}
		only("methods", strconv.Quote(j.method), placesOf(r.Methods))
		var paths []diag.Range
		for _, p := range r.Paths {
			paths = append(paths, p.At)
		}
		only("paths", fmt.Sprintf("{exact: %s}", strconv.Quote(j.path)), paths)
	}
	text, ok := j.textOf(r, merged(edits)...)
	if !ok {
		return nil
	}
	return []step{{
		does:  fmt.Sprintf("add an allow rule for it to %s, with the conditions of the one at %s", j.ref, r.At),
		place: r.At,
		edits: []diag.Edit{before(r.At, text+", ")},
		apply: func(m *model.Mesh) *model.Mesh {
			return j.change(m, func(l lists) { *l.allow = append(*l.allow, rule) })
		},
	}}
}

// merged joins the edits that write at one place, which cannot be told apart.
func merged(edits []diag.Edit) []diag.Edit {
	var out []diag.Edit
	for _, e := range edits {
		if i := slices.IndexFunc(out, func(o diag.Edit) bool { return o.Range == e.Range }); i >= 0 {
			out[i].New += e.New
			continue
		}
		out = append(out, e)
	}
	return out
}

func placesOf(list []intent.Value[string]) []diag.Range {
	var out []diag.Range
	for _, v := range list {
		out = append(out, v.At)
	}
	return out
}

// lowered is the rule of the model that a written one became.
func (j *judge) lowered(r *intent.Rule) (model.Rule, bool) {
	var found []model.Rule
	j.change(j.model, func(l lists) {
		for _, one := range slices.Concat(*l.allow, *l.deny) {
			if one.Origin == r.At {
				found = append(found, one)
			}
		}
	})
	if len(found) != 1 {
		return model.Rule{}, false
	}
	return found[0], true
}

// holdsForSome says that there are requests, of somebody, for which a rule holds;
// where that is not known it says so too.
func (j *judge) holdsForSome(r *model.Rule) bool {
	when := reach.OfRule(r, j.model.TrustDomain)
	space, err := reach.New(reach.DefaultLimits, when)
	if err != nil {
		return true
	}
	set, err := space.Set(when)
	return err != nil || !set.Empty()
}

// textOf a rule as it is written, with edits made.
func (j *judge) textOf(r *intent.Rule, edits ...diag.Edit) (string, bool) {
	source, err := fs.ReadFile(j.fsys, r.At.File)
	if err != nil {
		return "", false
	}
	start, err := r.At.Start.Offset(source)
	if err != nil {
		return "", false
	}
	end, err := r.At.End.Offset(source)
	if err != nil || end < start {
		return "", false
	}
	after, err := diag.Apply(source, edits)
	if err != nil || len(after) < start+len(source)-end {
		return "", false
	}
	return string(after[start : len(after)-(len(source)-end)]), true
}

// request in words: who, what, and where to.
func (j *judge) request() string {
	words := "requests"
	if j.l7 {
		words = j.method + " " + j.path
	}
	if j.gateway {
		return words
	}
	return words + " of " + j.caller.String()
}

// spelled writes out who is let in to a service that lets in whoever declares to use
// it, and this request beside: each way of declaring the use, and then less than that
// would let in.
func (s *search) spelled(declared []step, rest *judge) []step {
	var ids []string
	for _, r := range rest.model.Service(rest.ref).Allow {
		if r.Any || r.Authenticated || !rest.l7 {
			return nil // callers without identity are let in, or there are no requests to tell apart
		}
		ids = append(ids, r.Principals...)
	}
	var names []string
	for _, id := range ids {
		name, ok := rest.named(id)
		if !ok {
			return nil
		}
		names = append(names, strconv.Quote(name))
	}
	one := fmt.Sprintf("{from: [%s], methods: [%s], paths: [{exact: %s}]}", rest.name(), strconv.Quote(rest.method), strconv.Quote(rest.path))
	if len(names) > 0 {
		one = fmt.Sprintf("{from: [%s]}, %s", strings.Join(names, ", "), one)
	}
	edit, ok := s.append(rest.label.At.File, fmt.Sprintf("service: %s: security: allow: [%s]", label(rest.label.V), one))
	if !ok {
		return nil
	}
	var out []step
	for _, d := range declared {
		edits := append(slices.Clone(d.edits), edit)
		if d.edits[0].Range == edit.Range { // both at the end of one file
			edits = []diag.Edit{{Range: edit.Range, New: d.edits[0].New + strings.TrimPrefix(edit.New, "\n")}}
		}
		out = append(out, step{
			does:  fmt.Sprintf("%s, and let it in with %s %s alone", d.does, rest.method, rest.path),
			place: d.place,
			edits: edits,
			apply: func(m *model.Mesh) *model.Mesh {
				return rest.change(uses(m, rest.caller, rest.ref), func(l lists) {
					*l.allow = append(*l.allow, model.Rule{
						Principals: []string{rest.id}, Methods: []string{rest.method},
						Paths: []model.PathMatch{{Kind: model.Exact, Value: rest.path}},
					})
				})
			},
		})
	}
	return out
}

// named is who has an identity, as rules of the judge write it.
func (j *judge) named(id string) (string, bool) {
	for _, s := range j.model.Services {
		if s.SPIFFEID == id {
			return written(s.Ref, j.ref.Namespace), true
		}
	}
	for _, g := range j.model.Gateways {
		if g.SPIFFEID == id {
			return written(g.Ref, j.ref.Namespace), true
		}
	}
	return "", false
}

// uses gives a mesh in which one service declares to use another one.
func uses(m *model.Mesh, caller, used model.Ref) *model.Mesh {
	out := *m
	out.Services = slices.Clone(m.Services)
	for i, s := range out.Services {
		if s.Ref == caller {
			own := *s
			own.Uses = append(slices.Clip(s.Uses), used)
			out.Services[i] = &own
		}
	}
	return &out
}
