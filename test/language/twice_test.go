package language

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"cuelang.org/go/cue/ast"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
)

// mayRepeat are lists whose entries mean something where they come again, each with
// why.
var mayRepeat = map[string]string{
	"service.*.rateLimits.*.global.descriptor": "the service of limits gets the list as it is, and judges it entry by entry",
	"service.*.traffic.health.tcp.receive":     "an answer holds them one after the other",
	"gateway.*.rateLimits.*.global.descriptor": "the service of limits gets the list as it is, and judges it entry by entry",
}

// moreLists are those that the archives write for all services at once.
const moreLists = `package mesh

mesh: proxy: "envoy"
service: a: {
	ports: {http: {number: 80, protocol: "http"}, db: {number: 81, protocol: "tcp"}}
	versions: v1: {}
	traffic: {health: {http: {path: "/", statuses: [200, 204]}, interval: "5s", timeout: "1s"}, outliers: {consecutive5xx: 5, statuses: ["429", "5xx"]}}
	workload: capture: outbound: {include: ["10.0.0.0/8", "192.0.2.0/24"], excludePorts: [25, 26]}
}
service: b: {
	ports: db: {number: 81, protocol: "tcp"}
	versions: v1: {}
	traffic: health: {tcp: {send: "00", receive: ["00", "01"]}, interval: "5s", timeout: "1s"}
}
`

// twiceMeshes are the archives' meshes, and that.
func twiceMeshes(t *testing.T) map[string]map[string]string {
	out := map[string]map[string]string{"more": {"cue.mod/module.cue": moduleCUE, "mesh.cue": rootCUE, "a.cue": moreLists}}
	for _, a := range archives(t) {
		out[a.name] = map[string]string{}
		for name, f := range a.fsys {
			out[a.name][name] = string(f.Data)
		}
	}
	return out
}

// block is the end of a field, by which the schema's definitions are told apart: most
// are of services, gateways and externals alike.
func block(field string) string {
	parts := strings.Split(field, ".")
	return strings.Join(parts[max(0, len(parts)-2):], ".")
}

// TestEntriesTwiceAreReported writes the last entry of every list of every archive
// once more. Vet says something of that line which it did not say before.
func TestEntriesTwiceAreReported(t *testing.T) {
	reported := map[string]bool{}
	for name, files := range twiceMeshes(t) {
		before := placesSaid(t, files)
		for _, s := range sites(t, files) {
			list, ok := s.value.(*ast.ListLit)
			if !ok || len(list.Elts) == 0 || reported[s.place.field] {
				continue
			}
			last := list.Elts[len(list.Elts)-1]
			if _, computed := last.(*ast.Comprehension); computed {
				continue
			}
			text := files[s.file]
			from, to := last.Pos().Offset(), last.End().Offset()
			twice := maps.Clone(files)
			twice[s.file] = text[:to] + ", " + text[from:to] + text[to:]
			for place := range placesSaid(t, twice) {
				if !before[place] && strings.HasPrefix(place, s.file) {
					reported[s.place.field] = true
				}
			}
			if !reported[s.place.field] {
				t.Logf("%s: %s:%d %s", name, s.file, last.Pos().Line(), s.place.field)
				if _, seen := reported[s.place.field]; !seen {
					reported[s.place.field] = false
				}
			}
		}
	}
	for _, f := range load.SchemaFields() {
		if f.Want == aList && !slices.ContainsFunc(slices.Collect(maps.Keys(reported)), func(tried string) bool { return block(tried) == block(f.Field) }) {
			t.Errorf("no mesh here writes %s in literals", f.Field)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(reported)) {
		if !reported[field] && mayRepeat[field] == "" {
			t.Errorf("an entry that %s has twice is not reported", field)
		}
	}
}

// placesSaid are places and codes of what is said of a mesh.
func placesSaid(t *testing.T, files map[string]string) map[string]bool {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	res, err := compiler.Compile(t.Context(), fsys, compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, d := range res.Diags {
		if d.Severity >= diag.Warning || d.Code == diag.OriginCovered {
			out[d.Range.String()+" "+string(d.Code)] = true
		}
	}
	return out
}
