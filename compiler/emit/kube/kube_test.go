package kube_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	yaml "go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/emit/kube"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
)

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	os.Exit(m.Run())
}

const root = `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
external: m.#Externals
`

func mesh(t *testing.T, text string) *model.Mesh {
	t.Helper()
	res, err := compiler.Compile(t.Context(), fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte(root)},
		"a.cue":              {Data: []byte(text)},
	}, compiler.Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Load: load.Options{InProcess: true}})
	if err != nil || res.Model == nil {
		t.Fatal(err, res.Diags)
	}
	return res.Model
}

// TestGolden reads archives of a mesh (a.cue), manifests (in) and what comes of
// them (out), with --classic where the comment begins so. MESHC_UPDATE=1
// rewrites the expectation. What is injected is not injected again.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal(err, names)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{}
			for _, f := range a.Files {
				files[f.Name] = string(f.Data)
			}
			m := mesh(t, files["a.cue"])
			o := kube.Options{Classic: bytes.HasPrefix(a.Comment, []byte("--classic"))}
			res, err := kube.Inject(m, []byte(files["in"]), o)
			if err != nil {
				t.Fatal(err)
			}
			var objects strings.Builder
			for _, o := range res.Objects {
				fmt.Fprintf(&objects, "%s %s/%s: %s %s %s\n", o.Kind, o.Namespace, o.Name, o.Outcome, o.Service, o.Version)
			}
			got := map[string]string{"objects": objects.String(), "out": string(res.Out)}
			strictly(t, res.Out)
			again, err := kube.Inject(m, res.Out, o)
			if err != nil || !bytes.Equal(again.Out, res.Out) {
				t.Errorf("a second call changes something: %v\n%s", err, cmp.Diff(string(res.Out), string(again.Out)))
			}
			if os.Getenv("MESHC_UPDATE") == "1" {
				out := &txtar.Archive{Comment: a.Comment, Files: []txtar.File{
					{Name: "a.cue", Data: []byte(files["a.cue"])}, {Name: "in", Data: []byte(files["in"])},
					{Name: "objects", Data: []byte(got["objects"])}, {Name: "out", Data: []byte(got["out"])},
				}}
				if err := os.WriteFile(name, txtar.Format(out), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, part := range []string{"objects", "out"} {
				if d := cmp.Diff(files[part], got[part]); d != "" {
					t.Errorf("%s (-golden +got), MESHC_UPDATE=1 rewrites it:\n%s", part, d)
				}
			}
		})
	}
}

const shop = `package mesh

service: a: {
	ports: http: {number: 80, protocol: "http"}
	versions: {v1: {}, v2: {}, wide: labels: app: "x"}
	routes: all: to: v1: 100
}
service: b: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: {}
	serviceAccount: "shared"
}
service: c: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: {}
	serviceAccount: "shared"
}
service: e: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: {}
	proxy: "envoy"
}
`

