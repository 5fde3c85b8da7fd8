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
	objects    []kube.Object            // the manifest first
	manifests  int                      // how many of them are of the manifest
	prints     map[string]print         // of objects, by name
	configs    map[string]*store.Config // by digest: those in one part
}

// builder makes the objects of one mesh. It remembers what it made of each service and
// gateway last, by pointer: they do not change.
type builder struct {
	namespace, mesh string
	made            map[any]*built
}

// built is what a configuration comes to.
type built struct {
	listed
	kind   string
	target api.Target
	digest string
	bytes  int64
	prints []print // of the parts
}

// build gives the objects of a generation. Equal content has equal objects.
func (b *builder) build(g *store.Generation) (*set, error) {
	head, configs := store.Split(g)
	out := &set{generation: api.Generation{Commit: g.Commit}, prints: make(map[string]print, len(configs)+1), configs: make(map[string]*store.Config, len(configs))}
	list := manifest{Mesh: head, Configs: make([]listed, 0, len(configs))}
	made := make(map[any]*built, len(configs))
	var rest []kube.Object
	for _, c := range configs {
		one := b.made[c.Of()]
		if one == nil {
			ref, gateway := c.Ref()
			kind := api.ConfigService
			if gateway {
				kind = api.ConfigGateway
			}
			var err error
			if one, err = b.make(kind, api.Target{Namespace: ref.Namespace, Name: ref.Name}, c); err != nil {
				return nil, err
			}
		}
		made[c.Of()] = one
		list.Configs = append(list.Configs, one.listed)
		if one.Parts == 1 {
			out.configs[one.digest] = c
		}
		rest = b.add(out, rest, one, c)
	}
	own, err := b.make(api.ConfigManifest, api.Target{}, list)
	if err != nil {
		return nil, err
	}
	out.objects = b.add(out, nil, own, list)
	out.manifests = len(out.objects)
	out.objects = append(out.objects, rest...)
	out.generation.Manifest, out.generation.Objects = own.Name, len(out.objects)
	b.made = made
	return out, nil
}

// make finds out what a configuration comes to.
func (b *builder) make(kind string, target api.Target, v any) (*built, error) {
	data, err := content(v)
	if err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", kind, target.Namespace, target.Name, err)
	}
	one := &built{kind: kind, target: target, digest: digestOf(data), bytes: int64(len(data))}
	chunks := cut(string(data))
	one.listed = listed{Name: b.name(kind, target, one.digest), Parts: len(chunks)}
	for i := range chunks {
		one.prints = append(one.prints, printOf(one.spec(chunks, i)))
	}
	return one, nil
}

// content is the canonical JSON of a configuration.
func content(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return canonical(data)
}

// spec is what the object of a part says.
func (o *built) spec(chunks []string, part int) *api.ServiceConfigSpec {
	spec := &api.ServiceConfigSpec{Kind: o.kind, Target: o.target, Digest: o.digest, Parts: o.Parts}
	if o.Parts == 1 {
		spec.Config = json.RawMessage(chunks[0])
	} else {
		spec.Part, spec.Chunk = part, chunks[part]
	}
	return spec
}

// name of the objects of a configuration, which ends in a hash of its content.
func (b *builder) name(kind string, target api.Target, digest string) string {
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

// add adds the objects of a configuration, whose JSON is made when it is asked for.
func (b *builder) add(out *set, to []kube.Object, one *built, v any) []kube.Object {
	out.generation.Bytes += one.bytes
	for i := range one.Parts {
		name := one.part(i)
		out.prints[name] = one.prints[i]
		to = append(to, kube.Object{Ref: b.ref(name), Content: func() ([]byte, error) {
			data, err := content(v)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			c := &api.ServiceConfig{Spec: *one.spec(cut(string(data)), i)}
			c.APIVersion, c.Kind = api.GroupVersion.String(), api.ServiceConfigKind
			c.Namespace, c.Name, c.Labels = b.namespace, name, map[string]string{api.MeshLabel: b.mesh}
			return json.Marshal(c)
		}})
	}
	return to
}

func (b *builder) ref(name string) kube.Ref {
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
