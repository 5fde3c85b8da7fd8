package load

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// reviewsMesh is a mesh whose root constrains and whose leaves are written in
// every way that CUE and YAML have.
func reviewsMesh() fstest.MapFS {
	return meshFS(
		"limits.cue", `package mesh

#Slow: timeout: "3s"
service: [string]: routes: [string]: timeout?: =~"^[0-9]+s$"
service: [=~"^x"]: routes: [string]: timeout: "4s"
service: [=~"^rev"]: owner: =~"^team"
service: [string]: security: mtls: *"strict" | string
mesh: name: "m"
`,
		"defs/d.cue", "package defs\n#Base: {timeout: \"7s\", ...}\n",
		"prod/shop/a.cue", `package mesh

import "shop.example/mesh/defs"

service: reviews: {
	owner: "team-a"
	ports: http: {number: 80, protocol: "http"}
	routes: {
		base: defs.#Base & {to: v1: 100}
		rest: {#Slow, to: {v1: 90, v2: 10}, match: [{headers: "x.y": exact: "j"}, {method: ["GET", "PUT"]}]}
		both: {to: v1: 100, timeout: string & "9s"}
		none: to: v1: 100
		wrong: {to: v1: 100, timeout: "1h"}
	}
	if true {host: "h"}
	for i in [1, 2] {versions: "v\(i)": {}}
}
`,
		"stage/y.yaml", "namespace: st\nservice:\n  reviews: {owner: \"team-b\"}\n",
	)
}

func explained(x *Explanation) string {
	var b strings.Builder
	for _, e := range x.Entries {
		fmt.Fprintf(&b, "%s/%s in %s%s\n", e.Namespace, e.Name, e.Home, e.Lacks)
		for _, s := range e.Settings {
			fmt.Fprintf(&b, "%s=%s|%s|%s\n", s.Path, s.Value, s.Default, s.Conflict)
			for _, p := range s.Places {
				fmt.Fprintf(&b, " %s %s-%d %s\n", p.Role, p.Range, p.Range.End.Col, p.Text)
			}
		}
	}
	return b.String()
}

func TestExplainField(t *testing.T) {
	const limit = " constrains limits.cue:4:48-61 =~\"^[0-9]+s$\"\n"
	for field, want := range map[string]string{
		"default/reviews.owner": "default/reviews in prod/shop\nservice.reviews.owner=\"team-a\"||\n" +
			" sets prod/shop/a.cue:6:9-17 \"team-a\"\n constrains limits.cue:6:29-38 =~\"^team\"\n",
		"st/reviews.owner": "st/reviews in stage\nservice.reviews.owner=\"team-b\"||\n" +
			" sets stage/y.yaml:3:20-28 \"team-b\"\n constrains limits.cue:6:29-38 =~\"^team\"\n",
		"default/reviews.routes.rest.timeout": "default/reviews in prod/shop\nservice.reviews.routes.rest.timeout=\"3s\"||\n" +
			" sets limits.cue:3:17-21 \"3s\"\n" + limit,
		"default/reviews.routes.base.timeout": "default/reviews in prod/shop\nservice.reviews.routes.base.timeout=\"7s\"||\n" +
			" sets defs/d.cue:2:18-22 \"7s\"\n" + limit,
		"default/reviews.routes.both.timeout": "default/reviews in prod/shop\nservice.reviews.routes.both.timeout=\"9s\"||\n" +
			" sets prod/shop/a.cue:11:32-45 string & \"9s\"\n" + limit,
		"default/reviews.routes.none.timeout": "default/reviews in prod/shop\nservice.reviews.routes.none.timeout=|\"15s\"|\n" + limit,
		"default/reviews.routes.wrong.timeout": "default/reviews in prod/shop\nservice.reviews.routes.wrong.timeout=||invalid value \"1h\" (out of bound =~\"^[0-9]+s$\")\n" +
			" sets prod/shop/a.cue:13:33-37 \"1h\"\n" + limit,
		"default/reviews.routes.rest.match[0].headers.\"x.y\".exact": "default/reviews in prod/shop\n" +
			"service.reviews.routes.rest.match.0.headers.\"x.y\".exact=\"j\"||\n sets prod/shop/a.cue:10:71-74 \"j\"\n",
		"default/reviews.routes.rest.match.1.method": "default/reviews in prod/shop\n" +
			"service.reviews.routes.rest.match.1.method=[\"GET\",\"PUT\"]||\n sets prod/shop/a.cue:10:86-100 [\"GET\", \"PUT\"]\n",
		"default/reviews.host": "default/reviews in prod/shop\nservice.reviews.host=\"h\"||\n sets prod/shop/a.cue:15:17-20 \"h\"\n",
		"st/reviews.security.mtls": "st/reviews in stage\nservice.reviews.security.mtls=\"strict\"||\n" +
			" default limits.cue:7:36-54 *\"strict\" | string\n",
		"st/reviews.routes.rest.timeout": "st/reviews in stageservice.reviews.routes has no \"rest\"\n",
		"default/reviews.versions.v2.labels": "default/reviews in prod/shop\n" +
			"service.reviews.versions.v2.labels=|{version: \"<name of the version>\"}|\n",
	} {
		x, _, err := Explain(t.Context(), reviewsMesh(), Options{InProcess: true}, "service."+field)
		if err != nil {
			t.Errorf("%s: %v", field, err)
			continue
		}
		if d := cmp.Diff(want, explained(x)); d != "" {
			t.Errorf("%s (-want +got):\n%s", field, d)
		}
	}
}

