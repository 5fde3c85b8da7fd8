package xds

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/model"
)

// TestUnheldPaths: the first route that takes a path has switched off what the path,
// or one above it, is left out of; and nothing else.
func TestUnheldPaths(t *testing.T) {
	all := []string{"/a", "/a/b", "/a/b/c", "/ab", "/b", "/b/a"}
	below := func(p string, list []string) bool {
		return slices.ContainsFunc(list, func(q string) bool { return p == q || strings.HasPrefix(p, q+"/") })
	}
	dice := rand.New(rand.NewPCG(1, 2))
	some := func() []string {
		return slices.DeleteFunc(slices.Clone(all), func(string) bool { return dice.IntN(2) == 0 })
	}
	for range 500 {
		c := &model.Compression{Encodings: []string{"br", "gzip"}, NotPaths: some()}
		b := &model.Buffer{MaxBytes: 1, NotPaths: some()}
		routes, err := unheld(everything("in", "in", &routev3.RouteAction{}), c, b)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range append(slices.Clone(all), "/", "/a/b/c/d", "/abc", "/b/a/x", "/z") {
			i := slices.IndexFunc(routes, func(r *routev3.Route) bool {
				prefix := r.GetMatch().GetPathSeparatedPrefix()
				return r.GetMatch().GetPrefix() == "/" || prefix != "" && (p == prefix || strings.HasPrefix(p, prefix+"/"))
			})
			if i < 0 {
				t.Fatalf("no route takes %s: %v", p, routes)
			}
			off := routes[i].GetTypedPerFilterConfig()
			for name, want := range map[string]bool{compressPrefix + "br": below(p, c.NotPaths), compressPrefix + "gzip": below(p, c.NotPaths), bufferFilter: below(p, b.NotPaths)} {
				if got := off[name] != nil; got != want {
					t.Fatalf("%s: %s is off: %v, with compression not for %v and the buffer not for %v", p, name, got, c.NotPaths, b.NotPaths)
				}
			}
			if routes[i].GetRoute().GetCluster() != "in" {
				t.Fatalf("%s does not go on", p)
			}
		}
	}
}
