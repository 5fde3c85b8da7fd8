// Package kube turns the model of a mesh into Kubernetes objects: here, pods
// into pods that have their proxy beside them. It is a pure function from text
// to text; what runs offline in `meshc inject` is what a webhook runs.
package kube

import (
	"errors"
	"fmt"

	"github.com/meshc/meshc/compiler/model"
)

// Words of pods and their workloads.
const (
	// InjectKey is a label or annotation of a pod, with the value "disabled" for
	// a pod that gets no proxy, or "enabled".
	InjectKey = "meshc.dev/inject"
	// ServiceLabel of a pod names its service where nothing else decides it.
	ServiceLabel = "meshc.dev/service"
	// InjectedKey is the annotation of pods that have their proxy, with the
	// service and version that it is for.
	InjectedKey = "meshc.dev/injected"
)

// Options say what the mesh does not.
type Options struct {
	Namespace string // of objects that name none
	// Classic makes containers of proxies for clusters before Kubernetes 1.29,
	// in which an init container cannot go on running.
	Classic bool

	Controller   string // host:port of ADS
	ControllerID string // SPIFFE ID of the controller; "" = DefaultControllerID of the mesh
	CA           string // host:port of the authority
	RootMap      string // ConfigMap of every namespace that holds the authority's root as root.pem
	KeyMap       string // ConfigMap of the namespace of pods that holds files of keys (JWKS) that the mesh names, by KeyOf
}

// Defaults of an installation.
const (
	DefaultController = "meshc-controller.meshc-system.svc:15010"
	DefaultCA         = "meshc-controller.meshc-system.svc:15012"
	DefaultRootMap    = "meshc-root"
	DefaultKeyMap     = "meshc-jwks"
	// ProxyImage holds meshc-proxy, EnvoyImage the Envoy that meshc compiles for.
	ProxyImage = "meshc/meshc-proxy:dev"
	EnvoyImage = "envoyproxy/envoy:distroless-v1.40.0"
)

// DefaultControllerID is the identity of the controller where it is installed
// by default.
func DefaultControllerID(m *model.Mesh) string {
	return "spiffe://" + m.TrustDomain + "/ns/meshc-system/sa/meshc-controller"
}

func (o *Options) complete(m *model.Mesh) {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&o.Namespace, "default")
	set(&o.Controller, DefaultController)
	set(&o.ControllerID, DefaultControllerID(m))
	set(&o.CA, DefaultCA)
	set(&o.RootMap, DefaultRootMap)
	set(&o.KeyMap, DefaultKeyMap)
}

// Outcome of one object that has pods.
type Outcome string

// Outcomes.
const (
	Injected   Outcome = "injected"
	Already    Outcome = "already injected" // by an earlier call; it stays as it is
	OptedOut   Outcome = "opted out"        // by InjectKey
	NotWanted  Outcome = "not wanted"       // its service says inject: false
	ReadsXDS   Outcome = "reads xDS itself" // its applications need no proxy
	NotOfMesh  Outcome = "not of the mesh"  // no service has such pods
	notSettled Outcome = ""
)

// Object is one that has pods, and what became of it.
type Object struct {
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Outcome   Outcome   `json:"outcome"`
	Service   model.Ref `json:"service,omitzero"`
	Version   string    `json:"version,omitempty"`
}

// Result of a call.
type Result struct {
	Out     []byte
	Objects []Object // in the order of the text
}

// Inject gives the pods in a text of YAML or JSON documents their proxies.
// Documents without such pods come out to the byte; in others comments and the
// order of fields stay, and indentation and quotes are those of the writer. An
// error names every object that cannot be decided.
func Inject(m *model.Mesh, in []byte, o Options) (*Result, error) {
	o.complete(m)
	docs, err := split(in)
	if err != nil {
		return nil, err
	}
	i := &injector{mesh: m, opts: o, out: &Result{}}
	for _, d := range docs {
		i.readServices(d.root)
	}
	for _, d := range docs {
		i.document(d)
	}
	if len(i.errs) > 0 {
		return nil, errors.Join(i.errs...)
	}
	for _, d := range docs {
		text, err := d.text()
		if err != nil {
			return nil, err
		}
		i.out.Out = append(i.out.Out, text...)
	}
	return i.out, nil
}

// injector is one call.
type injector struct {
	mesh      *model.Mesh
	opts      Options
	selectors []selector // of the Services in the text
	out       *Result
	errs      []error
}

// document injects what is in d.
func (i *injector) document(d *document) {
	for _, w := range i.workloads(d.root) {
		obj, err := i.inject(w)
		if err == nil && obj.Outcome == Injected && d.aliased {
			err = errors.New("the document has YAML aliases; write them out")
		}
		if err != nil {
			i.errs = append(i.errs, fmt.Errorf("%s %s/%s: %w", w.kind, w.namespace, w.name, err))
			continue
		}
		d.changed = d.changed || obj.Outcome == Injected
		i.out.Objects = append(i.out.Objects, obj)
	}
}

// inject decides about one workload, and changes its pod template.
func (i *injector) inject(w *workload) (Object, error) {
	obj := Object{Kind: w.kind, Namespace: w.namespace, Name: w.name}
	p, err := readPod(w.pod)
	if err != nil {
		return obj, err
	}
	out, err := optedOut(w, p)
	if err != nil || out {
		obj.Outcome = OptedOut
		return obj, err
	}
	if p.Metadata.Annotations[InjectedKey] != "" {
		obj.Outcome = Already
		return obj, nil
	}
	s, err := i.serviceOf(w, p)
	if err != nil {
		return obj, err
	}
	if obj.Outcome = settled(i.mesh, s); obj.Outcome != notSettled {
		return obj, nil
	}
	v, err := versionOf(s, p)
	if err != nil {
		return obj, err
	}
	obj.Outcome, obj.Service, obj.Version = Injected, s.Ref, v
	a := &addition{options: &i.opts, mesh: i.mesh, service: s, version: v, pod: p, job: w.job}
	if err := a.check(); err != nil {
		return obj, err
	}
	return obj, a.apply(w.pod)
}

// settled is the outcome for pods of s that get no proxy.
func settled(m *model.Mesh, s *model.Service) Outcome {
	switch {
	case s == nil:
		return NotOfMesh
	case s.Injection.Off:
		return NotWanted
	case m.RoleOf(s) == model.RoleGRPC:
		return ReadsXDS
	}
	return notSettled
}