// TestExplainInAChild holds that the answer survives the pipe.
func TestExplainInAChild(t *testing.T) {
	for _, field := range []string{"service.reviews", "mesh", "mesh.name"} {
		here, _, err := Explain(t.Context(), reviewsMesh(), Options{InProcess: true}, field)
		if err != nil {
			t.Fatal(err)
		}
		there, _, err := Explain(t.Context(), reviewsMesh(), Options{}, field)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(here, there); d != "" || len(here.Entries) == 0 {
			t.Error(d)
		}
	}
}

func TestExplainWhatIsNotThere(t *testing.T) {
	for field, want := range map[string]string{
		"service.rviews.owner":         `the mesh has no service "rviews"; did you mean "reviews"?`,
		"service.shop/reviews.owner":   `the mesh has no service "shop/reviews"; did you mean "reviews"?`,
		"service.reviews.ownr":         `no field "service.reviews.ownr": service.* has no "ownr"; did you mean "owner"?`,
		"gateway.g":                    `the mesh has no gateway "g"`,
		"servce.reviews":               `no field "servce.reviews": the top level has no "servce"; did you mean "service"?`,
		"service.Reviews":              `no field "service.Reviews": "Reviews" cannot be a name in service`,
		"service":                      `field "service": no entry is named`,
		"service.reviews.":             `field "service.reviews.": a label is empty`,
		`service."x`:                   `field "service.\"x": a quoted label does not end`,
		"service.reviews.routes[x].to": `field "service.reviews.routes[x].to": an index is [n]`,
	} {
		_, _, err := Explain(t.Context(), reviewsMesh(), Options{InProcess: true}, field)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", field, err, want)
		}
	}
	var missing *NoEntryError
	if _, _, err := Explain(t.Context(), reviewsMesh(), Options{InProcess: true, Dir: "stage"}, "service.default/reviews"); !errors.As(err, &missing) {
		t.Errorf("an entry outside the selection: %v", err)
	}
}

// TestExplainABrokenMesh holds that a file that does not parse gives no answer
// about entries that may be in it, and does not hide others.
func TestExplainABrokenMesh(t *testing.T) {
	fsys := meshFS("a/a.cue", "package mesh\nservice: a: {\n", "b/b.cue", "package mesh\nservice: b: ownr: 1\nservice: b: owner: \"x\"\n")
	x, diags, err := Explain(t.Context(), fsys, Options{InProcess: true}, "service.a.owner")
	if x != nil || err != nil || !diags.HasErrors() {
		t.Errorf("%v %v %v", x, diags, err)
	}
	x, _, err = Explain(t.Context(), fsys, Options{InProcess: true}, "service.b.owner")
	if err != nil || x.Entries[0].Settings[0].Value != `"x"` {
		t.Errorf("%+v %v", x, err)
	}
}

func TestPathsComeBack(t *testing.T) {
	for _, p := range [][]string{{"service", "a", "routes"}, {"service", "a/b", "match", "0", "x.y", "q\"[", ""}, {"*"}} {
		got, err := ParsePath(FormatPath(p))
		if d := cmp.Diff(p, got); d != "" || err != nil {
			t.Errorf("%q: %v %s", FormatPath(p), err, d)
		}
	}
}

// TestEveryFieldIsDocumented walks the whole language: each field that users
// write has words, and its path is found as a user may write it.
func TestEveryFieldIsDocumented(t *testing.T) {
	var walk func(p []string, s *shape)
	count := 0
	walk = func(p []string, s *shape) {
		count++
		path := strings.Join(p, ".")
		f, err := Describe(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if f.Path != path {
			t.Errorf("%s is found as %s", path, f.Path)
		}
		if f.Doc == "" && p[len(p)-1] != Wildcard {
			t.Errorf("%s has no documentation", path)
		}
		for s.element != nil {
			s = s.element
		}
		if s.isMap() {
			walk(append(p[:len(p):len(p)], Wildcard), s.entry)
			return
		}
		for _, name := range s.names {
			walk(append(p[:len(p):len(p)], name), s.fields[name])
		}
	}
	for _, name := range language().names {
		walk([]string{name}, language().fields[name])
	}
	if count < 80 {
		t.Errorf("%d fields", count)
	}
}
