package load

import "testing"

// TestTenMistakesGiveTenDiagnostics plants every kind of mistake of shape in
// one service; each is reported once, at the user's place, and none hides
// another.
func TestTenMistakesGiveTenDiagnostics(t *testing.T) {
	fsys := meshFS("shop/reviews.cue", `package mesh

service: reviews: {
	owner: 3
	ports: http: {number: 9080, protocol: "htp"}
	ports: admin: number: 99999
	ports: "Bad.Name": {number: 1, protocol: "http"}
	uzi: 3
	zzz: {}
	retry: {attempts: 1, perTry: 2}
	routes: all: {to: v1: 100, retries: attempts: 2}
	routes: rest: {to: v1: 100, match: [{path: {exact: "/a", prefix: "/b"}}, {method: ["GET", 3]}]}
	routes: odd: {to: v1: number, timeout: string}
	security: mtls: "strct"
	security: allow: [{from: 3}]
}
`)
	m, diags := inProcess(t, fsys)
	want(t, diags,
		"shop/reviews.cue:4:9-10 MSH1003",
		"shop/reviews.cue:5:40-45 MSH1003",
		"shop/reviews.cue:6:9-14 MSH1004",
		"shop/reviews.cue:6:24-29 MSH1003",
		"shop/reviews.cue:7:9-19 MSH1022",
		"shop/reviews.cue:8:2-5 MSH1002",
		"shop/reviews.cue:9:2-5 MSH1002",
		"shop/reviews.cue:10:2-7 MSH1002",
		"shop/reviews.cue:11:29-36 MSH1004",
		"shop/reviews.cue:12:39-43 MSH1006",
		"shop/reviews.cue:12:84-94 MSH1003",
		"shop/reviews.cue:13:24-30 MSH1013",
		"shop/reviews.cue:13:41-47 MSH1013",
		"shop/reviews.cue:14:18-25 MSH1003",
		"shop/reviews.cue:15:27-28 MSH1003",
	)
	if len(m.Services) != 0 {
		t.Errorf("a service with mistakes is in the mesh: %+v", m.Services[0])
	}
}

