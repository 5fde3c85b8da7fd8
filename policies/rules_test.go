package policies_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/expect"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/policies"
)

const rulesHead = "package policies\napiVersion: \"meshc.dev/policy/v1\"\n"

// inProcess is for rules that are known to be harmless.
var inProcess = load.RuleEvaluator{Options: load.Options{InProcess: true}}

// ruled gives a tree rules.
func ruled(tree *policies.Tree, text string) *policies.Tree {
	in := *tree.Intent
	in.Rules = []intent.RuleFile{{Path: "policies/a.cue", Data: []byte(rulesHead + text)}}
	return &policies.Tree{Intent: &in, Model: tree.Model}
}

func judged(t *testing.T, tree *policies.Tree) diag.List {
	t.Helper()
	got, err := policies.RulesOfMesh(t.Context(), tree.Intent, tree.Model, inProcess, now)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// lines writes diagnostics with their places; notes are left out.
func lines(all diag.List) string {
	var out []string
	for _, d := range all {
		if d.Severity > diag.Info {
			out = append(out, fmt.Sprintf("%s:%d %s %s", d.Range.File, d.Range.Start.Line, d.Code, d.Message))
		}
	}
	return strings.Join(out, "\n")
}

const ownedRule = `
rule: owned: {
	over: "mesh"
	why:  "somebody has to answer"
	deny: [for ref, s in mesh.service if s.owner == "" {message: "nobody owns it", service: ref}]
	EXEMPT
}
`

func TestRulesOverMeshes(t *testing.T) {
	exempt := func(until string) string {
		return strings.Replace(ownedRule, "EXEMPT", `exemptions: old: {service: "api", reason: "r", owner: "o", until: "`+until+`"}`, 1)
	}
	plain := strings.Replace(ownedRule, "EXEMPT", "", 1)
	orphan := []string{`owner: "team-api"`, ""}
	for _, c := range []struct {
		name, rules string
		edits       []string
		want        string
	}{
		{"kept", plain, nil, ""},
		{"violated, at the service", plain, orphan, `a.cue:5 MSH2190 rule "owned": nobody owns it`},
		{"exempt", exempt("2027-01-01T00:00:00Z"), orphan, ""},
		{"an exemption that has ended", exempt("2025-01-01T00:00:00Z"), orphan, "a.cue:5 MSH2190 rule \"owned\": nobody owns it\npolicies/a.cue:8 MSH2185 rule \"owned\": exemption \"old\" of service default/api has ended (2025-01-01T00:00:00Z)"},
		{"an exemption for nothing", exempt("2027-01-01T00:00:00Z"), nil, `policies/a.cue:8 MSH2184 rule "owned": nothing needs exemption "old" of service default/api`},
		{"at a route", `rule: r: {over: "mesh", warn: [for ref, s in mesh.service for r in s.routes for to in r.to if to.percent == 10 {message: "ten", service: ref, route: r.name}]}`, nil,
			`a.cue:11 MSH2190 rule "r": ten`},
		{"at a gateway's route", `rule: r: {over: "mesh", deny: [for ref, g in mesh.gateway for r in g.routes {message: "\(r.name) to \(r.service):\(r.servicePort)", gateway: ref, route: r.name}]}`, nil,
			`a.cue:19 MSH2190 rule "r": api/default to default/web:80`},
		{"at an external", `rule: r: {over: "mesh", deny: [for ref, e in mesh.external if e.tls.mode == "" {message: "plaintext to \(e.host)", external: ref}]}`, nil,
			`a.cue:18 MSH2190 rule "r": plaintext to cards.example.com`},
		{"of who is let in", `rule: r: {over: "mesh", deny: [for ref, s in mesh.service for a in s.allow for id in a.identities if id =~ "/sa/web$" {message: id, service: ref}]}`, nil,
			`a.cue:5 MSH2190 rule "r": spiffe://cluster.local/ns/default/sa/web`},
		{"of those who call", `rule: r: {over: "mesh", deny: [for ref, s in mesh.service for u in s.usedBy if mesh.service[u].owner != s.owner {message: "\(u) calls it", service: ref}]}`, nil,
			`a.cue:5 MSH2190 rule "r": default/web calls it`},
		{"of the present", `rule: r: {over: "mesh", deny: [if now > "2025" {message: now}]}`, nil,
			`policies/a.cue:3 MSH2190 rule "r": 2026-01-01T00:00:00Z`},
		{"over the change is not asked", `rule: r: {over: "change", deny: [{message: change.risk}]}`, nil, ""},
		{"by a helper", "import \"strings\"\n_mine: [for ref, s in mesh.service if strings.HasPrefix(s.owner, \"team-b\") {s}]\nrule: r: {over: \"mesh\", deny: [for s in _mine {message: s.host}]}", nil,
			`policies/a.cue:5 MSH2190 rule "r": batch.default.svc.cluster.local`},
		{"that counts", `rule: r: {over: "mesh", deny: [if len(mesh.service) > 2 {message: "\(len(mesh.service)) services, \(len(mesh.service["default/api"].routes)) routes"}]}`, nil,
			`policies/a.cue:3 MSH2190 rule "r": 3 services, 2 routes`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := c.rules
			if rest, ok := strings.CutPrefix(text, "import \"strings\"\n"); ok {
				text = rest
			}
			tree := ruled(compile(t, c.edits...), text)
			if strings.HasPrefix(c.rules, "import") {
				tree.Intent.Rules[0].Data = []byte(strings.Replace(rulesHead, "\n", "\nimport \"strings\"\n", 1) + text)
			}
			got := judged(t, tree)
			if lines(got) != c.want {
				t.Errorf("got\n%s\nwant\n%s", lines(got), c.want)
			}
			if !slices.ContainsFunc(got, func(d diag.Diagnostic) bool { return d.Code == diag.RuleUntested && d.Severity == diag.Info }) {
				t.Error("it is not noted that no test is for the rule")
			}
		})
	}
}

