package kube

import (
	"reflect"
	"unique"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/model"
)

// What is kept of objects. Everything else is dropped when it comes, so that
// memory grows with what is used and not with what objects say.

// service is what is kept of a Service.
type service struct {
	metav1.ObjectMeta
	clusterIPs []string // none of one that is headless
	external   bool     // a name elsewhere, of type ExternalName
	ports      []servicePort
}

type servicePort struct {
	name   string
	number uint16
}

// slice is what is kept of an EndpointSlice.
type slice struct {
	metav1.ObjectMeta
	service   string
	fqdn      bool // its addresses are names
	ports     []slicePort
	endpoints []endpoint
}

// slicePort is a port of the pods; 0 stands for any.
type slicePort struct {
	name   string
	number uint16
}

// endpoint is one entry of a slice. Its pod is in the namespace of the slice.
type endpoint struct {
	address     string
	pod         string // "": it is of none
	node        string
	zone        string
	ready       bool
	serving     bool
	terminating bool
}

// pod is what is kept of a Pod's metadata.
type pod struct{ metav1.ObjectMeta }

// node is where a Node is.
type node struct {
	metav1.ObjectMeta
	place model.Locality
}

// InjectedKey is the annotation of pods that have their proxy: "service/version". It
// is that of package compiler/emit/kube, which writes it.
const InjectedKey = "meshc.dev/injected"

// ServiceLabel of a pod names its service where several Services select it.
const ServiceLabel = "meshc.dev/service"

// kept is the metadata that every object needs.
func kept(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: shared(m.Namespace), Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion}
}

// shared keeps one copy of strings that many objects have.
func shared(s string) string { return unique.Make(s).Value() }

// trim turns what comes from the API server into what is kept.
func trim(o any) (any, error) {
	switch o := o.(type) {
	case *corev1.Service:
		return trimService(o), nil
	case *discoveryv1.EndpointSlice:
		return trimSlice(o), nil
	}
	return o, nil // kept already, or the news that it is gone
}

func trimService(s *corev1.Service) *service {
	out := &service{ObjectMeta: kept(&s.ObjectMeta), external: s.Spec.Type == corev1.ServiceTypeExternalName}
	for _, ip := range s.Spec.ClusterIPs {
		if ip != "" && ip != corev1.ClusterIPNone {
			out.clusterIPs = append(out.clusterIPs, ip)
		}
	}
	for _, p := range s.Spec.Ports {
		if isTCP(p.Protocol) && validPort(p.Port) {
			out.ports = append(out.ports, servicePort{shared(p.Name), uint16(p.Port)})
		}
	}
	return out
}

func isTCP(p corev1.Protocol) bool { return p == "" || p == corev1.ProtocolTCP }

func validPort(n int32) bool { return n > 0 && n <= 65535 }

func trimSlice(s *discoveryv1.EndpointSlice) *slice {
	out := &slice{
		ObjectMeta: kept(&s.ObjectMeta), service: shared(s.Labels[discoveryv1.LabelServiceName]),
		fqdn: s.AddressType == discoveryv1.AddressTypeFQDN,
	}
	for _, p := range s.Ports {
		if p.Protocol != nil && !isTCP(*p.Protocol) {
			continue
		}
		port := slicePort{name: shared(value(p.Name))}
		if p.Port != nil && validPort(*p.Port) {
			port.number = uint16(*p.Port)
		}
		out.ports = append(out.ports, port)
	}
	for i := range s.Endpoints {
		if e := &s.Endpoints[i]; len(e.Addresses) > 0 { // the rest of the addresses are other names of the same
			out.endpoints = append(out.endpoints, trimEndpoint(s.Namespace, e))
		}
	}
	return out
}

// trimEndpoint reads conditions as the API defines them: an unknown `ready` is true,
// an unknown `serving` is what `ready` is, an unknown `terminating` is false.
func trimEndpoint(namespace string, e *discoveryv1.Endpoint) endpoint {
	out := endpoint{
		address: e.Addresses[0], node: shared(value(e.NodeName)), zone: shared(value(e.Zone)),
		ready: e.Conditions.Ready == nil || *e.Conditions.Ready, terminating: value(e.Conditions.Terminating),
	}
	out.serving = out.ready
	if e.Conditions.Serving != nil {
		out.serving = *e.Conditions.Serving
	}
	// A slice speaks for its own namespace only.
	if t := e.TargetRef; t != nil && t.Kind == "Pod" && (t.Namespace == "" || t.Namespace == namespace) {
		out.pod = t.Name
	}
	return out
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// trimPod is trim for pods.
func trimPod(o any) (any, error) {
	m, ok := o.(*metav1.PartialObjectMetadata)
	if !ok {
		return o, nil
	}
	out := &pod{kept(&m.ObjectMeta)}
	out.CreationTimestamp, out.DeletionTimestamp = m.CreationTimestamp, m.DeletionTimestamp
	if len(m.Labels) > 0 {
		out.Labels = make(map[string]string, len(m.Labels))
		for name, v := range m.Labels {
			out.Labels[shared(name)] = shared(v)
		}
	}
	if v := m.Annotations[InjectedKey]; v != "" {
		out.Annotations = map[string]string{InjectedKey: shared(v)}
	}
	return out, nil
}

// trimNode is trim for nodes.
func trimNode(o any) (any, error) {
	m, ok := o.(*metav1.PartialObjectMetadata)
	if !ok {
		return o, nil
	}
	return &node{kept(&m.ObjectMeta), model.Locality{
		Region: shared(m.Labels[corev1.LabelTopologyRegion]), Zone: shared(m.Labels[corev1.LabelTopologyZone]),
	}}, nil
}

// alike says that two states of an object differ in nothing that counts: most
// updates of pods and nodes are of their status.
func alike(a, b any) bool {
	switch a := a.(type) {
	case *service:
		if b, ok := b.(*service); ok {
			x := *a
			x.ResourceVersion = b.ResourceVersion
			return reflect.DeepEqual(&x, b)
		}
	case *slice:
		if b, ok := b.(*slice); ok {
			x := *a
			x.ResourceVersion = b.ResourceVersion
			return reflect.DeepEqual(&x, b)
		}
	case *pod:
		if b, ok := b.(*pod); ok {
			x := *a
			x.ResourceVersion = b.ResourceVersion
			return reflect.DeepEqual(&x, b)
		}
	case *node:
		if b, ok := b.(*node); ok {
			return a.place == b.place
		}
	}
	return false
}
