package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/deploy/crds"
	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Run(m)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func wholeMesh(namespace string) *api.Mesh {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	serving := &api.Generation{Commit: "c1", Manifest: "m1", Objects: 3, Bytes: 1 << 40}
	m := &api.Mesh{
		Spec: api.MeshSpec{Repository: "https://git.example.com/mesh.git", Ref: "prod", Path: "mesh", Interval: metav1.Duration{Duration: time.Minute}, AllowEmpty: true,
			Guards:  api.Guards{PrunePercent: 20, PruneCount: 3, MTLS: api.GuardHold, Access: api.GuardFollow, Namespaces: []string{"shop"}},
			Approve: "0123456789abcdef0123456789abcdef01234567", Suspend: &api.Suspend{Reason: "r", Until: at},
			Rollback: &api.Rollback{To: "0123456", Until: at, Reason: "r"}},
		Status: api.MeshStatus{
			Status: status.Status{
				Mesh: "shop", Repository: "r", Ref: "prod", Path: "mesh", TrustDomain: "cluster.local",
				Attempted: &status.Attempt{Commit: "c2", Ref: "refs/heads/main", ObservedAt: at, Error: "no", SignedBy: "k", Notice: "n", Diagnostics: []status.Diagnostic{
					{Code: "MSH2001", Severity: "error", File: "a.cue", Line: 7, Col: 3, Message: "m", Help: "h"}}},
				Serving: &status.Serving{Commit: "c1", Ref: "refs/heads/main", AppliedAt: at},
				Programmed: status.Programmed{Commit: "c1", Done: 1, Total: 2, CompletedAt: at, Behind: []string{"two"}, Nodes: []status.Node{
					{ID: "sidecar~default/a", State: status.NodeRejected, Commit: "c0", Detail: "d"}}},
				Conditions: []status.Condition{{Type: status.Ready, Status: status.False, Reason: "CompileFailed", Message: "m", ObservedRevision: "c2", LastTransitionTime: at}},
				History:    []status.Entry{{Commit: "c1", Ref: "refs/heads/main", Repository: "r0", Outcome: status.Applied, Error: "e", ObservedAt: at, AppliedAt: at, ProgrammedAt: at, Done: 1, Total: 2}},
				Controller: status.Controller{PID: 7, StartedAt: at, HeartbeatAt: at}, UpdatedAt: at,
			},
			ObservedGeneration: 1, WokenAt: at,
			Inventory: api.Inventory{Epoch: 3, Holder: "pod-1", ClaimedAt: at, Serving: serving, Previous: serving, Pending: serving,
				Retired: []string{"m0"}},
			Summary: api.Summary{Serving: "c1", Programmed: "1/2"},
		},
	}
	m.APIVersion, m.Kind, m.Namespace, m.Name = api.GroupVersion.String(), api.MeshKind, namespace, "shop"
	return m
}

// TestAMeshIsKeptWhole: nothing of a Mesh with every field set is pruned by its
// schema, and the columns of kubectl show it.
func TestAMeshIsKeptWhole(t *testing.T) {
	s := apiserver.Start(t)
	s.Install(t)
	ns := s.Namespace(t)
	meshes := s.Client(t, apiserver.Admin).Resource(api.Meshes).Namespace(ns)
	want := wholeMesh(ns)
	noEmpty(t, reflect.ValueOf(want.Spec), "spec")
	noEmpty(t, reflect.ValueOf(want.Status), "status")
	sent, err := api.ToUnstructured(want)
	must(t, err)
	created, err := meshes.Create(t.Context(), sent, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	must(t, err)
	if _, has := created.Object["status"]; has {
		t.Error("the status can be written without its subresource")
	}
	sent.SetResourceVersion(created.GetResourceVersion())
	got, err := meshes.UpdateStatus(t.Context(), sent, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict})
	must(t, err)
	back, err := api.FromUnstructured[api.Mesh](got)
	must(t, err)
	back.ObjectMeta = want.ObjectMeta
	if d := cmp.Diff(want, back); d != "" {
		t.Error(d)
	}
	// The epoch is what fences; the schema has it never go back.
	must(t, unstructured.SetNestedField(got.Object, int64(2), "status", "inventory", "epoch"))
	if _, err := meshes.UpdateStatus(t.Context(), got, metav1.UpdateOptions{}); err == nil || !strings.Contains(err.Error(), "never goes back") {
		t.Errorf("an epoch that goes back: %v", err)
	}
	if row := columns(t, s, ns, "meshes"); !slices.Equal(row[:5], []string{"shop", "False", "CompileFailed", "c1", "1/2"}) {
		t.Errorf("columns %q", row)
	}
}

