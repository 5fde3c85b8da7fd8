package cluster

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/store"
)

// entry is a ServiceConfig as it is kept in memory: decoded, and held to its
// digest when it came.
type entry struct {
	metav1.ObjectMeta
	kind     string
	digest   string
	print    print
	config   *store.Config // of a service or gateway in one part
	manifest *manifest     // of a manifest in one part
	chunk    string        // of what has more parts
	fault    error         // why it cannot be used
}

// transform turns what comes from the API server into what is kept.
func (c *Cache) transform(o any) (any, error) {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return o, nil // an entry already, or the news that one is gone
	}
	e := &entry{ObjectMeta: metav1.ObjectMeta{
		Namespace: u.GetNamespace(), Name: u.GetName(), UID: u.GetUID(), ResourceVersion: u.GetResourceVersion(), Labels: u.GetLabels(),
	}}
	// The configuration is most of an object, and is read apart from the rest.
	var config any
	if spec, ok := u.Object["spec"].(map[string]any); ok {
		config = spec["config"]
		delete(spec, "config")
	}
	u.SetManagedFields(nil)
	decoded, err := api.FromUnstructured[api.ServiceConfig](u)
	if err == nil {
		err = e.read(&decoded.Spec, config, c.known)
	}
	if err != nil {
		e.fault = fmt.Errorf("%s: %w: %w", u.GetName(), store.ErrDamaged, err)
	}
	return e, nil
}

// transformMesh decodes a Mesh once, when it comes.
func transformMesh(o any) (any, error) {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return o, nil
	}
	u.SetManagedFields(nil)
	return api.FromUnstructured[api.Mesh](u)
}

// read takes in what an object says; config is the configuration of one in one part.
func (e *entry) read(s *api.ServiceConfigSpec, config any, known func(digest string) *store.Config) error {
	e.kind, e.digest, e.print = s.Kind, s.Digest, printOf(s)
	if len(s.Digest) != 64 || !strings.Contains(e.Name, s.Digest[:16]) {
		return fmt.Errorf("its digest %q is not that of its name", s.Digest)
	}
	if s.Parts > 1 {
		e.chunk = s.Chunk // held to the digest when all parts are there, and to what was written by its print
		return nil
	}
	data, err := canonicalOf(config)
	if err != nil {
		return err
	}
	return e.decode(data, known(s.Digest))
}

// decode takes the canonical JSON of the whole configuration. Where that is what known
// was made to, it need not be read again.
func (e *entry) decode(data []byte, known *store.Config) error {
	if got := digestOf(data); got != e.digest {
		return fmt.Errorf("its content hashes to %.12s and not to %.12s", got, e.digest)
	}
	if e.kind == api.ConfigManifest {
		e.manifest = &manifest{}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		return dec.Decode(e.manifest)
	}
	if e.config = known; known != nil {
		return nil
	}
	e.config = &store.Config{}
	return json.Unmarshal(data, e.config)
}

// print tells one content of a ServiceConfig from another. A configuration in one
// part is held to its digest; a part of one has no digest of its own.
type print [sha256.Size]byte

func printOf(s *api.ServiceConfigSpec) print {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %d %d %s", s.Kind, s.Target.Namespace, s.Target.Name, s.Digest, s.Part, s.Parts, s.Chunk))
}
