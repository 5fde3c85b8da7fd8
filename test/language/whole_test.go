package language

import (
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/soak"
	"github.com/meshc/meshc/test/stock"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// Each field of the schema is written by at least one mesh in a hundred:
// wholeLeast of the wholeMeshes that a soak tries, which has a part of its own to
// count them. A short run tries a part.
const (
	wholeMeshes = 2000
	wholeLeast  = 20
	wholeShort  = 42
)

// neverWritten are fields that no mesh without a diagnostic writes, or that are
// not of the mesh.
var neverWritten = append([]string{"namespace", "mesh.traffic.health.grpc", "mesh.raw"}, notForExternals...)

// TestWholeLanguage: random meshes over the whole schema vet without errors,
// Envoy validates what each proxy gets, meshc-proxy decodes it where it serves
// the mesh, and grpc-go takes what applications get that read xDS themselves.
func TestWholeLanguage(t *testing.T) {
	envoy := stock.Envoy(t)
	w := &wholeRun{t: t, merged: newBatch(), envoy: envoy}
	seeds := make(chan uint64)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for seed := range seeds {
				w.mesh(seed)
			}
		})
	}
	from, to := soak.Seeds(t, wholeShort, wholeMeshes)
	for seed := from; seed < to; seed++ {
		seeds <- seed
	}
	close(seeds)
	group.Wait()
	w.flush(w.merged)
	t.Logf("seeds %d to %d: %d meshes, %d services, %d proxies in %d Envoy runs, %d gRPC channels", from, to-1, to-from, w.services, w.proxies, w.runs, w.channels)
}

// TestWholeWritesEveryField: the fields alone are counted, in a soak of all
// meshes, otherwise of as many as it takes to see each.
func TestWholeWritesEveryField(t *testing.T) {
	least, most := 1, uint64(400)
	if soak.On() {
		least, most = wholeLeast, wholeMeshes
	}
	writers := map[string]int{}
	for _, f := range load.SchemaFields() {
		if f.Leaf && !isNeverWritten(f.Field) {
			writers[f.Field] = 0
		}
	}
	missing := len(writers)
	for seed := uint64(0); seed < most && (missing > 0 || soak.On()); seed++ {
		for _, f := range written(t, seed) {
			n, counts := writers[f]
			if !counts {
				continue
			}
			if writers[f] = n + 1; n+1 == least {
				missing--
			}
		}
	}
	for _, f := range slices.Sorted(maps.Keys(writers)) {
		if n := writers[f]; n < least {
			t.Errorf("%d of %d meshes of gen.Whole write %s, want %d", n, most, f, least)
		} else if n < 2*least && soak.On() {
			t.Logf("%d of %d meshes write %s", n, most, f)
		}
	}
}

func isNeverWritten(field string) bool {
	return slices.ContainsFunc(neverWritten, func(p string) bool { return strings.HasPrefix(field, p) })
}

func written(t *testing.T, seed uint64) []string {
	t.Helper()
	fields, diags, err := load.Written(t.Context(), gen.Whole(seed).FS())
	if err != nil || diags.HasErrors() {
		t.Fatal(seed, err, diags)
	}
	return fields
}

// wholeRun collects what is seen of the meshes.
type wholeRun struct {
	t     *testing.T
	envoy string

	mu       sync.Mutex
	merged   *batch
	services int
	proxies  int
	runs     int
	channels int
}

func (w *wholeRun) mesh(seed uint64) {
	g := gen.Whole(seed)
	res, err := compiler.Compile(w.t.Context(), g.FS(), compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil {
		w.t.Errorf("seed %d: %v", seed, err)
		return
	}
	if res.Model == nil {
		for _, d := range res.Diags {
			if d.Severity == diag.Error {
				w.t.Errorf("seed %d: %s: %s %s", seed, d.Range, d.Code, d.Message)
			}
		}
		return
	}
	all := xds.DefaultWorkloads(res.Model)
	apps := 0
	for i, one := range all {
		one.Locality = model.PlaceOf([]string{"eu/a/1", "eu/b", "us/east", "*"}[i%4])
	}
	for _, one := range all {
		if one.Role == model.RoleGRPC {
			apps++
			continue
		}
		if gen.ForMeshc(seed) {
			for _, err := range refusals(w.t, res.Model, one, all) {
				w.t.Errorf("seed %d: %s: meshc-proxy refuses: %v", seed, one.NodeID(), err)
			}
		}
		w.add(seed, res.Model, one, all)
	}
	if apps > 0 {
		w.count(func() { w.channels += channels(w.t, res.Model, all) })
	}
	w.count(func() { w.services += len(res.Model.Services) })
}

func (w *wholeRun) count(add func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	add()
}

// add puts a proxy to the others that Envoy validates together.
func (w *wholeRun) add(seed uint64, m *model.Mesh, one *model.Workload, all []*model.Workload) {
	boot, err := xds.StaticBootstrap(m, one, all, xds.BootstrapOptions{AgentSocket: "/run/meshc/agent.sock", Now: now})
	if err != nil {
		w.t.Errorf("seed %d: %v", seed, err)
		return
	}
	var full *batch
	w.mu.Lock()
	w.proxies++
	if err := w.merged.add(seed, one.NodeID(), boot); err != nil {
		w.t.Errorf("seed %d: %s: %v", seed, one.NodeID(), err)
	}
	if w.merged.full() {
		full, w.merged = w.merged, newBatch()
	}
	w.mu.Unlock()
	if full != nil {
		w.flush(full)
	}
}

// flush has Envoy validate a batch. What it refuses is looked for among the
// proxies of the batch.
func (w *wholeRun) flush(b *batch) {
	if len(b.single) == 0 {
		return
	}
	w.count(func() { w.runs++ })
	out, err := envoyValidates(w.t, w.envoy, b.config(w.t))
	if err == nil {
		return
	}
	found := 0
	for name, boot := range b.single {
		if one, err := envoyValidates(w.t, w.envoy, toJSON(w.t, boot)); err != nil {
			w.t.Errorf("%s: envoy refuses: %v\n%s", name, err, one)
			if found++; found == 3 {
				return
			}
		}
	}
	if found == 0 {
		w.t.Errorf("envoy refuses %d proxies together, and none alone: %v\n%s", len(b.single), err, out)
	}
}
