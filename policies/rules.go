package policies

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
	"github.com/meshc/meshc/policies/view"
)

// What a rule is over.
const (
	overMesh   = "mesh"
	overChange = "change"
)

// Evaluator reads and asks rules; load.RuleEvaluator is one. Its errors are about running an
// evaluation, and its lists say what is wrong with the rules.
type Evaluator interface {
	Read(ctx context.Context, files []intent.RuleFile) (*intent.RuleBook, diag.List, error)
	Judge(ctx context.Context, files []intent.RuleFile, book *intent.RuleBook, runs []intent.RuleRun) ([][]intent.RuleVerdict, diag.List, error)
}

// rules are those that lie beside a mesh, read.
type rules struct {
	files     []intent.RuleFile
	book      *intent.RuleBook
	evaluator Evaluator
	diags     diag.List // what is wrong with them
}

// readRules reads the rules of a mesh; nil where there are none.
func readRules(ctx context.Context, in *intent.Mesh, evaluator Evaluator) (*rules, error) {
	if in == nil || len(in.Rules) == 0 {
		return nil, nil
	}
	book, diags, err := evaluator.Read(ctx, in.Rules)
	if err != nil {
		return nil, err
	}
	r := &rules{files: in.Rules, book: book, evaluator: evaluator, diags: diags}
	r.check()
	return r, nil
}

// check adds what is wrong with exemptions and tests.
func (r *rules) check() {
	over := map[string]string{}
	for _, rule := range r.book.Rules {
		over[rule.Name.V] = rule.Over
		for _, e := range rule.Exemptions {
			check.ExemptionForm(e, func(_ diag.Code, at diag.Range, why string) {
				r.diags.Add(diag.New(diag.BadRule, at, "rule %q: exemption %q%s", rule.Name.V, e.Name.V, why))
			})
		}
	}
	for _, t := range r.book.Tests {
		if why := badTest(t, over[t.Rule.V]); why != "" {
			r.diags.Add(diag.New(diag.BadRule, t.Name.At, "test %q %s", t.Name.V, why))
		}
	}
}

// untested notes the rules that no test is for.
func (r *rules) untested() diag.List {
	var out diag.List
	for _, rule := range r.book.Rules {
		if !slices.ContainsFunc(r.book.Tests, func(t *intent.RuleTest) bool { return t.Rule.V == rule.Name.V }) {
			out.Add(diag.New(diag.RuleUntested, rule.Name.At, "no test is for rule %q", rule.Name.V))
		}
	}
	return out
}

// over gives the names of the rules over something.
func (r *rules) over(what string) []string {
	var out []string
	for _, rule := range r.book.Rules {
		if rule.Over == what {
			out = append(out, rule.Name.V)
		}
	}
	return out
}

// judge asks rules what they find in a view, which is made of what they read.
// Whatever a rule cannot tell of the parts that it reads, it is asked again with
// all of the view, so that no error comes of what was left out. What ran into a
// limit or broke would do so again.
func (r *rules) judge(ctx context.Context, names []string, of func(*intent.Reads) *view.View) ([]intent.RuleVerdict, error) {
	verdicts, err := r.ask(ctx, names, of, r.book.Reads)
	if err != nil {
		return nil, err
	}
	failed := func(v intent.RuleVerdict) bool { return len(v.Failed) > 0 }
	if slices.ContainsFunc(verdicts, failed) && !slices.ContainsFunc(verdicts, brokeOff) {
		return r.ask(ctx, names, of, &intent.Reads{All: true})
	}
	return verdicts, nil
}

// brokeOff says that no answer of the evaluation is known.
func brokeOff(v intent.RuleVerdict) bool {
	return slices.ContainsFunc(v.Failed, func(d diag.Diagnostic) bool { return d.Code == diag.EvaluationLimit || d.Code == diag.EvaluationCrash })
}

func (r *rules) ask(ctx context.Context, names []string, of func(*intent.Reads) *view.View, reads *intent.Reads) ([]intent.RuleVerdict, error) {
	data, err := of(reads).Encode(reads)
	if err != nil {
		return nil, err
	}
	return r.verdicts(ctx, intent.RuleRun{Rules: names, View: data})
}

// verdicts are those of the rules of a run, in their order. What kept all of them
// from being judged is said once, of the first.
func (r *rules) verdicts(ctx context.Context, run intent.RuleRun) ([]intent.RuleVerdict, error) {
	all, diags, err := r.evaluator.Judge(ctx, r.files, r.book, []intent.RuleRun{run})
	if err != nil {
		return nil, err
	}
	if diags.HasErrors() {
		return []intent.RuleVerdict{{Rule: run.Rules[0], Failed: diags}}, nil
	}
	var got []intent.RuleVerdict
	if len(all) == 1 {
		got = all[0]
	}
	out := make([]intent.RuleVerdict, len(run.Rules))
	for i, name := range run.Rules {
		at := slices.IndexFunc(got, func(v intent.RuleVerdict) bool { return v.Rule == name })
		if at >= 0 {
			out[i] = got[at]
			continue
		}
		out[i] = intent.RuleVerdict{Rule: name, Failed: diag.List{diag.New(diag.RuleFailed, r.rule(name).Name.At, "rule %q: the evaluation says nothing of it", name)}}
	}
	return out, nil
}

