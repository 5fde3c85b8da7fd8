package expect_test

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/expect"
)

const copying = `
service: web: {ports: http: {number: 80, protocol: "http"}, versions: v1: {}, uses: api: {}}
service: jobs: {ports: http: {number: 80, protocol: "http"}, versions: v1: {}, uses: api: {}}
service: api: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: {}
	routes: {
		seen: {from: ["web", "direct"], match: [{path: prefix: "/seen"}], to: v1: 100, mirror: [{to: "shadow", percent: 1}]}
		rest: to: v1: 100
	}
	security: deny: [{paths: [{prefix: "/seen"}]}]
}
service: shadow: {ports: http: {number: 80, protocol: "http"}, versions: v1: {}, uses: store: {}}
service: store: {ports: http: {number: 80, protocol: "http"}, versions: v1: {}}
gateway: edge: {listeners: web: {port: 8080, protocol: "http"}, routes: all: to: "web"}
gateway: direct: {listeners: web: {port: 8081, protocol: "http"}, routes: all: to: "api"}
mesh: {proxy: "envoy", expect: EXPECT}
`

// TestCopiesAreCalls: who copies requests to a service reaches it, whatever
// becomes of the requests.
func TestCopiesAreCalls(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{services: ["shadow"], notReachedFrom: ["web"]}`, "fails notReachedFrom: default/web calls default/shadow"},
		{`{services: ["store"], notReachedFrom: ["web"]}`, "fails notReachedFrom: default/web calls default/shadow calls default/store"},
		{`{services: ["store"], notReachedFrom: ["web"], exceptThrough: ["shadow"]}`, "holds"},
		{`{services: ["shadow"], notReachedFrom: ["jobs"]}`, "holds"}, // its requests take another route
		{`{services: ["shadow"], notReachedFrom: ["edge"], exceptThrough: ["web"]}`, "holds"},
		{`{services: ["shadow"], notReachedFrom: ["direct"], exceptThrough: ["api"]}`, "fails notReachedFrom: default/direct calls default/shadow"},
	} {
		res := compile(t, strings.Replace(copying, "EXPECT", "{one: "+c.text+"}", 1))
		got := expect.Run(res.Intent, res.Model, expect.Options{Now: now}).Results[0]
		if said := strings.TrimSpace(string(got.Verdict) + " " + strings.Join(got.Unmet, "; ")); said != c.want {
			t.Errorf("%s:\n  %s, want %s\n  %+v", c.text, said, c.want, got)
		}
		if last := len(got.Chain) - 1; last >= 0 && got.Chain[last] == "default/shadow" && (got.Request == "" || got.RuleAt == "" || got.Replay != "") {
			t.Errorf("%s: %+v", c.text, got)
		}
	}
}