func TestMistakesAndNearMisses(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  []string
	}{
		"an unknown top-level name": {
			[]string{"a.cue", "package mesh\nservise: a: {}\n"},
			[]string{"a.cue:2:1-8 MSH1005"},
		},
		"a definition and a hidden field beside the entries are free": {
			[]string{"a.cue", "package mesh\n#D: owner: \"a\"\n_h: 1\nservice: a: #D\n"},
			nil,
		},
		"a namespace of the wrong type": {
			[]string{"a.cue", "package mesh\nnamespace: 3\n"},
			[]string{"a.cue:2:12-13 MSH1003"},
		},
		"service that is no struct": {
			[]string{"a.cue", "package mesh\nservice: 3\n"},
			[]string{"a.cue:2:10-11 MSH1003"},
		},
		"a syntax error": {
			[]string{"a.cue", "package mesh\nservice: a: {\n"},
			[]string{"a.cue:2:15-15 MSH1001"},
		},
		"a syntax error leaves other directories judged": {
			[]string{"a/a.cue", "package mesh\nservice: a: {\n", "b/b.cue", "package mesh\nservice: b: ownr: \"x\"\n"},
			[]string{"a/a.cue:2:15-15 MSH1001", "b/b.cue:2:13-17 MSH1002"},
		},
		"a reference to nothing": {
			[]string{"a.cue", "package mesh\nservice: a: #Nosuch\n"},
			[]string{"a.cue:2:13-13 MSH1024"},
		},
		"two places that disagree": {
			[]string{"a.cue", "package mesh\nservice: [string]: owner: \"a\"\n", "b/b.cue", "package mesh\nservice: x: owner: \"b\"\n"},
			[]string{"b/b.cue:2:20-23 MSH1012"},
		},
		"two places that agree": {
			[]string{"a.cue", "package mesh\nservice: [string]: owner: \"a\"\n", "b/b.cue", "package mesh\nservice: x: owner: \"a\"\n"},
			nil,
		},
		"a service named again below its home": {
			[]string{"a.cue", "package mesh\nservice: x: owner: \"a\"\n", "b/b.cue", "package mesh\nservice: x: host: \"x.y\"\n"},
			[]string{"b/b.cue:2:10-11 MSH1007"},
		},
		"one name in two directories side by side": {
			[]string{"a/a.cue", "package mesh\nservice: x: namespace: \"a\"\n", "b/b.cue", "package mesh\nservice: x: namespace: \"b\"\n"},
			nil,
		},
		"an import of another module": {
			[]string{"a.cue", "package mesh\nimport \"example.com/other\"\nservice: a: owner: other.x\n"},
			[]string{"a.cue:2:8-27 MSH1008"},
		},
		"an import that acts on the machine": {
			[]string{"a.cue", "package mesh\nimport \"tool/exec\"\nservice: a: owner: \"\\(exec.Run)\"\n"},
			[]string{"a.cue:2:8-19 MSH1008"},
		},
		"an import of the same module and of the standard library": {
			[]string{
				"a.cue", "package mesh\nimport (\n\t\"strings\"\n\t\"shop.example/mesh/defs\"\n)\nservice: a: owner: strings.ToLower(defs.Owner)\n",
				"defs/defs.cue", "package defs\nOwner: \"TEAM\"\n",
			},
			nil,
		},
		"a package that nothing imports": {
			[]string{"msh/a.cue", "package msh\nservice: a: {}\n"},
			[]string{"msh/a.cue:1:9-12 MSH1018"},
		},
		"a file without a package": {
			[]string{"a.cue", "service: a: {}\n"},
			[]string{"a.cue:0:0-0 MSH1018"},
		},
		"attributes that read the outside": {
			[]string{"a.cue", "package mesh\nservice: a: owner: string @tag(owner)\n"},
			[]string{"a.cue:2:20-26 MSH1013", "a.cue:2:27-38 MSH1009"},
		},
		"mesh below the root": {
			[]string{"b/b.cue", "package mesh\nmesh: mtls: \"permissive\"\n"},
			[]string{"b/b.cue:2:1-5 MSH1025"},
		},
		"a bad name of a service": {
			[]string{"a.cue", "package mesh\nservice: \"a.b\": {}\n"},
			[]string{"a.cue:2:10-15 MSH1022"},
		},
		"a symbolic name that is an unused import": {
			[]string{"a.cue", "package mesh\nimport \"list\"\nservice: a: {}\n"},
			[]string{"a.cue:2:8-8 MSH1001"},
		},
		"a required field under a misspelt name is one mistake": {
			[]string{"a.cue", "package mesh\nservice: a: ports: http: {numbr: 80, protocol: \"http\"}\n"},
			[]string{"a.cue:2:27-32 MSH1002"},
		},
		"a required field and a name that is not meant for it are two": {
			[]string{"a.cue", "package mesh\nservice: a: ports: http: {weight: 80, protocol: \"http\"}\n"},
			[]string{"a.cue:2:20-24 MSH1004", "a.cue:2:27-33 MSH1002"},
		},
		"a default of the user's": {
			[]string{"a.cue", "package mesh\nservice: [string]: owner: *\"a\" | string\n", "b/b.cue", "package mesh\nservice: x: {}\n"},
			nil,
		},
		"YAML that is no intent": {
			[]string{"b/values.yaml", "replicas: 3\n"},
			[]string{"b/values.yaml:0:0-0 MSH1023"},
		},
		"the file of meshc up": {
			[]string{"local.yaml", "apps: {}\n"},
			nil,
		},
		"YAML that does not parse": {
			[]string{"a.yaml", "service:\n  a: {\n"},
			[]string{"a.yaml:2:1-1 MSH1001"},
		},
		"several YAML documents of intent unify": {
			[]string{"a.yaml", "service:\n  a: {}\n---\nservice:\n  b: {}\n"},
			nil,
		},
		"several YAML documents of something else": {
			[]string{"a.yaml", "kind: A\n---\nspec:\n  service: x\n"},
			[]string{"a.yaml:0:0-0 MSH1023"},
		},
		"a mistake in YAML": {
			[]string{"a.yaml", "service:\n  a:\n    ownr: team\n"},
			[]string{"a.yaml:3:5-9 MSH1002"},
		},
		"a mistake in JSON": {
			[]string{"a.json", "{\n  \"service\": {\"a\": {\"owner\": 3}}\n}\n"},
			[]string{"a.json:2:30-31 MSH1003"},
		},
		"a definition of the user's that does not allow a field": {
			[]string{"a.cue", "package mesh\n#D: {owner: \"a\"}\nservice: a: #D & {host: \"a.b\"}\n"},
			[]string{"a.cue:3:19-23 MSH1002"},
		},
		"an unfinished value without any other mistake": {
			[]string{"a.cue", "package mesh\nservice: a: owner: string\n"},
			[]string{"a.cue:2:20-26 MSH1013"},
		},
		"a bound of the user's": {
			[]string{"a.cue", "package mesh\nservice: [string]: owner: =~\"^team-\"\n", "b/b.cue", "package mesh\nservice: x: owner: \"me\"\n"},
			[]string{"b/b.cue:2:20-24 MSH1012"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, diags := inProcess(t, meshFS(c.files...))
			want(t, diags, c.want...)
		})
	}
}

func TestWithoutAModule(t *testing.T) {
	fsys := meshFS()
	delete(fsys, moduleFile)
	_, diags := inProcess(t, fsys)
	want(t, diags, ":0:0-0 MSH1014")
}

func TestUnboundSchemaIsAWarningAndStillJudges(t *testing.T) {
	fsys := meshFS()
	fsys["mesh.cue"].Data = []byte("package mesh\nservice: a: ownr: \"x\"\n")
	_, diags := inProcess(t, fsys)
	want(t, diags, "mesh.cue:2:1-8 MSH1021", "mesh.cue:2:13-17 MSH1002")
}