// RulesOfMesh holds a mesh against the rules over meshes that lie beside it, as
// of now: what they find, what is wrong with them and with their tests, and with
// exemptions.
func RulesOfMesh(ctx context.Context, in *intent.Mesh, m *model.Mesh, evaluator Evaluator, now time.Time) (diag.List, error) {
	r, err := readRules(ctx, in, evaluator)
	if r == nil || err != nil {
		return nil, err
	}
	out := append(slices.Clone(r.diags), r.untested()...)
	names := r.over(overMesh)
	for _, rule := range r.book.Rules {
		if p := ruled(rule); rule.Over == overChange && p != nil {
			out = append(out, p.ended(now)...)
		}
	}
	if r.diags.HasErrors() || len(names) == 0 {
		out.Sort()
		return out, nil
	}
	verdicts, err := r.judge(ctx, names, func(*intent.Reads) *view.View { return &view.View{Now: view.Moment(now), Mesh: view.OfMesh(m)} })
	if err != nil {
		return nil, err
	}
	for i := range verdicts {
		v := &verdicts[i]
		out = append(out, v.Failed...)
		p := ruled(r.rule(v.Rule))
		found, failed := p.found(v, nil, m)
		out = append(append(out, failed...), p.violations(found, now, nil)...)
		out = append(out, p.ended(now)...)
		if len(v.Failed)+len(failed) == 0 {
			out = append(out, p.unused(func(*exemption) bool { return true }, now)...)
		}
	}
	out.Sort()
	return out, nil
}

func (r *rules) rule(name string) *intent.PolicyRule {
	i := slices.IndexFunc(r.book.Rules, func(rule *intent.PolicyRule) bool { return rule.Name.V == name })
	return r.book.Rules[i]
}

// ruled gives a rule as a policy. Its exemptions are those that can be read.
func ruled(rule *intent.PolicyRule) *policy {
	p := &policy{name: rule.Name.V, severity: diag.Error, in: &intent.Policy{}, at: rule.Name.At, rule: true, why: rule.Why}
	for _, x := range rule.Exemptions {
		sound := true
		check.ExemptionForm(x, func(diag.Code, diag.Range, string) { sound = false })
		if e, err := readExemption(x); err == nil && sound {
			p.exemptions = append(p.exemptions, e)
		}
	}
	return p
}

// found are the findings of a rule, with their places in the mesh after, or
// before. What concerns nothing that there is cannot be told of.
func (p *policy) found(v *intent.RuleVerdict, before, after *model.Mesh) ([]finding, diag.List) {
	var out []finding
	var failed diag.List
	for i := range v.Found {
		f := &v.Found[i]
		one := finding{code: diag.RuleFinding, text: f.Message, help: f.Help, warn: f.Warn}
		if f.Route != "" {
			one.routes = []string{f.Route}
		}
		if why := one.concerns(f, before, after); why != "" {
			failed.Add(diag.New(diag.RuleFailed, p.at, "rule %q finds %q, which %s", p.name, literal.Clip(f.Message), why))
			continue
		}
		out = append(out, one)
	}
	return out, failed
}

// concerns finds what a finding is about, and says why it cannot.
func (f *finding) concerns(of *intent.RuleFinding, before, after *model.Mesh) string {
	named := 0
	for kind, name := range map[behave.Kind]string{behave.ServiceKind: of.Service, behave.GatewayKind: of.Gateway, behave.ExternalKind: of.External} {
		if name != "" {
			named++
			f.of = behave.Name{Kind: kind, Ref: literal.Ref(name, scope.DefaultNamespace)}
		}
	}
	switch {
	case named > 1:
		return "concerns more than one of `service`, `gateway` and `external`"
	case named == 0 && of.Route != "":
		return fmt.Sprintf("concerns route %q of nothing", of.Route)
	case named == 0:
		return ""
	}
	at, ok := placeIn(after, f.of, of.Route)
	_, was := placeIn(before, f.of, of.Route)
	f.at = at
	if !ok && !was {
		return fmt.Sprintf("concerns %s %s %s, and there is none", f.of.Kind, f.of.Ref, of.Route)
	}
	return ""
}

// placeIn is where a mesh says something; ok is false where it does not.
func placeIn(m *model.Mesh, of behave.Name, route string) (at model.Origin, ok bool) {
	if m == nil {
		return at, false
	}
	named := map[string]model.Origin{}
	switch of.Kind {
	case behave.ServiceKind:
		s := m.Service(of.Ref)
		if s == nil {
			return at, false
		}
		named[""] = s.Origin
		for _, r := range s.Routes {
			named[r.Name] = r.Origin
		}
	case behave.GatewayKind:
		g := m.Gateway(of.Ref)
		if g == nil {
			return at, false
		}
		named[""] = g.Origin
		for i := range g.Listeners {
			for _, h := range g.Listeners[i].Hosts {
				for _, r := range h.Routes {
					own, _, _ := strings.Cut(r.Name, "/")
					named[r.Name], named[own] = r.Origin, r.Origin
				}
			}
		}
	default:
		e := m.External(of.Ref)
		if e == nil {
			return at, false
		}
		named[""] = e.Origin
	}
	if at, ok = named[route]; at.IsZero() {
		at = named[""] // nobody wrote the route
	}
	return at, ok
}

