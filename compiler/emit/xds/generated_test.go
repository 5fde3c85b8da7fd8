package xds_test

import (
	"os"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/stock"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// meshes is how many generated meshes are tried: 200 with MESHC_SOAK=1.
func meshes() uint64 {
	if os.Getenv("MESHC_SOAK") == "1" {
		return 200
	}
	return 10
}

// compiled is the model of a generated mesh, which must have no errors.
func compiled(t *testing.T, seed uint64) *model.Mesh {
	t.Helper()
	return compiledMesh(t, seed, gen.Mesh(seed))
}

func compiledMesh(t *testing.T, seed uint64, g *gen.Generated) *model.Mesh {
	t.Helper()
	res, err := compiler.Compile(t.Context(), g.FS(), compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if res.Model == nil {
		for _, d := range res.Diags {
			t.Errorf("seed %d: %s %s: %s", seed, d.Range, d.Code, d.Message)
		}
		t.FailNow()
	}
	return res.Model
}

// TestEnvoyValidates: Envoy and meshc-proxy accept what generated CUE compiles
// to. In a short run a few proxies of each mesh are tried, in a soak all.
func TestEnvoyValidates(t *testing.T) {
	envoy := stock.Envoy(t)
	slots := make(chan struct{}, 2)
	var wait sync.WaitGroup
	defer wait.Wait()
	for seed := range meshes() {
		m := compiled(t, seed)
		all := xds.DefaultWorkloads(m)
		for i, w := range all {
			if meshes() < 200 && i%4 != int(seed)%4 {
				continue
			}
			decodes(t, m, w, all)
			config := staticJSON(t, m, w, all)
			slots <- struct{}{}
			wait.Go(func() {
				defer func() { <-slots }()
				stock.Accepts(t, envoy, w.NodeID(), config)
			})
		}
	}
}

// TestEnvoyValidatesWhatOnlyItServes: Envoy accepts what generated CUE compiles
// to that meshc-proxy does not serve.
func TestEnvoyValidatesWhatOnlyItServes(t *testing.T) {
	envoy := stock.Envoy(t)
	for seed := range meshes() {
		m := compiledMesh(t, seed, gen.ForEnvoy(seed))
		all := xds.DefaultWorkloads(m)
		for i, w := range all {
			if meshes() < 200 && i%4 != int(seed)%4 {
				continue
			}
			stock.Accepts(t, envoy, w.NodeID(), staticJSON(t, m, w, all))
		}
	}
}

// What proxies share depends on nothing that only one of them has, whatever
// field says it: whole meshes write every field.
func TestRenderedIsEmittedOfWholeMeshes(t *testing.T) {
	judged := uint64(0)
	for seed := range meshes() {
		res, err := compiler.Compile(t.Context(), gen.Whole(seed).FS(), compiler.Options{Now: now, Load: load.Options{InProcess: true}})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if res.Model == nil { // that they are all sound is for the tests of what draws them
			continue
		}
		judged++
		checkRendered(t, res.Model, xds.DefaultWorkloads(res.Model))
	}
	if judged < meshes()/2 {
		t.Errorf("only %d of %d meshes have a model", judged, meshes())
	}
}
