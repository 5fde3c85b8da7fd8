package compiler_test

import "testing"

// A limit that a template left empty closes a rule; it never opens it.
func TestEmptyLimitsOfAnAllowRuleLetNobodyIn(t *testing.T) {
	for _, limit := range []string{"methods: []", "paths: []"} {
		res := compile(t, map[string]string{"a.cue": `package mesh

service: a: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: {}
	security: allow: [{from: ["*"], ` + limit + `}]
}
`})
		if res.Model == nil {
			t.Fatal(res.Diags)
		}
		if got := res.Model.Services[0].Allow; len(got) != 0 {
			t.Errorf("%s lets in %+v", limit, got)
		}
	}
}
