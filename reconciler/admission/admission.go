// Package admission is the mutating webhook that gives pods their proxies: what
// `meshc inject` does to a manifest is done to a pod that the API server is about to
// make, by the same code (compiler/emit/kube). It has no state and no effect beside its
// answer, so that dry runs and repeated calls are safe.
package admission

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/emit/kube"
	"github.com/meshc/meshc/compiler/model"
)

// maxReview bounds a question, in bytes: an object in etcd has 1.5 MiB at most, and a
// review may hold two of it.
const maxReview = 4 << 20

// Path is where the API server asks.
const Path = "/inject"

// Handler answers AdmissionReviews.
type Handler struct {
	// Mesh is what serves; nil while nothing does, and then the API server goes by the
	// failure policy of the webhook.
	Mesh func() *model.Mesh
	// Options of injection; the namespace is that of the request.
	Options kube.Options
	Log     *slog.Logger
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != Path {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost {
		http.Error(w, "an AdmissionReview is posted", http.StatusMethodNotAllowed)
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "an AdmissionReview is application/json", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReview))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	mesh := h.Mesh()
	if mesh == nil {
		http.Error(w, "no commit of the mesh serves yet", http.StatusServiceUnavailable)
		return
	}
	out, err := Review(mesh, body, h.Options)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if out.Response.Result != nil {
		h.Log.Warn("a pod was refused", "uid", out.Response.UID, "reason", out.Response.Result.Message)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // a reader that has gone is not our concern
}

// Review answers one AdmissionReview. A pod that cannot be injected is refused with
// what `meshc inject` says of it; an error is for what is no review of a pod.
func Review(m *model.Mesh, body []byte, o kube.Options) (*admissionv1.AdmissionReview, error) {
	var in admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("admission review: %w", err)
	}
	if in.APIVersion != admissionv1.SchemeGroupVersion.String() || in.Kind != "AdmissionReview" || in.Request == nil || in.Request.UID == "" {
		return nil, fmt.Errorf("it is no question of kind AdmissionReview of %s", admissionv1.SchemeGroupVersion)
	}
	q := in.Request
	if q.Operation != admissionv1.Create || q.Kind != (metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}) || q.SubResource != "" {
		return nil, fmt.Errorf("%s of %s %s: only pods that are made are injected", q.Operation, q.Kind.Version, q.Kind.Kind)
	}
	out := &admissionv1.AdmissionReview{TypeMeta: in.TypeMeta, Response: &admissionv1.AdmissionResponse{UID: q.UID, Allowed: true}}
	o.Namespace = q.Namespace
	patch, warning, err := inject(m, q.Object.Raw, o)
	switch {
	case err != nil:
		out.Response.Allowed = false
		out.Response.Result = &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "meshc: " + err.Error()}
	case patch != nil:
		kind := admissionv1.PatchTypeJSONPatch
		out.Response.Patch, out.Response.PatchType = patch, &kind
	case warning != "":
		out.Response.Warnings = []string{"meshc: " + warning}
	}
	return out, nil
}

// inject gives the patch (RFC 6902) that makes the pod into what Inject makes of it.
func inject(m *model.Mesh, raw []byte, o kube.Options) (patch []byte, warning string, err error) {
	if !json.Valid(raw) {
		return nil, "", errors.New("the object is no JSON")
	}
	res, err := kube.Inject(m, raw, o)
	if err != nil {
		return nil, "", err
	}
	if len(res.Objects) != 1 || res.Objects[0].Kind != "Pod" {
		return nil, "", errors.New("the object is no pod")
	}
	switch is := res.Objects[0].Outcome; is {
	case kube.Injected:
		patch, err = difference(raw, res.Out)
		return patch, "", err
	case kube.NotOfMesh:
		return nil, "no service of the mesh has such pods (account, label " + kube.ServiceLabel + "): it gets no proxy", nil
	default:
		return nil, "", nil
	}
}

// operation is one of a patch. Add replaces a member that is there.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// difference says which members of metadata and spec are others.
func difference(before, after []byte) ([]byte, error) {
	from, err := object(before)
	if err != nil {
		return nil, err
	}
	to, err := object(after)
	if err != nil {
		return nil, err
	}
	var out []operation
	for _, part := range slices.Sorted(maps.Keys(to)) {
		old, was := from[part].(map[string]any)
		now, is := to[part].(map[string]any)
		if !was || !is {
			if !reflect.DeepEqual(from[part], to[part]) {
				out = append(out, operation{"add", "/" + escape(part), to[part]})
			}
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(now)) {
			if !reflect.DeepEqual(old[name], now[name]) {
				out = append(out, operation{"add", "/" + escape(part) + "/" + escape(name), now[name]})
			}
		}
	}
	return json.Marshal(out)
}

func object(text []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var out map[string]any
	return out, d.Decode(&out)
}

// escape writes a name as a part of a JSON Pointer (RFC 6901).
func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }
