package language

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/target"
)

const featuresFile = "../../docs/features.md"

const featuresHead = `# Features

One row per field of the language: what it is and what it becomes, which kinds of proxy serve it, and the archives of
` + "`test/language/testdata`" + ` that write it. Each archive is compared with its xDS, validated by Envoy 1.40 and decoded by
meshc-proxy in every test run. A field that the proxies concerned do not serve is an error of ` + "`meshc vet`" + ` (MSH7010).
"Acts" says whose proxy: that of the callers, of the service itself, or both; "exit" is that of the callers of an external,
or of the egress gateway that it is reached through. This page is written by the tests.
`

// TestFeatures writes docs/features.md, and finds fields that no archive
// writes. MESHC_UPDATE=1 rewrites the page.
func TestFeatures(t *testing.T) {
	writers := fieldWriters(t)
	got := featuresHead + featuresTables(t, writers)
	if os.Getenv("MESHC_UPDATE") == "1" {
		if err := os.WriteFile(featuresFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	old, err := os.ReadFile(featuresFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(old), got); diff != "" {
		t.Errorf("(-page +got), MESHC_UPDATE=1 rewrites it:\n%s", diff)
	}
}

// notForExternals are fields of a shared block that vet reports on externals,
// which have no ports by name, no routes with keys and no places.
var notForExternals = []string{"external.*.traffic.health.port", "external.*.traffic.balance.ring", "external.*.traffic.balance.table",
	"external.*.traffic.locality"}

// fieldWriters gives the archives that write each field.
func fieldWriters(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, a := range archives(t) {
		fields, diags, err := load.Written(t.Context(), a.fsys)
		if err != nil || diags.HasErrors() {
			t.Fatal(a.name, err, diags)
		}
		for _, f := range fields {
			out[f] = append(out[f], a.name)
		}
	}
	return out
}

func featuresTables(t *testing.T, writers map[string][]string) string {
	t.Helper()
	var out strings.Builder
	kind, becomes := "", map[string]string{}
	for _, f := range load.SchemaFields() {
		if becomes[f.Field] = madeOf(f.Doc); becomes[f.Field] == "" {
			becomes[f.Field] = above(becomes, f.Field)
		}
		if owner, _, below := strings.Cut(f.Field, ".expect."); below { // conditions there are those of routes, and become nothing
			becomes[f.Field] = becomes[owner+".expect"]
		}
		if !f.Leaf {
			continue
		}
		if k, _, _ := strings.Cut(f.Field, "."); k != kind {
			kind = k
			fmt.Fprintf(&out, "\n## `%s`\n\n| field | what it says | becomes, of Envoy | acts | served by | archives |\n|---|---|---|---|---|---|\n", kind)
		}
		if slices.ContainsFunc(notForExternals, func(p string) bool { return strings.HasPrefix(f.Field, p) }) {
			continue
		}
		if len(writers[f.Field]) == 0 && f.Field != "namespace" { // which is of a directory, and not of the mesh
			t.Errorf("no archive in testdata writes %s", f.Field)
		}
		if becomes[f.Field] == "" {
			t.Errorf("the comment of %s in schema/ does not say what it becomes: end it with \"Envoy: <field>\", \"Kubernetes: <field>\", or \"Envoy: none; <why>\"", f.Field)
		}
		row := target.Find(f.Field)
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s | %s |\n", f.Field, cell(meaning(f)), cell(becomes[f.Field]), row.Side, served(row), some(writers[f.Field]))
	}
	return out.String()
}

var madePart = regexp.MustCompile(`(?s)(Envoy|Kubernetes):\s*(.*?)\.?\s*$`)

// madeOf is what the schema's comment says that a field becomes, of Envoy where it
// does not name Kubernetes.
func madeOf(doc string) string {
	switch m := madePart.FindStringSubmatch(doc); {
	case m == nil:
		return ""
	case m[1] == "Kubernetes":
		return "Kubernetes: " + m[2]
	default:
		return m[2]
	}
}

// above is what the nearest field above becomes that says so.
func above(becomes map[string]string, field string) string {
	for field != "" {
		field = field[:max(strings.LastIndexByte(field, '.'), 0)]
		if b := becomes[field]; b != "" {
			return b
		}
	}
	return ""
}

// meaning is the schema's comment without that.
func meaning(f load.SchemaField) string {
	return strings.TrimSpace(madePart.ReplaceAllString(f.Doc, ""))
}

// cell makes text fit a cell of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "\\|")
}

func served(r *target.Row) string {
	if r.Side == target.Nobody {
		return "–"
	}
	var names []string
	for _, p := range []target.Proxy{target.Envoy, target.Meshc, target.GRPC} {
		if r.Served&p != 0 {
			names = append(names, p.Title())
		}
	}
	return strings.Join(names, ", ")
}

// some names the first archives, and how many more there are.
func some(names []string) string {
	const shown = 3
	slices.Sort(names)
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
