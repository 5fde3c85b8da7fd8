package interop

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
)

// headerSteps are the changes of one header, as they are written: of a destination
// and of its route.
type headerSteps struct{ destination, route string }

// name is that of the header whose changes they are.
func (s headerSteps) name() string {
	return strings.ToLower("x-" + s.destination + "-" + s.route)
}

// allHeaderSteps: every change of a route alone, several of one block, and of every
// change of a destination with every one of its route. What comes to the proxy is
// "in"; d and r are what a destination and a route write.
var allHeaderSteps = map[headerSteps]string{
	{"", "set"}: "r", {"", "add"}: "in,r", {"", "remove"}: "", {"", "set+add"}: "r,r",
	{"", "set+remove"}: "r", {"", "add+remove"}: "r", {"", "set+add+remove"}: "r,r",
	{"set", ""}: "d", {"set+add", ""}: "d,d", {"set+remove", ""}: "d", {"set+add+remove", ""}: "d,d",
	{"set", "set"}: "r", {"set", "add"}: "d,r", {"set", "remove"}: "",
	{"add", "set"}: "r", {"add", "add"}: "in,d,r", {"add", "remove"}: "",
	{"remove", "set"}: "r", {"remove", "add"}: "r", {"remove", "remove"}: "",
}

// headerOrderMesh has a route with all of steps, or without those of destinations.
func headerOrderMesh(steps []headerSteps, destinations bool) string {
	ops := func(value string, of func(headerSteps) string) string {
		var set, add, remove []string
		for _, s := range steps {
			for op := range strings.SplitSeq(of(s), "+") {
				switch op {
				case "set":
					set = append(set, fmt.Sprintf("%q: %q", s.name(), value))
				case "add":
					add = append(add, fmt.Sprintf("%q: %q", s.name(), value))
				case "remove":
					remove = append(remove, fmt.Sprintf("%q", s.name()))
				}
			}
		}
		return fmt.Sprintf("{set: {%s}, add: {%s}, remove: [%s]}", strings.Join(set, ", "), strings.Join(add, ", "), strings.Join(remove, ", "))
	}
	first := "{}"
	if destinations {
		d := ops("d", func(s headerSteps) string { return s.destination })
		first = fmt.Sprintf("{v1: {requestHeaders: %s, responseHeaders: %s}}", d, d)
	}
	r := ops("r", func(s headerSteps) string { return s.route })
	return fmt.Sprintf(`package mesh

mesh: proxy: "envoy"
service: web: {versions: v1: {}, uses: shop: {}}
service: shop: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	routes: all: {to: v1: 100, destinations: %s, requestHeaders: %s, responseHeaders: %s}
	security: {mtls: "disable", allow: [{from: ["*"]}]}
}
`, first, r, r)
}

func headerOrderTree(text string) fstest.MapFS {
	return fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.test\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways\nexternal: m.#Externals\n")},
		"a.cue":              {Data: []byte(text)},
	}
}

// TestOrderOfHeaderChanges sends requests through Envoy and meshc-proxy, and wants
// the order that vet assumes (MSH2026) in both directions: of one block what is removed
// goes first, then what is set is, then what is added; the destination's block comes
// before the route's. Vet reports the changes that nobody sees, and no others; package
// behave takes a mesh without them for the same.
func TestOrderOfHeaderChanges(t *testing.T) {
	var steps []headerSteps
	for s := range allHeaderSteps {
		steps = append(steps, s)
	}
	slices.SortFunc(steps, func(a, b headerSteps) int { return strings.Compare(a.name(), b.name()) })
	b := newBed(t, compileFS(t, headerOrderTree(headerOrderMesh(steps, true))))
	arrived := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, s := range steps {
			w.Header().Set(s.name(), "in")
		}
		arrived <- r.Header
	}))
	defer server.Close()
	b.application(ref("shop"), "v1", "shop-v1", strings.TrimPrefix(server.URL, "http://"))
	for _, k := range kinds {
		b.sidecar(ref("web"), "v1", k, "")
	}
	b.run()
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.client(k, "shop")+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "shop.default.svc.cluster.local"
			for _, s := range steps {
				req.Header.Set(s.name(), "in")
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatal(resp.Status)
			}
			request := <-arrived
			for _, s := range steps {
				for direction, got := range map[string]string{
					"request":  strings.Join(request.Values(s.name()), ","),
					"response": strings.Join(resp.Header.Values(s.name()), ","),
				} {
					if got != allHeaderSteps[s] {
						t.Errorf("%s, destination %q, route %q: %q, want %q", direction, s.destination, s.route, got, allHeaderSteps[s])
					}
				}
			}
		})
	}
	t.Run("vet", func(t *testing.T) { vetOfHeaderOrder(t, steps) })
}

// vetOfHeaderOrder holds vet and behave to what was seen: changes that make no
// difference are those after which the header is what it is without them.
func vetOfHeaderOrder(t *testing.T, steps []headerSteps) {
	vet := func(t *testing.T, steps []headerSteps, destinations bool) *compiler.Result {
		t.Helper()
		res, err := compiler.Compile(t.Context(), headerOrderTree(headerOrderMesh(steps, destinations)), compiler.Options{Now: now, Load: load.Options{InProcess: true}})
		if err != nil || res.Model == nil {
			t.Fatal(err, res.Diags)
		}
		return res
	}
	for _, s := range steps {
		seen := allHeaderSteps[s]
		vain := false
		switch {
		case s.destination != "" && s.route != "":
			vain = seen == allHeaderSteps[headerSteps{"", s.route}]
			same := behave.Meshes(vet(t, []headerSteps{s}, false).Model, vet(t, []headerSteps{s}, true).Model).Equal()
			if same != vain {
				t.Errorf("destination %q, route %q: package behave says that the first makes no difference: %v", s.destination, s.route, same)
			}
		case strings.HasSuffix(s.name(), "+remove") || strings.HasSuffix(s.destination, "+remove"):
			rest, known := allHeaderSteps[headerSteps{strings.TrimSuffix(s.destination, "+remove"), strings.TrimSuffix(s.route, "+remove")}]
			vain = known && seen == rest // which are the other changes alone
		}
		found := map[string]int{}
		for _, d := range vet(t, []headerSteps{s}, true).Diags {
			if d.Code == diag.HeaderChangeVain {
				found[d.Message]++
			}
		}
		if n := len(slices.Collect(maps.Values(found))); (n > 0) != vain {
			t.Errorf("destination %q, route %q: vet reports %v", s.destination, s.route, found)
		}
	}
}