func TestRulesThatCannotBeRead(t *testing.T) {
	for _, c := range []struct{ name, rules, want string }{
		{"a field that there is not", "rule: r: {\n\tover: \"mesh\"\n\tdeny: [for ref, s in mesh.service if s.ownr == \"\" {message: \"m\"}]\n}", `policies/a.cue:5 MSH2191 mesh.service.* has no field "ownr"`},
		{"behind a condition that does not hold", "rule: r: {over: \"mesh\", deny: [if mesh.name == \"no\" for ref, s in mesh.service for r in s.routes if r.tiemout > 1 {message: \"m\"}]}", `policies/a.cue:3 MSH2191 mesh.service.*.routes.[] has no field "tiemout"`},
		{"in quotes", `rule: r: {over: "mesh", deny: [for ref, s in mesh.service if s["ownr"] == "" {message: "m"}]}`, `policies/a.cue:3 MSH2191 mesh.service.* has no field "ownr"`},
		{"asked whether it is there", `rule: r: {over: "mesh", deny: [for ref, s in mesh.service if s.owner == _|_ {message: "m"}]}`, "policies/a.cue:3 MSH2191 `_|_` tells nothing here: every field of the view is there, and a name that is misspelt would pass unseen"},
		{"asked by another name", `_h: s: mesh.service
rule: r: {over: "mesh", deny: [for ref, s in _h.s if s.ownr == _|_ {message: "m"}]}`, "policies/a.cue:4 MSH2191 `_|_` tells nothing here: every field of the view is there, and a name that is misspelt would pass unseen"},
		{"in an interpolation", `rule: r: {over: "mesh", deny: [for ref, s in mesh.service {message: "\(s.ownr)"}]}`, `policies/a.cue:3 MSH2191 mesh.service.* has no field "ownr"`},
		{"of the change", `rule: r: {over: "change", deny: [for e in change.entrys {message: "m"}]}`, `policies/a.cue:3 MSH2191 change has no field "entrys"`},
		{"by a helper", "_all: [for ref, s in mesh.service {s}]\nrule: r: {over: \"mesh\", deny: [for s in _all if s.ownr == \"\" {message: \"m\"}]}", `policies/a.cue:4 MSH2191 mesh.service.* has no field "ownr"`},
		{"over the mesh that reads the change", `rule: r: {over: "mesh", deny: [if change.risk == "high" {message: "m"}]}`, "policies/a.cue:3 MSH2191 rule \"r\" is over the mesh and reads `change`, which is there for a rule over the change alone"},
		{"over the mesh that asks the mesh before", "rule: r: {\n\tover: \"mesh\"\n\tdeny: [for ref, s in base.service {message: ref}]\n}", "policies/a.cue:5 MSH2191 rule \"r\" is over the mesh and reads `base`, which is there for a rule over the change alone"},
		{"over the mesh that reads the change by a helper", "_wide: [for a in change.access if a.gained {a}]\nrule: {\n\tc: {over: \"change\", deny: [for a in _wide {message: a.ref}]}\n\tr: {\n\t\tover: \"mesh\"\n\t\tdeny: [for a in _wide {message: a.ref}]\n\t}\n}", "policies/a.cue:8 MSH2191 rule \"r\" is over the mesh and reads `change`, which is there for a rule over the change alone"},
		{"over the mesh, written in two places", "rule: r: over: \"mesh\"\nrule: r: deny: [for e in change.entries {message: e.ref}]", "policies/a.cue:4 MSH2191 rule \"r\" is over the mesh and reads `change`, which is there for a rule over the change alone"},
		{"over the mesh, by a pattern", "rule: r: over: \"mesh\"\nrule: [string]: deny: [for e in change.entries {message: e.ref}]", "policies/a.cue:4 MSH2191 rule \"r\" is over the mesh and reads `change`, which is there for a rule over the change alone"},
		{"a test of a rule over the mesh that makes up a change", `rule: r: {over: "mesh", deny: []}
test: t: {rule: "r", view: change: risk: "high", says: []}`, "policies/a.cue:4 MSH2191 test \"t\" makes up `change`, which is there for a rule over the change alone"},
		{"by another name", `rule: r: {over: "mesh", deny: []}
_v: base: name: "x"
test: t: {rule: "r", view: _v, says: []}`, "policies/a.cue:5 MSH2191 test \"t\" makes up `base`, which is there for a rule over the change alone"},
		{"a test with two presents", `rule: r: {over: "mesh", deny: []}
test: t: {rule: "r", view: now: "2030-01-01T00:00:00Z", now: "2031-01-01T00:00:00Z", says: []}`, "policies/a.cue:4 MSH2191 test \"t\" says the present twice: `now`, and `now` of its `view`"},
		{"nothing to find", `rule: r: over: "mesh"`, `policies/a.cue:3 MSH2191 rule "r" has neither ` + "`deny` nor `warn`" + `, so that it never finds anything`},
		{"over nothing", `rule: r: deny: []`, `policies/a.cue:3 MSH1004 rule.r lacks the field "over"`},
		{"a misspelt field", `rule: r: {over: "mesh", dney: [], deny: []}`, `policies/a.cue:3 MSH1002 unknown field "dney" in rule.r`},
		{"a top-level name", `rules: r: {}`, `policies/a.cue:3 MSH2191 unknown top-level name "rules"`},
		{"what meshc gives", `mesh: name: "x"`, "policies/a.cue:3 MSH2191 `mesh` is what meshc gives rules to read"},
		{"a rule for each service", `for ref, s in mesh.service {rule: "\(ref)": {over: "mesh", deny: []}}`, "policies/a.cue:3 MSH2191 the top level of rules takes fields alone"},
		{"an exemption of nothing", `rule: r: {over: "mesh", deny: [], exemptions: e: {reason: "r", owner: "o", until: "2030-01-01T00:00:00Z"}}`, "policies/a.cue:3 MSH2191 rule \"r\": exemption \"e\" is for exactly one of `service`, `gateway` and `external`"},
		{"an exemption with three mistakes", "rule: r: {over: \"mesh\", deny: [], exemptions: e: {\n\tservice: \"api\"\n\treason: \" \"\n\towner: \"\"\n\tuntil: \"soon\"\n}}", "policies/a.cue:5 MSH2191 rule \"r\": exemption \"e\" needs a reason and an owner\npolicies/a.cue:6 MSH2191 rule \"r\": exemption \"e\" needs a reason and an owner\npolicies/a.cue:7 MSH2191 rule \"r\": exemption \"e\": \"soon\" is not an RFC 3339 time such as \"2026-12-01T00:00:00Z\""},
		{"a test of no rule", `rule: r: {over: "mesh", deny: []}
test: t: {rule: "x", view: {}, says: []}`, `policies/a.cue:4 MSH2191 test "t" is of rule "x", and there is none`},
		{"a test of nothing", `rule: r: {over: "mesh", deny: []}
test: t: {rule: "r", says: []}`, "policies/a.cue:4 MSH2191 test \"t\" says exactly one of `mesh` and `view`"},
		{"a view with a field that there is not", `rule: r: {over: "mesh", deny: []}
test: t: {rule: "r", view: mesh: service: "a/b": ownr: "x", says: []}`, `policies/a.cue:4 MSH2191 the view has no field "ownr" there`},
		{"a view of another kind", `rule: r: {over: "mesh", deny: []}
test: t: {rule: "r", view: mesh: service: "a/b": owner: 5, says: []}`, `policies/a.cue:4 MSH2191 test.t.view.mesh.service.a/b.owner: conflicting values 5 and string (mismatched types int and string)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := lines(judged(t, ruled(compile(t), c.rules))); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
	t.Run("without a version", func(t *testing.T) {
		tree := ruled(compile(t), "")
		for text, want := range map[string]string{
			"package policies\nrule: r: {over: \"mesh\", deny: []}":                                      "policies/a.cue:0 MSH2191 the rules do not say the version of the view that they read",
			"package policies\napiVersion: \"meshc.dev/policy/v2\"\nrule: r: {over: \"mesh\", deny: []}": `policies/a.cue:2 MSH2191 this meshc gives rules a view of version "meshc.dev/policy/v1" alone`,
			"package policies\nimport \"tool/exec\"\nrule: r: {over: \"mesh\", deny: [exec.x]}":          `policies/a.cue:2 MSH1008 import "tool/exec" is refused: rules import packages of CUE only`,
		} {
			tree.Intent.Rules[0].Data = []byte(text)
			if got := lines(judged(t, tree)); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		}
	})
}

// A hidden field says what all of its declarations say, wherever they stand: one
// that has a value where the view has none must not hide what the view has.
func TestRulesReadByFieldsOfSeveralDeclarations(t *testing.T) {
	owned := "rule: owned: {over: \"mesh\", deny: [for ref, s in HELPER if s.owner == \"\" {message: \"nobody owns it\", service: ref}]}\n"
	const more = `[string]: {owner: *"" | string, ...}`
	orphan := `a.cue:5 MSH2190 rule "owned": nobody owns it`
	for _, c := range []struct{ name, first, second, helper string }{
		{"the mesh", "_m: mesh\n", "_m: service: " + more + "\n", "_m.service"},
		{"the services", "_s: mesh.service\n", "_s: " + more + "\n", "_s"},
		{"a definition", "#M: mesh\n", "#M: service: " + more + "\n", "#M.service"},
		{"another name of the field", "X=_m: mesh\n_x: X\n", "_m: service: " + more + "\n", "_m.service"},
		{"embedded", "_m: {mesh}\n", "_m: service: " + more + "\n", "_m.service"},
		{"by another helper", "_m: mesh\n_s: _m.service\n", "_m: service: " + more + "\n", "_s"},
		{"twice the same", "_m: mesh\n", "_m: mesh\n", "_m.service"},
		{"in one expression", "_m: mesh & {service: " + more + "}\n", "", "_m.service"},
		{"by let", "let M = mesh\n_m: M\n", "_m: service: " + more + "\n", "_m.service"},
	} {
		for _, sides := range [][2]string{{c.first, c.second}, {c.second, c.first}} {
			for _, apart := range []bool{false, true} {
				t.Run(fmt.Sprint(c.name, " ", sides[0] == c.first, " ", apart), func(t *testing.T) {
					for _, tree := range []*policies.Tree{compile(t), compile(t, `owner: "team-api"`, "")} {
						rule := strings.Replace(owned, "HELPER", c.helper, 1)
						ruled := ruled(tree, rule+sides[0]+sides[1])
						if apart {
							ruled.Intent.Rules = []intent.RuleFile{{Path: "policies/a.cue", Data: []byte(rulesHead + rule + sides[0])}, {Path: "policies/b.cue", Data: []byte("package policies\n" + sides[1])}}
						}
						want := ""
						if tree.Model.Services[0].Owner == "" {
							want = orphan
						}
						if got := lines(judged(t, ruled)); got != want {
							t.Errorf("got\n%s\nwant\n%s", got, want)
						}
					}
				})
			}
		}
	}
	t.Run("a name that there is not", func(t *testing.T) {
		for _, text := range []string{"_m: mesh\n_m: service: [string]: {...}\n", "_m: service: [string]: {...}\n_m: mesh\n"} {
			got := lines(judged(t, ruled(compile(t), "rule: r: {over: \"mesh\", deny: [for ref, s in _m.service if s.ownr == _|_ {message: \"m\"}]}\n"+text)))
			if !strings.Contains(got, `policies/a.cue:3 MSH2191`) {
				t.Errorf("got\n%s", got)
			}
		}
	})
	t.Run("the change", func(t *testing.T) {
		for _, text := range []string{"_c: change\n_c: entries: [...{class: *\"\" | string, ...}]\n", "_c: {entries: [...{class: *\"\" | string, ...}], ...}\n_c: change\n"} {
			text += `rule: r: {over: "change", deny: [for e in _c.entries if e.class == "TUNE" {message: "tuned", service: e.ref}]}`
			got := change(t, compile(t), ruled(compile(t, `{v1: 90, v2: 10}`, `{v1: 90, v2: 10}, timeout: "7s"`), text))
			if want := `a.cue:5 MSH2190 rule "r": tuned`; lines(got) != want {
				t.Errorf("got\n%s\nwant\n%s", lines(got), want)
			}
		}
	})
}

func TestRulesThatCannotJudge(t *testing.T) {
	for _, c := range []struct{ name, rules, want string }{
		{"an entry that there is not", "rule: r: {\n\tover: \"mesh\"\n\tdeny: [if mesh.service[\"shop/x\"].owner == \"\" {message: \"m\"}]\n}", `policies/a.cue:5 MSH2192 rule "r" cannot be judged: undefined field: "shop/x"`},
		{"a finding of another form", `rule: r: {over: "mesh", deny: [for ref, s in mesh.service {mesage: "m"}]}`, ""},
		{"about something that there is not", `rule: r: {over: "mesh", deny: [{message: "m", service: "shop/x"}]}`, `policies/a.cue:3 MSH2192 rule "r" finds "m", which concerns service shop/x , and there is none`},
		{"about two things", `rule: r: {over: "mesh", deny: [{message: "m", service: "api", gateway: "edge"}]}`, "policies/a.cue:3 MSH2192 rule \"r\" finds \"m\", which concerns more than one of `service`, `gateway` and `external`"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := judged(t, ruled(compile(t), c.rules))
			if c.want != "" && lines(got) != c.want || !strings.Contains(lines(got), "MSH2192") || !got.HasErrors() {
				t.Errorf("got\n%s\nwant\n%s", lines(got), c.want)
			}
		})
	}
}

// A rule that asks for more than there is ends in an error that names its file.
func TestRulesThatNeverEnd(t *testing.T) {
	tree := ruled(compile(t), "import \"list\"\n")
	in := tree.Intent
	in.Rules = []intent.RuleFile{
		{Path: "policies/a.cue", Data: []byte(rulesHead + "rule: fine: {over: \"mesh\", deny: [for ref, s in mesh.service if s.owner == \"\" {message: \"m\"}]}")},
		{Path: "policies/bomb.cue", Data: []byte("package policies\nimport \"list\"\n_n: list.Range(0, 3000, 1)\nrule: bomb: {over: \"mesh\", deny: [for a in _n for b in _n for c in _n if a+b+c < 0 {message: \"m\"}]}")},
	}
	opts := load.RuleEvaluator{Options: load.Options{Limits: load.Limits{CPU: 2 * time.Second}}}
	got, err := policies.RulesOfMesh(t.Context(), in, tree.Model, opts, now)
	if err != nil || len(got) == 0 || got[0].Code != diag.EvaluationLimit || got[0].Range.File != "policies/bomb.cue" {
		t.Errorf("%v %v", err, got)
	}
}

func change(t *testing.T, before, after *policies.Tree) diag.List {
	t.Helper()
	got, err := policies.Compare(before, after, behave.Meshes(before.Model, after.Model), now).Rules(t.Context(), inProcess)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

const stepRule = `
rule: steps: {
	over: "change"
	deny: [for e in change.entries for s in e.shares if s.after-s.before > 20 {message: "\(s.to) from \(s.before) to \(s.after)", service: e.ref, route: e.route}]
	EXEMPT
}
`

func TestRulesOverChanges(t *testing.T) {
	plain := strings.Replace(stepRule, "EXEMPT", "", 1)
	step := []string{`{v1: 90, v2: 10}`, `{v1: 60, v2: 40}`}
	for _, c := range []struct {
		name, base, head string
		edits            []string
		want             string
	}{
		{"nothing", plain, plain, nil, ""},
		{"within", plain, plain, []string{`{v1: 90, v2: 10}`, `{v1: 80, v2: 20}`}, ""},
		{"beyond", plain, plain, step, `a.cue:11 MSH2190 rule "steps": v2 from 10 to 40`},
		{"exempt", plain, strings.Replace(stepRule, "EXEMPT", `exemptions: now: {service: "api", reason: "r", owner: "o", until: "2027-01-01T00:00:00Z"}`, 1), step, ""},
		{"of another route", plain, strings.Replace(stepRule, "EXEMPT", `exemptions: now: {service: "api", route: "beta", reason: "r", owner: "o", until: "2027-01-01T00:00:00Z"}`, 1), step,
			"a.cue:11 MSH2190 rule \"steps\": v2 from 10 to 40\npolicies/a.cue:7 MSH2184 rule \"steps\": nothing needs exemption \"now\" of route \"beta\" of service default/api"},
		{"the rule is taken away with it", plain, "", step, `a.cue:11 MSH2190 rule "steps" of BASE: v2 from 10 to 40`},
		{"the rule is loosened with it", plain, strings.Replace(plain, "> 20", "> 50", 1), step, `a.cue:11 MSH2190 rule "steps" of BASE: v2 from 10 to 40`},
		{"the rule becomes a warning with it", plain, strings.Replace(plain, "deny", "warn", 1), step, "a.cue:11 MSH2190 rule \"steps\" of BASE: v2 from 10 to 40\na.cue:11 MSH2190 rule \"steps\": v2 from 10 to 40"},
		{"the rule is written otherwise", plain, strings.Replace(plain, "from", "grows from", 1), step, `a.cue:11 MSH2190 rule "steps": v2 grows from 10 to 40`},
		{"the rule is new", "", plain, step, `a.cue:11 MSH2190 rule "steps": v2 from 10 to 40`},
		{"the rules of BASE were broken", "rule: r: 5", plain, step, ":0 MSH2191 the rules of BASE cannot be read, so that the change is not held against them\na.cue:11 MSH2190 rule \"steps\": v2 from 10 to 40"},
		{"who is let in", "", `rule: r: {over: "change", deny: [for a in change.access if a.gained {message: "\(a.way): \(a.words[0])", service: a.ref}]}`, []string{`, {methods: ["DELETE"]}`, ``},
			`a.cue:5 MSH2190 rule "r": caller: path not regex "/admin/.*", method DELETE`},
		{"by the owners of before", "", `rule: r: {over: "change", deny: [for ref, s in mesh.service if base.service[ref] != _|_ if base.service[ref].owner != s.owner {message: "was \(base.service[ref].owner)", service: ref}]}`, []string{`owner: "team-api"`, `owner: "team-x"`},
			`a.cue:5 MSH2190 rule "r": was team-api`},
		{"of a service that goes", "", `rule: r: {over: "change", deny: [for ref, s in base.service if mesh.service[ref] == _|_ {message: "gone", service: ref}]}`, []string{`service: batch: {owner: "team-batch", versions: v1: {}}`, ``},
			`policies/a.cue:3 MSH2190 rule "r": gone`},
		{"by class", "", `rule: r: {over: "change", warn: [for e in change.entries if e.class == "TUNE" {message: "\(e.risk) \(e.deltas[0].name) \(e.deltas[0].before) \(e.deltas[0].after)", service: e.ref}]}`, []string{`{v1: 90, v2: 10}`, `{v1: 90, v2: 10}, timeout: "7s"`},
			`a.cue:5 MSH2190 rule "r": low timeout 15s 7s`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := change(t, ruled(compile(t), c.base), ruled(compile(t, c.edits...), c.head))
			if lines(got) != c.want {
				t.Errorf("got\n%s\nwant\n%s", lines(got), c.want)
			}
		})
	}
}

func compileText(ctx context.Context, text string, at time.Time) (*policies.Tree, diag.List, error) {
	fsys, err := policies.Made(text)
	if err != nil {
		return nil, nil, err
	}
	res, err := compiler.Compile(ctx, fsys, compiler.Options{Now: at, Load: inProcess.Options})
	if err != nil {
		return nil, nil, err
	}
	return &policies.Tree{Intent: res.Intent, Model: res.Model}, res.Diags, nil
}

func TestTestsOfRules(t *testing.T) {
	plain := strings.Replace(ownedRule, "EXEMPT", "", 1) + strings.Replace(stepRule, "EXEMPT", "", 1)
	two := func(base, mesh string) string {
		const rest = `service: api: {ports: http: {number: 80, protocol: "http"}, versions: {v1: {}, v2: {}}, routes: all: to: TO}, service: web: {versions: v1: {}, uses: api: {}}`
		return fmt.Sprintf("base: #\"\"\"\n\t%s\n\t\"\"\"#\n\tmesh: #\"\"\"\n\t%s\n\t\"\"\"#", strings.Replace(rest, "TO", base, 1), strings.Replace(rest, "TO", mesh, 1))
	}
	for _, c := range []struct {
		name, test string
		want       expect.Verdict
		says       string
	}{
		{"of a view", `rule: "owned", view: mesh: service: "a/b": owner: "", says: [{service: "a/b", severity: "error", message: "nobody"}]`, expect.Holds, ""},
		{"of nothing in a view", `rule: "owned", view: mesh: service: "a/b": owner: "x", says: []`, expect.Holds, ""},
		{"which says something else", `rule: "owned", view: mesh: service: "a/b": owner: "", says: [{service: "a/c"}]`, expect.Fails, "says: want service a/c, and it does not say that; says: error, service a/b, \"nobody owns it\", which the test does not list"},
		{"which says more", `rule: "owned", view: mesh: service: {"a/b": {}, "a/c": {}}, says: [{}]`, expect.Fails, "which the test does not list"},
		{"paired as it can be", `rule: "owned", view: mesh: service: {"a/b": {}, "a/c": {}}, says: [{}, {service: "a/b"}]`, expect.Holds, ""},
		{"of a mesh", "rule: \"owned\", mesh: \"\"\"\n\tservice: api: versions: v1: {}\n\t\"\"\", says: [{service: \"api\"}]", expect.Holds, ""},
		{"of a mesh that does not compile", "rule: \"owned\", mesh: \"service: api: ownr: 1\", says: []", expect.Unknown, "`mesh` does not compile: MSH1002 line 1: unknown field"},
		{"of a change", "rule: \"steps\"\n\t" + two("v1: 100", "{v1: 50, v2: 50}") + "\n\tsays: [{service: \"api\", route: \"all\", message: \"v2 from 0 to 50\"}]", expect.Holds, ""},
		{"of a change of nothing", "rule: \"steps\"\n\t" + two("v1: 100", "{v1: 90, v2: 10}") + "\n\tsays: []", expect.Holds, ""},
		{"of a part of a change", `rule: "steps", view: {mesh: service: "a/b": routes: [{name: "r"}], change: entries: [{ref: "a/b", route: "r", shares: [{to: "v2", after: 30}]}]}, says: [{route: "r"}]`, expect.Holds, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := ruled(compile(t), plain+"test: t: {"+c.test+"}")
			r, diags, err := policies.TestRules(t.Context(), tree.Intent, compileText, inProcess, nil)
			if err != nil || diags.HasErrors() || len(r.Results) != 1 {
				t.Fatalf("%v %v %v", err, diags, r)
			}
			got := r.Results[0]
			if all := strings.Join(append(got.Unmet, got.Unknown...), "; "); got.Verdict != c.want || !strings.Contains(all, c.says) {
				t.Errorf("%s: %s", got.Verdict, all)
			}
		})
	}
}
