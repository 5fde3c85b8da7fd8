package policies_test

import (
	"testing"

	"github.com/meshc/meshc/policies"
)

const (
	apiHost = `service: api: {`
	// kept is api by another name, for whoever asks for the host that it had.
	kept     = `service: api2: {host: "api.default.svc.cluster.local", serviceAccount: "api"`
	usesAPI  = `uses: api: {}`
	usesAPI2 = `uses: api2: {}`
)

// TestRenamedIsHeldAgainstBase: by another name, by another host or as another kind
// of thing, what is there already is no new thing that nothing is held against.
func TestRenamedIsHeldAgainstBase(t *testing.T) {
	for _, kind := range []struct {
		policy string
		ways   []way
	}{
		{`access: {}`, []way{
			{"a service", []string{apiHost, kept, usesAPI, usesAPI2}, ""},
			{"and everybody is let in", []string{apiHost, kept, usesAPI, usesAPI2, `from: ["web"]`, `from: ["*"]`}, "MSH2181"},
			{"and a denial is gone", []string{apiHost, kept, usesAPI, usesAPI2, `, {methods: ["DELETE"]}`, ``}, "MSH2181"},
			{"its host as well", []string{apiHost, `service: api2: {serviceAccount: "api"`, usesAPI, usesAPI2, `from: ["web"]`, `from: ["*"]`}, "MSH2181"},
			{"its host alone", []string{apiHost, apiHost + `host: "api.example"`, `from: ["web"]`, `from: ["*"]`}, "MSH2181"},
			{"an external", []string{`external: cards`, `external: pay`}, ""},
			{"an external, called by one more", []string{`external: cards`, `external: pay`, usesAPI, `uses: {api: {}, pay: {}}`}, "MSH2181"},
			{"an owner who approves", []string{apiHost, kept, usesAPI, usesAPI2, `from: ["web"]`, `from: ["*"]`,
				"", `mesh: policies: it: exemptions: all: {owner: "team-api", service: "api2", reason: "asked for", until: "2026-02-01T00:00:00Z"}`}, ""},
			{"somebody else who approves", []string{apiHost, kept, usesAPI, usesAPI2, `from: ["web"]`, `from: ["*"]`, `owner: "team-api"`, `owner: "team-web"`,
				"", `mesh: policies: it: exemptions: all: {owner: "team-web", service: "api2", reason: "asked for", until: "2026-02-01T00:00:00Z"}`}, "MSH2181"},
		}},
		{`mtls: {}`, []way{
			{"a service", []string{apiHost, kept, usesAPI, usesAPI2}, ""},
			{"and plaintext is taken", []string{apiHost, kept, usesAPI, usesAPI2, `security: {`, `security: {mtls: "permissive",`}, "MSH2180"},
		}},
		{`freeze: windows: peak: {from: "2025-12-20T00:00:00Z", until: "2026-01-02T00:00:00Z"}`, []way{
			{"a service", []string{apiHost, kept, usesAPI, usesAPI2}, ""},
		}},
		{`canary: maxStep: 10`, []way{
			{"a service, and a large step", []string{apiHost, kept, usesAPI, usesAPI2, `{v1: 90, v2: 10}`, `{v1: 50, v2: 50}`}, "MSH2179"},
		}},
	} {
		for _, w := range kind.ways {
			t.Run(kind.policy+"/"+w.name, func(t *testing.T) {
				rule := []string{"", "mesh: policies: it: {" + kind.policy + "}"}
				before, after := compile(t, rule...), compile(t, append(rule, w.edits...)...)
				hold(t, before, after, w.want)
				held, err := policies.Guards{Access: kind.policy == `access: {}`, MTLS: kind.policy == `mtls: {}`}.Hold(before.Model, after, now)
				if kind.policy == `access: {}` || kind.policy == `mtls: {}` {
					if err != nil || compact(codes(held)) != w.want {
						t.Errorf("guards: %v %v; want %q", err, held, w.want)
					}
				}
			})
		}
	}
}

// TestRenamedGatewayIsHeldAgainstBase: whom a gateway keeps out it keeps out by
// another name.
func TestRenamedGatewayIsHeldAgainstBase(t *testing.T) {
	gateway := func(name, allow string) *policies.Tree {
		return compile(t, "", `mesh: policies: it: access: {}`, "", `service: web: security: allow: [{from: ["`+name+`"]}]`,
			`gateway: edge: {`, `gateway: `+name+`: {serviceAccount: "edge", security: allow: [`+allow+`], `)
	}
	narrow, wide := `{methods: ["GET"]}`, `{methods: ["GET", "POST"]}`
	hold(t, gateway("edge", narrow), gateway("door", narrow), "")
	hold(t, gateway("edge", wide), gateway("door", narrow), "")
	hold(t, gateway("edge", narrow), gateway("door", wide), "MSH2181")
}
