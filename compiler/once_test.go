package compiler_test

import (
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler/emit/xds"
)

// What a list says twice is reported, and makes no resource that proxies refuse.
func TestAnEncodingIsListedTwice(t *testing.T) {
	res := compile(t, map[string]string{"a.cue": `package mesh

service: a: {ports: http: {number: 80, protocol: "http"}, versions: v1: {}, compression: encodings: ["br", "gzip", "br"]}
gateway: g: {listeners: http: {port: 80, protocol: "http"}, routes: all: to: "a", compression: encodings: ["zstd", "zstd"]}
`, "mesh.cue": `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals

mesh: proxy: "envoy"
`})
	if res.Model == nil {
		t.Fatal(res.Diags)
	}
	if got := res.Model.Services[0].Compression.Encodings; !slices.Equal(got, []string{"br", "gzip"}) {
		t.Errorf("a service has %q", got)
	}
	all := xds.DefaultWorkloads(res.Model)
	for _, w := range all {
		if _, err := xds.Emit(res.Model, w, all, xds.Options{Now: now}); err != nil {
			t.Errorf("%s: %v", w.ID, err)
		}
	}
}
