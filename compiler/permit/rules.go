package permit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// knob is one condition of a rule that can be made to hold, or not to.
type knob struct {
	what  string
	edit  diag.Edit
	apply func(*model.Rule)
}

// rules are the steps past rules. refusedAt is the deny rule that holds, "" or
// another place where no allow rule does.
func (j *judge) rules(refusedAt string) []step {
	if j.security == nil {
		return nil
	}
	for _, r := range j.security.Deny {
		if r.At.String() == refusedAt {
			return j.narrow(r)
		}
	}
	var out []step
	for _, r := range j.security.Allow {
		out = append(append(out, j.like(r)...), j.widen(r)...)
	}
	return append(out, j.admit()...)
}

// narrow makes a deny rule leave the request out, in one way each: this caller,
// method or path, or what has all of them.
func (j *judge) narrow(r *intent.Rule) []step {
	out := j.split(r)
	for _, k := range j.exceptions(r) {
		apply := func(m *model.Mesh) *model.Mesh {
			return j.change(m, func(l lists) { turn(*l.deny, r.At, []knob{k}) })
		}
		out = append(out, step{fmt.Sprintf("%s of the deny rule of %s", k.what, j.ref), r.At, []diag.Edit{k.edit}, apply, true})
	}
	return out
}

// widen makes an allow rule take the request: with each set of its conditions of
// at most three, the caller of steps leaves those out that do not do it.
func (j *judge) widen(r *intent.Rule) []step {
	knobs := j.entries(r)
	var out []step
	for set := 1; set < 1<<len(knobs); set++ {
		var some []knob
		var edits []diag.Edit
		var what []string
		for i, k := range knobs {
			if set>>i&1 == 1 {
				some, edits, what = append(some, k), append(edits, k.edit), append(what, k.what)
			}
		}
		apply := func(m *model.Mesh) *model.Mesh {
			return j.change(m, func(l lists) { turn(*l.allow, r.At, some) })
		}
		out = append(out, step{fmt.Sprintf("%s of the allow rule of %s", strings.Join(what, " and "), j.ref), r.At, edits, apply, true})
	}
	return out
}

// turn changes the rule that is written at a place.
func turn(rules []model.Rule, place diag.Range, knobs []knob) {
	for i := range rules {
		if rules[i].Origin == place {
			for _, k := range knobs {
				k.apply(&rules[i])
			}
		}
	}
}

// admit writes an allow rule for this request alone.
func (j *judge) admit() []step {
	if len(j.security.Allow) == 0 {
		return nil // there is no list to write it into, and nobody is let in on purpose
	}
	rule := model.Rule{Any: j.gateway}
	var conditions []string
	if !j.gateway {
		rule.Principals = []string{j.id}
		conditions = append(conditions, fmt.Sprintf("from: [%s]", j.name()))
	}
	if j.gateway {
		rule.Hosts = []model.NamedMatch{{Name: model.HostHeader, Kind: model.Exact, Value: j.host}}
		conditions = append(conditions, fmt.Sprintf("hosts: [%s]", strconv.Quote(j.host)))
	}
	if j.l7 {
		rule.Methods, rule.Paths = []string{j.method}, []model.PathMatch{{Kind: model.Exact, Value: j.path}}
		conditions = append(conditions, fmt.Sprintf("methods: [%s], paths: [{exact: %s}]", strconv.Quote(j.method), strconv.Quote(j.path)))
	}
	first := j.security.Allow[0].At
	return []step{{
		does:  fmt.Sprintf("add an allow rule for it to %s", j.ref),
		place: first,
		edits: []diag.Edit{before(first, "{"+strings.Join(conditions, ", ")+"}, ")},
		apply: func(m *model.Mesh) *model.Mesh {
			return j.change(m, func(l lists) { *l.allow = append(*l.allow, rule) })
		},
	}}
}

// name of the caller, as rules of the judge write it.
func (j *judge) name() string { return strconv.Quote(written(j.caller, j.ref.Namespace)) }

// entries are those that an allow rule may be given more of, so that it takes
// the request. A list that is not written holds already.
func (j *judge) entries(r *intent.Rule) []knob {
	var out []knob
	texts := func(list []intent.Value[string], field, text string, apply func(*model.Rule)) {
		if len(list) == 0 || slices.ContainsFunc(list, func(v intent.Value[string]) bool { return v.V == text || v.V == "*" }) {
			return
		}
		entry := strconv.Quote(text)
		out = append(out, knob{fmt.Sprintf("add %s to `%s`", entry, field), behind(list[len(list)-1].At, ", "+entry), apply})
	}
	if !j.gateway {
		texts(r.From, "from", written(j.caller, j.ref.Namespace), func(m *model.Rule) { m.Principals = append(slices.Clip(m.Principals), j.id) })
		texts(r.Namespaces, "namespaces", j.caller.Namespace, func(m *model.Rule) { m.Namespaces = append(slices.Clip(m.Namespaces), j.caller.Namespace) })
	}
	texts(r.Methods, "methods", j.method, func(m *model.Rule) { m.Methods = append(slices.Clip(m.Methods), j.method) })
	texts(r.Hosts, "hosts", j.host, func(m *model.Rule) {
		m.Hosts = append(slices.Clip(m.Hosts), model.NamedMatch{Name: model.HostHeader, Kind: model.Exact, Value: j.host})
	})
	if n := len(r.Paths); n > 0 {
		out = append(out, knob{
			fmt.Sprintf("add the path %s to `paths`", j.path),
			behind(r.Paths[n-1].At, fmt.Sprintf(", {exact: %s}", strconv.Quote(j.path))),
			func(m *model.Rule) {
				m.Paths = append(slices.Clip(m.Paths), model.PathMatch{Kind: model.Exact, Value: j.path})
			},
		})
	}
	return out
}

// exceptions are what may be taken out of a deny rule, so that it leaves the
// request out.
func (j *judge) exceptions(r *intent.Rule) []knob {
	var out []knob
	add := func(field, entry string, last *diag.Range, apply func(*model.Rule)) {
		k := knob{fmt.Sprintf("add %s to `%s`", entry, field), inside(r.At, fmt.Sprintf("%s: [%s], ", field, entry)), apply}
		if last != nil {
			k.edit = behind(*last, ", "+entry)
		}
		out = append(out, k)
	}
	lastText := func(list []intent.Value[string]) *diag.Range {
		if len(list) == 0 {
			return nil
		}
		return &list[len(list)-1].At
	}
	if !j.gateway {
		add("notFrom", j.name(), lastText(r.NotFrom), func(m *model.Rule) { m.NotPrincipals = append(slices.Clip(m.NotPrincipals), j.id) })
	}
	if !j.l7 {
		return out
	}
	add("notMethods", strconv.Quote(j.method), lastText(r.NotMethods), func(m *model.Rule) { m.NotMethods = append(slices.Clip(m.NotMethods), j.method) })
	var last *diag.Range
	if n := len(r.NotPaths); n > 0 {
		last = &r.NotPaths[n-1].At
	}
	add("notPaths", fmt.Sprintf("{exact: %s}", strconv.Quote(j.path)), last, func(m *model.Rule) {
		m.NotPaths = append(slices.Clip(m.NotPaths), model.PathMatch{Kind: model.Exact, Value: j.path})
	})
	return out
}
