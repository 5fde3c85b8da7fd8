package language

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/target"
)

// TestServedRowsAreAccepted: for each row of the capability table that
// meshc-proxy serves there is an archive that writes it, all of which
// TestMeshcProxyDecodes has meshc-proxy decode.
func TestServedRowsAreAccepted(t *testing.T) {
	accepted := map[string]bool{}
	for _, a := range archives(t) {
		if a.envoyOnly() {
			continue
		}
		fields, diags, err := load.Written(t.Context(), a.fsys)
		if err != nil || diags.HasErrors() {
			t.Fatal(a.name, err, diags)
		}
		for _, f := range fields {
			if row := target.Find(f); row != nil {
				accepted[row.Field] = true
			}
		}
	}
	for _, row := range target.Table {
		if row.Served&target.Meshc != 0 && row.Side != target.Nobody && !accepted[row.Field] {
			t.Errorf("%s: meshc-proxy is said to serve it, and no archive that it decodes writes it", row.Field)
		}
	}
}

// unserved writes a field of each row that meshc-proxy does not serve, in place
// of FIELD, and says what its decoders call it.
var unserved = map[string]struct{ place, field, refusal string }{}

// TestUnservedRowsAreRefused: a mesh that writes a field which meshc-proxy does
// not serve is an error of vet where meshc-proxy would have to serve it; compiled
// for Envoy, its decoders refuse the resource by name; and without the field
// they take all of it.
func TestUnservedRowsAreRefused(t *testing.T) {
	for _, row := range target.Table {
		c, known := unserved[row.Field]
		if served := row.Served&target.Meshc != 0; served == known {
			t.Errorf("%s: served by meshc-proxy: %v; a mesh here that it refuses: %v", row.Field, served, known)
			continue
		}
		if !known {
			continue
		}
		t.Run(row.Field, func(t *testing.T) {
			if err := refusedBy(t, placed("envoy", c.place, "")); err != nil {
				t.Errorf("without the field: %v", err)
			}
			if err := refusedBy(t, placed("envoy", c.place, c.field)); err == nil || !strings.Contains(err.Error(), c.refusal) {
				t.Errorf("meshc-proxy says %v, want %q: correct compiler/target if it serves it", err, c.refusal)
			}
			res := compiled(t, placed("meshc", c.place, c.field))
			if !slices.ContainsFunc(res.Diags, func(d diag.Diagnostic) bool { return d.Code == diag.NotServed }) {
				t.Errorf("vet says nothing of it: %v", res.Diags)
			}
		})
	}
	for field := range unserved {
		if target.FindRow(field) == nil {
			t.Errorf("%s is no row", field)
		}
	}
}

// placed is a mesh of one caller, one service, one external and one gateway, of
// which one has a field more.
func placed(proxy, place, field string) fstest.MapFS {
	at := func(p string) string {
		if p == place {
			return field
		}
		return ""
	}
	text := fmt.Sprintf(`package mesh

mesh: {
	proxy: %q
	%s
}
service: web: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: {}
	uses: {shop: {}, bank: {}}
}
service: shop: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: {
		%s
	}
	%s
}
external: bank: {
	host: "bank.example"
	ports: http: {number: 80, protocol: "http"}
	%s
}
external: logs: {
	host: "logs.example"
	ports: otlp: {number: 4317, protocol: "grpc"}
}
gateway: edge: {
	listeners: web: {port: 8080, protocol: "http"}
	routes: all: {to: "shop", port: "http"}
	%s
}
`, proxy, at("mesh"), at("version"), at("service"), at("external"), at("gateway"))
	return fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte(moduleCUE)},
		"mesh.cue":           {Data: []byte(rootCUE)},
		"a.cue":              {Data: []byte(text)},
	}
}

func compiled(t *testing.T, fsys fstest.MapFS) *compiler.Result {
	t.Helper()
	res, err := compiler.Compile(t.Context(), fsys, compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range res.Diags {
		// HASH stands for the one that vet prints.
		if hash := newHash.FindStringSubmatch(d.Help); hash != nil && strings.Contains(string(fsys["a.cue"].Data), "HASH") {
			fsys["a.cue"] = &fstest.MapFile{Data: []byte(strings.Replace(string(fsys["a.cue"].Data), "HASH", hash[1], 1))}
			return compiled(t, fsys)
		}
	}
	return res
}

// refusedBy is what meshc-proxy's decoders say of the mesh, nil if they take
// all of it.
func refusedBy(t *testing.T, fsys fstest.MapFS) error {
	t.Helper()
	res := compiled(t, fsys)
	if res.Model == nil {
		t.Fatal(res.Diags)
	}
	all := xds.DefaultWorkloads(res.Model)
	for _, w := range all {
		if w.Role == model.RoleGRPC {
			continue
		}
		if refused := refusals(t, res.Model, w, all); len(refused) > 0 {
			return refused[0]
		}
	}
	return nil
}
