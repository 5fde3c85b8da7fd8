package language

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/emit/kube"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/emit/xds/artifact"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

func compileFiles(t *testing.T, files map[string]string) *compiler.Result {
	t.Helper()
	res, err := compiler.Compile(t.Context(), (&gen.Generated{Files: files}).FS(), compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// podsOf gives a pod of every version, as a user would write it.
func podsOf(m *model.Mesh) map[string]string {
	out := map[string]string{}
	for _, s := range m.Services {
		for _, v := range s.Versions {
			labels := fmt.Sprintf("%q: %q", kube.ServiceLabel, s.Name)
			for _, name := range slices.Sorted(maps.Keys(v.Labels)) {
				labels += fmt.Sprintf(", %q: %q", name, v.Labels[name])
			}
			out[s.Ref.String()+" "+v.Name] = fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app", "namespace": %q, "labels": {%s}},
"spec": {"serviceAccountName": %q, "containers": [{"name": "app", "image": "app:1", "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}}}]}}`, s.Namespace, labels, s.ServiceAccount)
		}
	}
	return out
}

// refused begins what becomes of a pod that no proxy can be given.
const refused = "refused: "

// given is what a mesh gives: what its proxies are given, by file, and what
// becomes of pods. Where places are asked for, every version runs in some.
func given(t *testing.T, m *model.Mesh, pods map[string]string, places bool) map[string]func() string {
	t.Helper()
	all := xds.DefaultWorkloads(m)
	if places {
		for _, w := range slices.Clone(all) {
			for i, place := range []string{"eu/a", "eu/a/2", "eu/b", "eu/c", "us/east", "us/west", "asia"} {
				all = append(all, another(t, w, i+1, place))
			}
			w.Locality = model.PlaceOf("eu/a/1")
		}
	}
	r, err := artifact.New(m, all, xds.Options{Now: now})
	if err != nil {
		t.Errorf("no proxies of a mesh without an error: %v", err)
		return nil
	}
	out := map[string]func() string{}
	names, err := r.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		out[name] = func() string {
			var content bytes.Buffer
			if err := r.Render(&content, name); err != nil {
				t.Error(err)
			}
			return content.String()
		}
	}
	for name, pod := range pods {
		out[name] = func() string {
			got, err := kube.Inject(m, []byte(pod), kube.Options{})
			if err != nil {
				return refused + err.Error()
			}
			return string(got.Out)
		}
	}
	return out
}