// deployment of pods with labels, and fields of their spec.
func deployment(labels, spec string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  template:
    metadata: {labels: {%s}}
    spec: {%s}
`, labels, spec)
}

// TestRefused: what cannot be decided, and what a proxy would break, is refused
// by name.
func TestRefused(t *testing.T) {
	m := mesh(t, shop)
	const app = `containers: [{name: app, image: x}], serviceAccountName: a`
	for want, c := range map[string]struct {
		text    string
		classic bool
	}{
		"several versions of service default/a: v1 and wide": {deployment("version: v1, app: x", app), false},
		"the labels of no version of service default/a":      {deployment("version: v9", app), false},
		"may be those of default/b or default/c":             {deployment("version: v1", "containers: [{name: app}], serviceAccountName: shared"), false},
		"names default/zz, which the mesh does not have":     {deployment("version: v1, meshc.dev/service: zz", app), false},
		`runs as account "default", and callers expect`:      {deployment("version: v1, meshc.dev/service: a", "containers: [{name: app}]"), false},
		"hostNetwork":                        {deployment("version: v1", "hostNetwork: true, "+app), false},
		"it runs as user 1337":               {deployment("version: v1", "securityContext: {runAsUser: 1337}, "+app), false},
		`container "init" runs as user 1337`: {deployment("version: v1", "initContainers: [{name: init, securityContext: {runAsUser: 1337}}], "+app), false},
		`a container "meshc-proxy" already`:  {deployment("version: v1", "initContainers: [{name: meshc-proxy}], "+app), false},
		`a volume "meshc-state" already`:     {deployment("version: v1", "volumes: [{name: meshc-state}], "+app), false},
		`meshc.dev/inject is "false"`:        {deployment("version: v1, meshc.dev/inject: \"false\"", app), false},
		"the pod never ends":                 {strings.Replace(strings.Replace(deployment("version: v1", app), "apps/v1", "batch/v1", 1), "Deployment", "Job", 1), true},
		"write hold: false":                  {deployment("version: v1", "containers: [{name: app}], serviceAccountName: e"), true},
		"no containers":                      {deployment("version: v1", "serviceAccountName: a"), false},
		"YAML aliases":                       {deployment("version: v1", "containers: [{name: app, image: &i x}, {name: b, image: *i}], serviceAccountName: a"), false},
		"document 2, from line 2 on":         {"a: 1\n---\nb: [\n", false},
		"cannot unmarshal":                   {deployment("version: v1", "volumes: {}, x: 1, "+app), false},
	} {
		res, err := kube.Inject(m, []byte(c.text), kube.Options{Classic: c.classic})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q\n%s", err, want, c.text)
		}
		if err == nil {
			t.Errorf("%s", res.Out)
		}
	}
}

// TestEveryMistakeIsNamed: one object does not hide the next.
func TestEveryMistakeIsNamed(t *testing.T) {
	const app = `containers: [{name: app}], serviceAccountName: a`
	_, err := kube.Inject(mesh(t, shop), []byte(deployment("version: v9", app)+"---\n"+strings.Replace(deployment("version: v8", app), "name: d}", "name: other, namespace: default}", 1)), kube.Options{})
	if err == nil || !strings.Contains(err.Error(), "Deployment default/d: ") || !strings.Contains(err.Error(), "Deployment default/other: ") {
		t.Error(err)
	}
}

// FuzzInject: foreign bytes never panic, what is not touched comes out to the
// byte, and what is injected is YAML that is not injected again.
func FuzzInject(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			if file.Name == "in" {
				f.Add(file.Data)
			}
		}
	}
	f.Add([]byte(deployment("version: v1", "containers: [{name: app, image: x}], serviceAccountName: a")))
	var m *model.Mesh
	f.Fuzz(func(t *testing.T, in []byte) {
		if m == nil {
			m = mesh(t, shop)
		}
		res, err := kube.Inject(m, in, kube.Options{})
		if err != nil {
			return
		}
		injected := false
		for _, o := range res.Objects {
			injected = injected || o.Outcome == kube.Injected
		}
		if !injected {
			if !bytes.Equal(in, res.Out) {
				t.Fatalf("nothing is injected, and the text changes:\n%q\n%q", in, res.Out)
			}
			return
		}
		dec := yaml.NewDecoder(bytes.NewReader(res.Out))
		for {
			var v any
			if err := dec.Decode(&v); err != nil {
				if err.Error() != "EOF" {
					t.Fatalf("%v\n%s", err, res.Out)
				}
				break
			}
		}
		again, err := kube.Inject(m, res.Out, kube.Options{})
		if err != nil || !bytes.Equal(again.Out, res.Out) {
			t.Fatalf("a second call: %v\n%s", err, cmp.Diff(string(res.Out), string(again.Out)))
		}
	})
}

// What the proxy of a pod reads of secrets is mounted there, and nothing else; a
// file is in no secret.
func TestSecrets(t *testing.T) {
	const text = `package mesh

service: a: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: labels: app: "a"
	uses: {bank: {}, clock: {}}
}
service: b: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: labels: app: "b"
}
service: c: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: labels: app: "c"
	uses: vault: {}
}
external: bank: {host: "bank.example", ports: web: {number: 443, protocol: "http"}, tls: {mode: "mutual", certificate: secret: "client", ca: secret: "client"}}
external: clock: {host: "clock.example", ports: web: {number: 443, protocol: "http"}, tls: ca: secret: "clocks"}
external: vault: {host: "vault.example", ports: web: {number: 443, protocol: "http"}, tls: ca: file: "vault.pem"}
`
	for _, proxy := range []string{"meshc", "envoy"} {
		m := mesh(t, text+"mesh: proxy: \""+proxy+"\"\n")
		inject := func(name string) (string, error) {
			res, err := kube.Inject(m, []byte(deployment("app: "+name, "containers: [{name: app}], serviceAccountName: "+name)), kube.Options{})
			if err != nil {
				return "", err
			}
			return string(res.Out), nil
		}
		out, err := inject("a")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"--secrets-dir=/etc/meshc/secrets", "mountPath: /etc/meshc/secrets", "path: client/tls.key", "path: client/ca.crt", "path: clocks/ca.crt"} {
			if strings.Count(out, want) != 1 {
				t.Errorf("%s: %q is there %d times, want once\n%s", proxy, want, strings.Count(out, want), out)
			}
		}
		if strings.Contains(out, "clocks/tls.key") {
			t.Errorf("%s: a key that nobody shows is mounted", proxy)
		}
		if out, err := inject("b"); err != nil || strings.Contains(out, "secrets-dir") || strings.Contains(out, "meshc-secrets") {
			t.Errorf("%s: b reads no secrets: %v\n%s", proxy, err, out)
		}
		if _, err := inject("c"); err == nil || !strings.Contains(err.Error(), `the file "vault.pem"`) {
			t.Errorf("%s: %v, want the file named", proxy, err)
		}
	}
}

// TestFilesOfKeysThatCannotBeMounted are refused by name.
func TestFilesOfKeysThatCannotBeMounted(t *testing.T) {
	for files, want := range map[string]string{
		"/main.json":                    "nothing can be mounted at the root",
		"/etc/meshc/main.json":          "/etc/meshc/root is in the way",
		"/run/meshc/keys/main.json":     "/run/meshc is in the way",
		"/proc/1/main.json":             "/proc is in the way",
		"/keys/ä.json":                  "may hold letters",
		"/keys/a.b.json /keys/a/b.json": `one entry "keys.a.b.json"`,
	} {
		text := "package mesh\nservice: web: {\n\tports: http: {number: 80, protocol: \"http\"}\n\tversions: v1: {}\n"
		for i, f := range strings.Fields(files) {
			text += fmt.Sprintf("\tsecurity: jwt: t%d: {issuer: \"https://%d.example\", jwks: {file: %q}, required: false}\n", i, i, f)
		}
		_, err := kube.Inject(mesh(t, text+"}\n"), []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {version: v1}}\nspec: {serviceAccountName: web, containers: [{name: app}]}\n"), kube.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", files, err, want)
		}
	}
}
