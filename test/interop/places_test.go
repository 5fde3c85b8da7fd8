package interop

import (
	"io"
	"net/http"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// placesMesh has callers in eu/a, and services that run in three places.
const placesMesh = `package mesh

let Plain = {
	ports: http: {number: 9080, protocol: "http"}
	security: {mtls: "disable", allow: [{from: ["*"]}]}
}
service: web: {versions: v1: {}, uses: {ladder: {}, share: {}, aware: {}, split: {}}}
service: tester: {versions: v1: {}, uses: split: {}}
service: ladder: Plain & {
	versions: v1: {}
	traffic: {locality: mode: "failover", outliers: {consecutive5xx: 3, ejection: "300s", maxPercent: 100}}
}
service: share: Plain & {
	versions: v1: {}
	traffic: locality: {mode: "distribute", distribute: [{from: "eu/a", to: {"eu/a": 70, eu: 20, us: 10}}]}
}
service: aware: Plain & {
	versions: v1: {}
	traffic: {locality: {mode: "zoneAware", minCluster: 1}, outliers: {consecutive5xx: 3, maxPercent: 50}}
}
service: split: Plain & {
	versions: {v1: {}, v2: {}}
	routes: {beta: {from: ["tester"], to: v2: 100}, rest: to: v1: 100}
}
`

// Proxies of both kinds go to the places that a caller in eu/a is given: the next of the order
// only when the one before is left out, each place by its share, and a route
// that is for one caller is not another's.
func TestPlaces(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) { placesOf(t, k) })
	}
}

// placesOf gives every kind of proxy a bed of its own: in which places callers run
// decides who goes where.
func placesOf(t *testing.T, k kind) {
	b := newBed(t, compileFS(t, fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue": {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\n" +
			"gateway: m.#Gateways\nexternal: m.#Externals\nmesh: proxy: \"envoy\"\n")},
		"a.cue": {Data: []byte(placesMesh)},
	}))
	instance := func(service, version, id, place string) {
		b.application(ref(service), version, id, b.backends.start(t, id, nil))
		b.placed[id].Locality = model.PlaceOf(place)
	}
	for _, service := range []string{"ladder", "share"} {
		for name, place := range map[string]string{"local": "eu/a", "near": "eu/b", "far": "us/east"} {
			instance(service, "v1", service+"-"+name, place)
		}
	}
	instance("aware", "v1", "aware-local", "eu/a")
	instance("aware", "v1", "aware-near", "eu/b")
	instance("aware", "v1", "aware-far-0", "us/east")
	instance("aware", "v1", "aware-far-1", "us/east")
	instance("split", "v1", "split-v1", "eu/a")
	instance("split", "v2", "split-v2", "eu/a")
	for id, place := range map[string]string{"web-1": "eu/a", "web-2": "eu/a", "web-3": "us/east"} {
		b.place(&model.Workload{ID: id, Role: model.RoleSidecar, Service: ref("web"), Version: "v1", Locality: model.PlaceOf(place)}, "")
	}
	b.sidecar(ref("web"), "v1", k, "").Locality = model.PlaceOf("eu/a")
	b.sidecar(ref("tester"), "v1", k, "").Locality = model.PlaceOf("eu/a")
	b.run()

	t.Run("order", func(t *testing.T) { b.ladder(t, k) })
	n := scale(1000, 20_000)
	t.Run("shares", func(t *testing.T) {
		measure(t, b.client(k, "share"), "/", n, []share{{from("share-local"), 0.7}, {from("share-near"), 0.2}, {from("share-far"), 0.1}})
	})
	t.Run("room", func(t *testing.T) { // three of four callers, and one of four endpoints
		measure(t, b.client(k, "aware"), "/", n, []share{
			{from("aware-local"), 1. / 3}, {from("aware-near"), 1. / 3}, {from("aware-far-0"), 1. / 6}, {from("aware-far-1"), 1. / 6},
		})
	})
	t.Run("callers", func(t *testing.T) {
		for caller, want := range map[string]string{"web-" + string(k): "split-v1", "tester-" + string(k): "split-v2"} {
			at := b.placed[caller].Outbound[model.OutboundKey(ref("split"), meshPort)]
			for range 20 {
				if got := served(t, at, ""); got != want {
					t.Errorf("%s is answered by %s, want %s", caller, got, want)
				}
			}
		}
	})
}

// ladder has one place after the other fail. A proxy leaves an endpoint out a moment
// after the answer that it does so for.
func (b *bed) ladder(t *testing.T, k kind) {
	at, last := b.client(k, "ladder"), ""
	for _, want := range []string{"ladder-local", "ladder-near", "ladder-far"} {
		for end := time.Now().Add(patience); served(t, at, "") == last && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		last = want
		for range 30 {
			if got := served(t, at, ""); got != want {
				t.Fatalf("answered by %s, want %s", got, want)
			}
		}
		for range 3 {
			served(t, at, "503")
		}
	}
}

// served says which backend answered, after doing what it was asked to.
func served(t *testing.T, at, do string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if do != "" {
		r.Header.Set(doHeader, do)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get("x-served")
}