// Rules holds the change against the rules over changes of both trees: those of
// after with their exemptions, and those of before, with theirs, as far as they
// find what those of after do not.
func (c *Comparison) Rules(ctx context.Context, evaluator Evaluator) (diag.List, error) {
	before, after := c.before.Intent, c.after.Intent
	head, err := readRules(ctx, after, evaluator)
	if err != nil {
		return nil, fmt.Errorf("the tree after: %w", err)
	}
	base := head
	if before == nil || after == nil || !slices.EqualFunc(before.Rules, after.Rules, sameFile) {
		if base, err = readRules(ctx, before, evaluator); err != nil {
			return nil, fmt.Errorf("the tree before: %w", err)
		}
	}
	judged := &ruledChange{change: c.change}
	if err := judged.head(ctx, head, base, before != nil); err != nil {
		return nil, err
	}
	if err := judged.base(ctx, head, base); err != nil {
		return nil, err
	}
	judged.out.Sort()
	return judged.out, nil
}

// ruledChange is a change that rules judge.
type ruledChange struct {
	*change
	shown map[string]bool // what rules of after found, whether or not it is exempt
	out   diag.List
}

// view gives what rules read, as far as they do.
func (c *ruledChange) view(reads *intent.Reads) *view.View {
	out := &view.View{Now: view.Moment(c.now), Mesh: view.OfMesh(c.after)}
	if reads.Kid("base") != nil {
		out.Base = view.OfMesh(c.before)
	}
	var all []*behave.Access
	if seen := reads.Kid("change"); seen.Kid("access") != nil || seen.Kid("unknown") != nil {
		all = c.admissions()
	}
	out.Change = view.OfChange(c.report, all)
	return out
}

// key of a finding, so that a rule that is kept says it once.
func key(rule string, f *finding, error bool) string {
	return fmt.Sprint(rule, "\x00", f.of, "\x00", strings.Join(f.routes, ","), "\x00", error)
}

func (c *ruledChange) head(ctx context.Context, head, base *rules, known bool) error {
	c.shown = map[string]bool{}
	if head == nil {
		return nil
	}
	names := head.over(overChange)
	if head.diags.HasErrors() || len(names) == 0 {
		c.out = append(c.out, head.diags...)
		return nil
	}
	verdicts, err := head.judge(ctx, names, c.view)
	if err != nil {
		return err
	}
	had := map[string]bool{}
	if base != nil {
		for _, rule := range base.book.Rules {
			for what := range exemptionsOf([]*policy{ruled(rule)}) {
				had[rule.Name.V+" "+what] = true
			}
		}
	}
	for i := range verdicts {
		v := &verdicts[i]
		p := ruled(head.rule(v.Rule))
		found, failed := p.found(v, c.before, c.after)
		for i := range found {
			c.shown[key(v.Rule, &found[i], false)] = true
			c.shown[key(v.Rule, &found[i], true)] = c.shown[key(v.Rule, &found[i], true)] || !found[i].warn
		}
		c.out = append(append(append(c.out, v.Failed...), failed...), p.violations(found, c.now, nil)...)
		if known && len(v.Failed)+len(failed) == 0 {
			c.out = append(c.out, p.unused(func(e *exemption) bool { return !had[v.Rule+" "+e.what()] }, c.now)...)
		}
	}
	return nil
}

// base adds what the rules of before find beyond those of after. They are in
// another tree, so nothing is said with a place in theirs.
func (c *ruledChange) base(ctx context.Context, head, base *rules) error {
	if base == nil || base == head {
		return nil
	}
	if base.diags.HasErrors() {
		d := diag.New(diag.BadRule, diag.Range{}, "the rules of BASE cannot be read, so that the change is not held against them")
		d.Severity = diag.Warning
		c.out.Add(d)
		return nil
	}
	names := base.over(overChange)
	if len(names) == 0 {
		return nil
	}
	verdicts, err := base.judge(ctx, names, c.view)
	if err != nil {
		return err
	}
	for i := range verdicts {
		v := &verdicts[i]
		p := ruled(base.rule(v.Rule))
		p.old = true
		found, failed := p.found(v, c.before, c.after)
		for _, d := range append(v.Failed, failed...) {
			c.out.Add(diag.New(d.Code, diag.Range{}, "of BASE: %s", d.Message))
		}
		found = slices.DeleteFunc(found, func(f finding) bool { return c.shown[key(v.Rule, &f, !f.warn)] })
		c.out = append(c.out, p.violations(found, c.now, nil)...)
	}
	return nil
}

func sameFile(a, b intent.RuleFile) bool { return a.Path == b.Path && bytes.Equal(a.Data, b.Data) }
