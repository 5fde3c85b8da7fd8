package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/push/kube"
	"github.com/meshc/meshc/reconciler/store"
)

// chunkSize is from how many bytes on a configuration is taken apart: etcd takes
// 1.5 MiB for an object with all that an API server adds to it.
const chunkSize = 512 << 10

// manifest is what the ServiceConfig of kind Manifest holds: one generation.
type manifest struct {
	Mesh    *store.Head `json:"mesh"`
	Configs []listed    `json:"configs"`
}

// listed is one configuration of a generation.
type listed struct {
	Name  string `json:"name"` // of its objects, without the number of the part
	Parts int    `json:"parts"`
}

// set is a generation as the objects of a cluster.
type set struct {
	generation api.Generation
	objects    []kube.Object    // the manifest first
	prints     map[string]print // of objects, by name
}

// builder makes the objects of one mesh.
type builder struct{ namespace, mesh string }

// build gives the objects of a generation. Equal content has equal objects.
func (b builder) build(g *store.Generation) (*set, error) {
	head, configs := store.Split(g)
	out := &set{generation: api.Generation{Commit: g.Commit}, prints: map[string]print{}}
	list := manifest{Mesh: head, Configs: make([]listed, 0, len(configs))}
	for _, c := range configs {
		ref, gateway := c.Ref()
		kind := api.ConfigService
		if gateway {
			kind = api.ConfigGateway
		}
		made, err := b.objects(kind, api.Target{Namespace: ref.Namespace, Name: ref.Name}, c, out)
		if err != nil {
			return nil, err
		}
		list.Configs = append(list.Configs, made)
	}
	rest := out.objects
	out.objects = nil
	made, err := b.objects(api.ConfigManifest, api.Target{}, list, out)
	if err != nil {
		return nil, err
	}
	out.generation.Manifest = made.Name
	out.objects = append(out.objects, rest...)
	out.generation.Objects = len(out.objects)
	return out, nil
}

// objects adds those of one configuration.
func (b builder) objects(kind string, target api.Target, v any, out *set) (listed, error) {
	data, err := json.Marshal(v)
	if err == nil {
		data, err = canonical(data)
	}
	if err != nil {
		return listed{}, fmt.Errorf("%s %s/%s: %w", kind, target.Namespace, target.Name, err)
	}
	sum := digestOf(data)
	l := listed{Name: b.name(kind, target, sum), Parts: 1}
	out.generation.Bytes += int64(len(data))
	spec := api.ServiceConfigSpec{Kind: kind, Target: target, Digest: sum, Parts: 1}
	if len(data) <= chunkSize {
		spec.Config = data
		return l, b.add(out, l.Name, spec)
	}
	chunks := cut(string(data))
	l.Parts, spec.Parts = len(chunks), len(chunks)
	for i, chunk := range chunks {
		spec.Part, spec.Chunk = i, chunk
		if err := b.add(out, l.part(i), spec); err != nil {
			return listed{}, err
		}
	}
	return l, nil
}

// name of the objects of a configuration, which ends in a hash of its content.
func (b builder) name(kind string, target api.Target, digest string) string {
	parts := []string{b.mesh, strings.ToLower(kind)}
	if kind != api.ConfigManifest {
		parts = append(parts, target.Namespace, target.Name)
	}
	return strings.Join(append(parts, digest[:16]), ".")
}

// part names the object of a part.
func (l listed) part(i int) string {
	if l.Parts == 1 {
		return l.Name
	}
	return fmt.Sprintf("%s.%d", l.Name, i)
}

func (b builder) add(out *set, name string, spec api.ServiceConfigSpec) error {
	c := &api.ServiceConfig{Spec: spec}
	c.APIVersion, c.Kind = api.GroupVersion.String(), api.ServiceConfigKind
	c.Namespace, c.Name, c.Labels = b.namespace, name, map[string]string{api.MeshLabel: b.mesh}
	u, err := api.ToUnstructured(c)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	out.objects = append(out.objects, kube.Object{Ref: b.ref(name), Content: u})
	out.prints[name] = printOf(&spec)
	return nil
}

func (b builder) ref(name string) kube.Ref {
	return kube.Ref{Resource: api.ServiceConfigs, Namespace: b.namespace, Name: name}
}

// cut takes a text apart between characters, so that each part is a JSON string.
func cut(text string) []string {
	var out []string
	for len(text) > chunkSize {
		end := chunkSize
		for !utf8.RuneStart(text[end]) {
			end--
		}
		out = append(out, text[:end])
		text = text[end:]
	}
	return append(out, text)
}
