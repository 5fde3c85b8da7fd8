package install

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/deploy/chart"
	"github.com/meshc/meshc/deploy/crds"
)

func defaults(t *testing.T) Values {
	t.Helper()
	v, err := Defaults()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestWrittenDown: what the chart and the base have of other places is what stands
// there. MESHC_UPDATE=1 writes it.
func TestWrittenDown(t *testing.T) {
	want := map[string][]byte{}
	names, err := fs.Glob(crds.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if want["../chart/crds/"+name], err = crds.Files.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	if want["../chart/templates/roles.yaml"], err = Roles(); err != nil {
		t.Fatal(err)
	}
	v := defaults(t)
	v["createNamespace"] = true
	all, err := Manifests(v)
	if err != nil {
		t.Fatal(err)
	}
	want["../base/meshc.yaml"] = append([]byte("# Made by `MESHC_UPDATE=1 go test ./deploy/install`; `meshc install --print` prints the same.\n"), all...)
	for name, text := range want {
		got, err := os.ReadFile(name)
		if err == nil && bytes.Equal(got, text) {
			continue
		}
		if os.Getenv("MESHC_UPDATE") == "" {
			t.Errorf("%s is not what it is made from: MESHC_UPDATE=1 go test ./deploy/install", name)
			continue
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryTemplateIsRendered: none is in the chart alone.
func TestEveryTemplateIsRendered(t *testing.T) {
	files, err := fs.Glob(chart.Files, "templates/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(order, filepath.Base(f)) {
			t.Errorf("%s is not in the order", f)
		}
	}
	if len(files) != len(order) {
		t.Errorf("%d templates, %d in the order", len(files), len(order))
	}
}

// TestValues: each choice gives documents that are YAML and say what was chosen.
func TestValues(t *testing.T) {
	for name, c := range map[string]struct {
		set        []string
		has, hasnt string
	}{
		"a token":      {[]string{"git.tokenSecret=forge", "git.credentialsFor=https://git.example/org"}, "--git-credentials-for=https://git.example/org", "sshSecret"},
		"ssh":          {[]string{"git.sshSecret=forge"}, "--git-known-hosts-file=/etc/meshc/ssh/known_hosts", "--git-token-file"},
		"an issuer":    {[]string{"ca.issuerSecret=issuer", "controller.replicas=3"}, "replicas: 3", "PersistentVolumeClaim"},
		"no webhook":   {[]string{"inject.enabled=false"}, "meshc-controller", "meshc-inject"},
		"a mesh":       {[]string{"mesh.repository=https://git.example/org/mesh"}, `repository: "https://git.example/org/mesh"`, "ca.issuerSecret"},
		"never itself": {nil, "values: [kube-system, kube-node-lease, meshc-system]", "part-of: meshc}\n    spec"},
		"a namespace":  {[]string{"createNamespace=true"}, "kind: Namespace", "ca.issuerSecret"},
	} {
		v := defaults(t)
		for _, s := range c.set {
			path, text, _ := strings.Cut(s, "=")
			if err := v.Set(path, text); err != nil {
				t.Fatal(err)
			}
		}
		out, err := render(v)
		if err != nil {
			t.Fatal(err)
		}
		for i, doc := range strings.Split(strings.TrimPrefix(string(out), "---\n"), "\n---\n") {
			var o struct{ Kind string }
			if err := yaml.Unmarshal([]byte(doc), &o); err != nil || o.Kind == "" {
				t.Errorf("%s, document %d: %v\n%s", name, i, err, doc)
			}
		}
		if !strings.Contains(string(out), c.has) || strings.Contains(string(out), c.hasnt) {
			t.Errorf("%s: want %q and not %q in\n%s", name, c.has, c.hasnt, out)
		}
	}
	for path, text := range map[string]string{"nothing": "1", "mesh": "1", "mesh.name.more": "1", "controller.replicas": "many", "inject.enabled": "1"} {
		if err := defaults(t).Set(path, text); err == nil {
			t.Errorf("%s=%s is taken", path, text)
		}
	}
}