// noEmpty demands that a test value has every field.
func noEmpty(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice && v.Len() > 0 && v.Type().Elem().Kind() == reflect.Struct {
		if v.Kind() == reflect.Slice {
			v = v.Index(0)
		} else {
			v = v.Elem()
		}
	}
	if !v.IsValid() || v.IsZero() {
		t.Errorf("the test has no value for %s", path)
		return
	}
	if v.Kind() == reflect.Struct && v.Type().PkgPath() != "time" {
		for i := range v.NumField() {
			noEmpty(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	}
}

// columns gives what kubectl shows of the one object of a namespace.
func columns(t *testing.T, s *apiserver.Server, ns, resource string) []string {
	t.Helper()
	transport, err := rest.TransportFor(s.Config(apiserver.Admin))
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Host+"/apis/meshc.dev/v1alpha1/namespaces/"+ns+"/"+resource, nil)
	must(t, err)
	req.Header.Set("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1")
	resp, err := transport.RoundTrip(req)
	must(t, err)
	defer resp.Body.Close()
	var table map[string]any
	must(t, json.NewDecoder(resp.Body).Decode(&table))
	rows, _, err := unstructured.NestedSlice(table, "rows")
	must(t, err)
	if len(rows) != 1 {
		t.Fatalf("%d rows of %s: %v", len(rows), resource, table)
	}
	var out []string
	for _, cell := range rows[0].(map[string]any)["cells"].([]any) {
		text, _ := cell.(string)
		out = append(out, text)
	}
	return out
}

func config(namespace string) *api.ServiceConfig {
	c := &api.ServiceConfig{Spec: api.ServiceConfigSpec{
		Kind: api.ConfigService, Target: api.Target{Namespace: "default", Name: "reviews"}, Digest: digest, Parts: 1,
		Config: json.RawMessage(`{"a":{"b":[1,{"c":"d"},9007199254740993]}}`),
	}}
	c.APIVersion, c.Kind, c.Namespace = api.GroupVersion.String(), api.ServiceConfigKind, namespace
	c.Name = "shop.service.default.reviews." + digest[:16]
	c.Labels = map[string]string{api.MeshLabel: "shop"}
	return c
}

func TestAServiceConfigIsKeptWhole(t *testing.T) {
	s := apiserver.Start(t)
	s.Install(t)
	ns := s.Namespace(t)
	configs := s.Client(t, apiserver.Admin).Resource(api.ServiceConfigs).Namespace(ns)
	sent, err := api.ToUnstructured(config(ns))
	must(t, err)
	got, err := configs.Apply(t.Context(), sent.GetName(), sent, metav1.ApplyOptions{FieldManager: api.FieldManager})
	must(t, err)
	back, err := api.FromUnstructured[api.ServiceConfig](got)
	must(t, err)
	if d := cmp.Diff(config(ns).Spec, back.Spec); d != "" {
		t.Error(d)
	}
	// One owner for all of a config, however large it is.
	if fields := got.GetManagedFields()[0].FieldsV1.GetRawString(); !strings.Contains(fields, `"f:config":{}`) {
		t.Errorf("fields of the manager: %s", fields)
	}
	if row := columns(t, s, ns, "serviceconfigs"); !slices.Equal(row[1:5], []string{"shop", "Service", "default", "reviews"}) {
		t.Errorf("columns %q", row)
	}
	must(t, unstructured.SetNestedField(got.Object, strings.Repeat("0", 64), "spec", "digest"))
	if _, err := configs.Update(t.Context(), got, metav1.UpdateOptions{}); err == nil || !strings.Contains(err.Error(), "never changes") {
		t.Errorf("another digest: %v", err)
	}
}

// TestTheSchemaRefuses says of each rule of the schemas what it is there for.
func TestTheSchemaRefuses(t *testing.T) {
	s := apiserver.Start(t)
	s.Install(t)
	ns := s.Namespace(t)
	client := s.Client(t, apiserver.Admin)
	mesh := func(change func(*api.MeshSpec)) api.Mesh {
		m := wholeMesh(ns)
		change(&m.Spec)
		return *m
	}
	meshes := map[string]api.Mesh{
		"spec.repository: Invalid":     mesh(func(m *api.MeshSpec) { m.Repository = "" }),
		"must begin with https://":     mesh(func(m *api.MeshSpec) { m.Repository = "/etc" }),
		"must not hold a password":     mesh(func(m *api.MeshSpec) { m.Repository = "https://u:secret@git.example.com/x" }),
		"must stay within":             mesh(func(m *api.MeshSpec) { m.Path = "a/../../b" }),
		"duration":                     mesh(func(m *api.MeshSpec) { m.Interval.Duration = -time.Second }),
		"the name must be a DNS label": func() api.Mesh { m := wholeMesh(ns); m.Name = "a.b"; return *m }(),
	}
	for _, want := range slices.Sorted(maps.Keys(meshes)) {
		m := meshes[want]
		u, err := api.ToUnstructured(&m)
		must(t, err)
		_, err = client.Resource(api.Meshes).Namespace(ns).Create(t.Context(), u, metav1.CreateOptions{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	configs := map[string]func(*api.ServiceConfig){
		"the name must contain":      func(c *api.ServiceConfig) { c.Name = "x" },
		"exactly one of":             func(c *api.ServiceConfig) { c.Spec.Chunk = "x" },
		"part must be below parts":   func(c *api.ServiceConfig) { c.Spec.Part = 1 },
		"must be in chunks":          func(c *api.ServiceConfig) { c.Spec.Parts = 2 },
		"must be named in target":    func(c *api.ServiceConfig) { c.Spec.Target.Name = "" },
		"spec.kind: Unsupported":     func(c *api.ServiceConfig) { c.Spec.Kind = "x" },
		"spec.digest in body should": func(c *api.ServiceConfig) { c.Spec.Digest = "x" },
	}
	for _, want := range slices.Sorted(maps.Keys(configs)) {
		c := config(ns)
		configs[want](c)
		u, err := api.ToUnstructured(c)
		must(t, err)
		_, err = client.Resource(api.ServiceConfigs).Namespace(ns).Create(t.Context(), u, metav1.CreateOptions{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestDefinitionsAreDescribed: everything that people write has a description.
func TestDefinitionsAreDescribed(t *testing.T) {
	data, err := crds.Files.ReadFile("meshes.yaml")
	must(t, err)
	var d map[string]any
	must(t, yaml.Unmarshal(data, &d))
	version := d["spec"].(map[string]any)["versions"].([]any)[0].(map[string]any)
	spec, _, err := unstructured.NestedMap(version, "schema", "openAPIV3Schema", "properties", "spec", "properties")
	must(t, err)
	written := reflect.TypeFor[api.MeshSpec]()
	for i := range written.NumField() {
		name, _, _ := strings.Cut(written.Field(i).Tag.Get("json"), ",")
		field, _ := spec[name].(map[string]any)
		if text, _ := field["description"].(string); text == "" {
			t.Errorf("spec.%s has no description", name)
		}
	}
	if len(spec) != written.NumField() {
		t.Errorf("the schema has %d fields, the type %d", len(spec), written.NumField())
	}
}
