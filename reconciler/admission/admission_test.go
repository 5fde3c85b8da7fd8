package admission

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/meshc/meshc/compiler/emit/kube"
	"github.com/meshc/meshc/compiler/model"
)

func mesh() *model.Mesh {
	s := func(name string) *model.Service {
		return &model.Service{
			Ref: model.Ref{Namespace: "shop", Name: name}, ServiceAccount: name, SPIFFEID: model.SPIFFEID("cluster.local", "shop", name),
			Ports:    []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}},
			Versions: []model.Version{{Name: "v1", Labels: map[string]string{"version": "v1"}}}, Injection: model.Injection{UID: 1337, LogLevel: "info"},
		}
	}
	return &model.Mesh{Name: "shop", TrustDomain: "cluster.local", Services: []*model.Service{s("api"), s("web")}}
}

func pod(account, labels, more string) string {
	return `{"kind":"Pod","apiVersion":"v1","metadata":{"generateName":"api-","labels":{` + labels + `},"creationTimestamp":null},"spec":{"serviceAccountName":"` + account +
		`","terminationGracePeriodSeconds":30,"containers":[{"name":"app","image":"app","livenessProbe":{"httpGet":{"path":"/live","port":80}}}]` + more + `},"status":{}}`
}

func review(object string) string {
	return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1","kind":{"group":"","version":"v1","kind":"Pod"},
"resource":{"group":"","version":"v1","resource":"pods"},"namespace":"shop","operation":"CREATE","dryRun":true,"options":null,"object":` + object + `}}`
}

// TestReview: what is injected, what is left as it is, and what is refused.
func TestReview(t *testing.T) {
	for name, c := range map[string]struct {
		object  string
		allowed bool
		paths   string
		say     string
	}{
		"injected":      {pod("api", `"version":"v1"`, ""), true, "/metadata/annotations /spec/containers /spec/initContainers /spec/volumes", ""},
		"opted out":     {pod("api", `"version":"v1","meshc.dev/inject":"disabled"`, ""), true, "", ""},
		"not ours":      {pod("other", `"version":"v1"`, ""), true, "", "no service of the mesh"},
		"no version":    {pod("api", `"version":"v9"`, ""), false, "", "the labels of no version of service shop/api"},
		"on the node":   {pod("api", `"version":"v1"`, `,"hostNetwork":true`), false, "", "hostNetwork"},
		"another's":     {pod("api", `"version":"v1","meshc.dev/service":"web"`, ""), false, "", `it runs as account "api"`},
		"not a pod":     {`{"kind":"Node","apiVersion":"v1"}`, false, "", "the object is no pod"},
		"nothing":       {`null`, false, "", "the object is no JSON"},
		"no containers": {`{"kind":"Pod","apiVersion":"v1","spec":{}}`, false, "", "no containers"},
	} {
		out, err := Review(mesh(), []byte(review(c.object)), kube.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r := out.Response
		var said string
		if r.Result != nil {
			said = r.Result.Message
		}
		said += strings.Join(r.Warnings, "")
		var ops []operation
		if r.Patch != nil {
			if err := json.Unmarshal(r.Patch, &ops); err != nil {
				t.Fatal(err)
			}
		}
		var paths []string
		for _, o := range ops {
			paths = append(paths, o.Path)
		}
		if r.UID != "u-1" || r.Allowed != c.allowed || strings.Join(paths, " ") != c.paths || !strings.Contains(said, c.say) || (c.say == "") != (said == "") {
			t.Errorf("%s: allowed %t, %q, patches %q", name, r.Allowed, said, paths)
		}
	}
}

// TestHTTP: what is no question is told so, and while nothing serves the API server
// goes by its failure policy.
func TestHTTP(t *testing.T) {
	serving := mesh()
	h := &Handler{Mesh: func() *model.Mesh { return serving }, Log: slog.New(slog.DiscardHandler)}
	ask := func(method, path, kind, body string) int {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	good := review(pod("api", `"version":"v1"`, ""))
	for _, c := range []struct {
		method, path, kind, body string
		want                     int
	}{
		{"POST", "/inject", "application/json; charset=utf-8", good, 200},
		{"GET", "/inject", "application/json", good, 405},
		{"POST", "/", "application/json", good, 404},
		{"POST", "/inject", "text/plain", good, 415},
		{"POST", "/inject", "application/json", "{", 400},
		{"POST", "/inject", "application/json", strings.Replace(good, "/v1", "/v1beta1", 1), 400},
		{"POST", "/inject", "application/json", strings.Replace(good, "CREATE", "UPDATE", 1), 400},
		{"POST", "/inject", "application/json", strings.Replace(good, "u-1", "", 1), 400},
		{"POST", "/inject", "application/json", strings.Repeat(" ", maxReview+1), 413},
	} {
		if got := ask(c.method, c.path, c.kind, c.body); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got, c.want)
		}
	}
	serving = nil
	if got := ask("POST", "/inject", "application/json", good); got != http.StatusServiceUnavailable {
		t.Errorf("without a mesh: %d", got)
	}
}

func FuzzReview(f *testing.F) {
	f.Add([]byte(review(pod("api", `"version":"v1"`, ""))))
	f.Add([]byte(review(`null`)))
	f.Add([]byte(review(`{"kind":"Pod","apiVersion":"v1","metadata":[],"spec":{"containers":[{}]}}`)))
	f.Add([]byte(review(`{"kind":"List","items":[]}`)))
	m := mesh()
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := Review(m, in, kube.Options{})
		if err != nil {
			return
		}
		if out.Kind != "AdmissionReview" || out.APIVersion != admissionv1.SchemeGroupVersion.String() || out.Response.UID == "" {
			t.Fatalf("%+v", out)
		}
		if out.Response.Allowed == (out.Response.Result != nil) || out.Response.Patch != nil && !json.Valid(out.Response.Patch) {
			t.Fatalf("%+v", out.Response)
		}
		if _, err := json.Marshal(out); err != nil {
			t.Fatal(err)
		}
	})
}
