package kube

import (
	"fmt"
	"slices"
	"strconv"

	yaml "go.yaml.in/yaml/v3"
)

// kubeGrace is the kubelet's own terminationGracePeriodSeconds.
const kubeGrace = 30

// volume is one that is added, in the words of the Kubernetes API.
type volume struct {
	Name      string     `yaml:"name"`
	EmptyDir  *emptyDir  `yaml:"emptyDir,omitempty"`
	Projected *projected `yaml:"projected,omitempty"`
	ConfigMap *configMap `yaml:"configMap,omitempty"`
}

type emptyDir struct {
	Medium string `yaml:"medium"`
}

type configMap struct {
	Name  string    `yaml:"name"`
	Items []keyPath `yaml:"items,omitempty"`
}

type projected struct {
	Sources []source `yaml:"sources"`
}

type source struct {
	Token  *tokenSource  `yaml:"serviceAccountToken,omitempty"`
	Secret *secretSource `yaml:"secret,omitempty"`
}

type tokenSource struct {
	Audience string `yaml:"audience"`
	Seconds  int    `yaml:"expirationSeconds"`
	Path     string `yaml:"path"`
}

func (a *addition) volumes(secrets []source, keys []keyDir) []volume {
	token := source{Token: &tokenSource{tokenAudience, tokenLife, tokenFile}}
	out := []volume{
		{Name: stateVolume, EmptyDir: &emptyDir{"Memory"}}, // keys never touch a disk
		{Name: tokenVolume, Projected: &projected{[]source{token}}},
		{Name: rootVolume, ConfigMap: &configMap{Name: a.options.RootMap}},
	}
	if len(secrets) > 0 {
		out = append(out, volume{Name: secretsVolume, Projected: &projected{secrets}})
	}
	return append(out, a.keyVolumes(keys)...)
}

// apply changes the pod.
func (a *addition) apply(pod *yaml.Node) error {
	secrets, err := a.secrets()
	if err != nil {
		return err
	}
	keys, err := a.keyDirs()
	if err != nil {
		return err
	}
	proxies, err := a.proxies(secrets)
	if err != nil {
		return err
	}
	if err := a.rewriteProbes(pod); err != nil {
		return err
	}
	verifies(&proxies[len(proxies)-1], keys)
	e := &editor{}
	spec := e.mapping(pod, "spec")
	inits, capture := e.sequence(spec, "initContainers"), a.capture()
	if a.options.Classic {
		// The application's own init containers run while there is no proxy, so
		// the redirect comes after them.
		inits.Content = append(inits.Content, e.node(capture))
		containers := e.sequence(spec, "containers")
		containers.Content = append(e.nodes(proxies), containers.Content...)
	} else {
		inits.Content = slices.Concat([]*yaml.Node{e.node(capture)}, e.nodes(proxies), inits.Content)
	}
	volumes := e.sequence(spec, "volumes")
	for _, v := range a.volumes(secrets, keys) {
		volumes.Content = append(volumes.Content, e.node(v))
	}
	a.lengthen(e, spec)
	notes := e.mapping(e.mapping(pod, "metadata"), "annotations")
	e.set(notes, InjectedKey, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: a.service.Name + "/" + a.version})
	return e.err
}

// lengthen gives the proxy the time to drain before the kubelet kills it.
func (a *addition) lengthen(e *editor, spec *yaml.Node) {
	need := seconds(a.service.Injection.Drain + killGrace)
	grace := int64(kubeGrace)
	if g := a.pod.Spec.Grace; g != nil {
		grace = *g
	}
	if grace < need {
		e.set(spec, "terminationGracePeriodSeconds", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(need, 10)})
	}
}

// rewriteProbes leads the probes to the proxy. What else they say, headers
// among it, stays.
func (a *addition) rewriteProbes(pod *yaml.Node) error {
	e := &editor{}
	for _, r := range a.rewritten() {
		list := "containers"
		if r.init {
			list = "initContainers"
		}
		p := field(field(field(pod, "spec"), list).Content[r.container], r.kind+"Probe")
		get := e.mapping(p, "httpGet")
		for _, other := range []string{"tcpSocket", "grpc"} {
			remove(p, other)
		}
		remove(get, "scheme")
		e.set(get, "path", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "/" + r.path()})
		e.set(get, "port", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(healthPort)})
	}
	return e.err
}

// editor changes nodes; the first thing that cannot be stays in err.
type editor struct{ err error }

// node writes v as YAML.
func (e *editor) node(v any) *yaml.Node {
	n := new(yaml.Node)
	if err := n.Encode(v); err != nil && e.err == nil {
		e.err = err
	}
	return n
}

func (e *editor) nodes(list []container) []*yaml.Node {
	var out []*yaml.Node
	for _, c := range list {
		out = append(out, e.node(c))
	}
	return out
}

// mapping gives the mapping below a key, made where it is missing or null.
func (e *editor) mapping(n *yaml.Node, name string) *yaml.Node {
	return e.below(n, name, yaml.MappingNode, "!!map")
}

func (e *editor) sequence(n *yaml.Node, name string) *yaml.Node {
	return e.below(n, name, yaml.SequenceNode, "!!seq")
}

func (e *editor) below(n *yaml.Node, name string, kind yaml.Kind, tag string) *yaml.Node {
	v := field(n, name)
	switch {
	case v == nil:
		v = &yaml.Node{Kind: kind, Tag: tag}
		e.set(n, name, v)
	case v.Tag == "!!null":
		*v = yaml.Node{Kind: kind, Tag: tag}
	case v.Kind != kind:
		if e.err == nil {
			e.err = fmt.Errorf("%s, line %d: not the kind of value that it should be", name, v.Line)
		}
		return &yaml.Node{Kind: kind}
	}
	if len(v.Content) == 0 {
		v.Style = n.Style // "[]" would stay on one line
	}
	return v
}

// set writes a field, in its place where it is there.
func (e *editor) set(n *yaml.Node, name string, v *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			v.LineComment, v.HeadComment = n.Content[i+1].LineComment, n.Content[i+1].HeadComment
			n.Content[i+1] = v
			return
		}
	}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, v)
}

func remove(n *yaml.Node, name string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			n.Content = slices.Delete(n.Content, i, i+2)
			return
		}
	}
}
