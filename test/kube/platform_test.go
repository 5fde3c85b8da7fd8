package kube

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshc/meshc/deploy/rbac"
	"github.com/meshc/meshc/test/netspace"
)

// discover has the controller find out by itself what runs, with what it needs for
// that.
func (w *world) discover() {
	w.t.Helper()
	w.discovers = true
	w.grant(rbac.Discovery)
}

func (w *world) applyGlobal(r schema.GroupVersionResource, u *unstructured.Unstructured) {
	w.t.Helper()
	_, err := w.admin.Resource(r).Apply(w.t.Context(), u.GetName(), u, metav1.ApplyOptions{FieldManager: "test"})
	must(w.t, err)
}

// Resources of what runs.
var (
	services = corev1.SchemeGroupVersion.WithResource("services")
	pods     = corev1.SchemeGroupVersion.WithResource("pods")
	nodes    = corev1.SchemeGroupVersion.WithResource("nodes")
	accounts = corev1.SchemeGroupVersion.WithResource("serviceaccounts")
	slices1  = discoveryv1.SchemeGroupVersion.WithResource("endpointslices")
)

// put brings an object to the cluster, or changes it.
func (w *world) put(r schema.GroupVersionResource, kind string, o metav1.Object) {
	w.t.Helper()
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	must(w.t, err)
	u := &unstructured.Unstructured{Object: fields}
	u.SetGroupVersionKind(r.GroupVersion().WithKind(kind))
	delete(u.Object, "status")
	if r == nodes {
		w.applyGlobal(r, u)
		return
	}
	_, err = w.admin.Resource(r).Namespace(w.namespace).Apply(w.t.Context(), u.GetName(), u, metav1.ApplyOptions{FieldManager: "platform", Force: true})
	must(w.t, err)
}

func (w *world) service(name string, port int32) {
	w.t.Helper()
	w.put(services, "Service", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Name: "main", Port: port, Protocol: corev1.ProtocolTCP}},
	}})
}

// pod makes a pod of a service; injected is the annotation of its proxy.
func (w *world) pod(name, service, version, injected string) {
	w.t.Helper()
	no := false
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": service, "version": version}}, Spec: corev1.PodSpec{
		ServiceAccountName: service, AutomountServiceAccountToken: &no, Containers: []corev1.Container{{Name: "app", Image: "app"}},
	}}
	if injected != "" {
		p.Annotations = map[string]string{"meshc.dev/injected": injected}
	}
	w.put(accounts, "ServiceAccount", &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: service}})
	w.put(pods, "Pod", p)
}

// end is an entry of a slice.
type end struct {
	pod, address                string
	unready, serves, terminates bool
}

func (w *world) slice(name, service string, target int32, ends ...end) {
	w.t.Helper()
	main, tcp, node, zone := "main", corev1.ProtocolTCP, "one", "a"
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: &main, Port: &target, Protocol: &tcp}},
		Endpoints: []discoveryv1.Endpoint{},
	}
	for _, e := range ends {
		ready, serving := !e.unready && !e.terminates, !e.unready || e.serves
		one := discoveryv1.Endpoint{
			Addresses: []string{e.address}, NodeName: &node, Zone: &zone,
			Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &e.terminates},
		}
		if e.pod != "" {
			one.TargetRef = &corev1.ObjectReference{Kind: "Pod", Namespace: w.namespace, Name: e.pod}
		}
		s.Endpoints = append(s.Endpoints, one)
	}
	w.put(slices1, "EndpointSlice", s)
}

// network is the network of pods: a namespace with the addresses of all of them.
type network struct {
	*netspace.Space
	t *testing.T
}

// address is that of the pod with a number; 1 is the node.
func address(number int) string { return fmt.Sprintf("10.244.0.%d", number) }

func newNetwork(t *testing.T) *network {
	t.Helper()
	netspace.Needs(t)
	n := &network{netspace.New(t), t}
	n.IP("addr", "add", address(1)+"/16", "dev", "lo")
	return n
}

// serve runs an application that answers with its name.
func (n *network) serve(number, port int, name string) {
	n.t.Helper()
	l := n.Listen(fmt.Sprintf("%s:%d", address(number), port))
	s := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, name) })}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	n.t.Cleanup(func() { s.Close(); <-done })
}

// bring has what listens outside reached from within, and gives its address there.
func (n *network) bring(port int, outside string) string {
	n.t.Helper()
	l := n.Listen(fmt.Sprintf("%s:%d", address(1), port))
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { join(c, outside) })
		}
	})
	n.t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func join(c net.Conn, outside string) {
	defer c.Close()
	o, err := net.Dial("tcp", outside)
	if err != nil {
		return
	}
	defer o.Close()
	go func() {
		_, _ = io.Copy(o, c)
		o.Close()
	}()
	_, _ = io.Copy(c, o)
}
