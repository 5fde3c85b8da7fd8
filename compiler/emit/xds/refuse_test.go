package xds_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// TestWhatEnvoyWouldRefuseIsAnError: emit names the workload, the resource and
// the field, whichever way resources are asked for.
func TestWhatEnvoyWouldRefuseIsAnError(t *testing.T) {
	m := bookinfo()
	reviews := m.Service(shop("reviews"))
	reviews.Routes[0].Match[0].Headers[0] = model.NamedMatch{Name: "end-user", Kind: model.Regex, Value: "a(b"}
	all := xds.DefaultWorkloads(m)
	for _, w := range all {
		if w.Service != shop("productpage") {
			continue
		}
		_, emitted := xds.Emit(m, w, all, xds.Options{Now: now})
		_, booted := xds.StaticBootstrap(m, w, all, xds.BootstrapOptions{AgentSocket: "/run/agent.sock", Now: now})
		r, err := xds.NewRenderer(m, all, xds.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		for way, err := range map[string]error{"emit": emitted, "bootstrap": booted, "render": r.Render(&bytes.Buffer{}, w)} {
			if err == nil {
				t.Fatalf("%s takes it", way)
			}
			for _, want := range []string{"workload shop/productpage.v1-0", "virtual_hosts[0].routes[0].match.headers[0].string_match.safe_regex", `"a(b"`} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want %q", way, err, want)
				}
			}
		}
	}
}
