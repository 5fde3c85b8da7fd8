package kube

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/model"
)

// still is a cluster that stays as it is, by what its objects say.
type still struct {
	services map[string]*service
	byName   map[string][]*slice
	pods     map[string]*pod
	nodes    map[string]*node
	fails    bool
}

func (s *still) service(r model.Ref) *service { return s.services[r.String()] }
func (s *still) slices(r model.Ref) []*slice  { return s.byName[r.String()] }
func (s *still) pod(ns, name string) *pod     { return s.pods[ns+"/"+name] }
func (s *still) node(name string) *node       { return s.nodes[name] }
func (s *still) failing(string) bool          { return s.fails }

func (s *still) add(objects ...any) *still {
	for _, o := range objects {
		switch o := o.(type) {
		case *service:
			s.services[o.Namespace+"/"+o.Name] = o
		case *slice:
			s.byName[o.Namespace+"/"+o.service] = append(s.byName[o.Namespace+"/"+o.service], o)
		case *pod:
			s.pods[o.Namespace+"/"+o.Name] = o
		case *node:
			s.nodes[o.Name] = o
		default:
			panic(fmt.Sprintf("%T", o))
		}
	}
	return s
}

func meta(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "shop", Name: name} }

func podOf(name, injected string, labels ...string) *pod {
	p := &pod{meta(name)}
	p.Labels = map[string]string{}
	for _, l := range labels {
		k, v, _ := strings.Cut(l, "=")
		p.Labels[k] = v
	}
	if injected != "" {
		p.Annotations = map[string]string{InjectedKey: injected}
	}
	return p
}

func serviceNamed(name string, ips ...string) *service {
	return &service{ObjectMeta: meta(name), clusterIPs: ips, ports: []servicePort{{"http", 80}, {"admin", 81}}}
}

func sliceOf(name, of string, target uint16, ends ...endpoint) *slice {
	return &slice{ObjectMeta: meta(name), service: of, ports: []slicePort{{"http", target}, {"admin", target}}, endpoints: ends}
}

func up(pod, address string) endpoint {
	return endpoint{address: address, pod: pod, node: "n1", zone: "a", ready: true, serving: true}
}

// shop is a mesh with a caller, what it calls, and a gateway.
func shop() *model.Mesh {
	m := api("shop")
	web := &model.Service{
		Ref: model.Ref{Namespace: "shop", Name: "web"}, ServiceAccount: "web", Uses: []model.Ref{{Namespace: "shop", Name: "api"}, {Namespace: "shop", Name: "bare"}},
		Ports:    []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}},
		Versions: []model.Version{{Name: "v1", Labels: map[string]string{"version": "v1"}}},
	}
	bare := &model.Service{Ref: model.Ref{Namespace: "shop", Name: "bare"}, Ports: web.Ports, Versions: web.Versions}
	m.Services = append(m.Services, bare, web)
	m.Gateways = []*model.Gateway{{Ref: model.Ref{Namespace: "shop", Name: "edge"}, Listeners: []model.GatewayListener{{Port: 80}}}}
	return m
}

func cluster() *still {
	s := &still{map[string]*service{}, map[string][]*slice{}, map[string]*pod{}, map[string]*node{}, false}
	return s.add(
		&node{meta("n1"), model.Locality{Region: "r", Zone: "z"}},
		serviceNamed("api", "10.96.0.1", "fd00:96::1"), serviceNamed("web", "10.96.0.2"), serviceNamed("edge", "10.96.0.3"), serviceNamed("bare"),
		podOf("api-0", "api/v1", "version=v1"), podOf("web-0", "web/v1", "version=v1"), podOf("edge-0", ""), podOf("bare-0", "bare/v1", "version=v1"),
		sliceOf("api-a", "api", 8080, up("api-0", "10.0.0.1")), sliceOf("api-b", "api", 8080, up("api-0", "fd00::1")),
		sliceOf("web-a", "web", 8080, up("web-0", "10.0.0.2")), sliceOf("edge-a", "edge", 8443, up("edge-0", "10.0.0.3")),
		sliceOf("bare-a", "bare", 8080, up("bare-0", "10.0.0.4")),
	)
}

func named(t *testing.T, list []*model.Workload, id string) *model.Workload {
	t.Helper()
	i := slices.IndexFunc(list, func(w *model.Workload) bool { return w.ID == id })
	if i < 0 {
		t.Fatalf("there is no %s", id)
	}
	return list[i]
}

// TestPlace: pods of both families, Services with addresses and without, ports that
// lead to one port of the application, and a gateway.
func TestPlace(t *testing.T) {
	list, faults := place(shop(), cluster(), nil)
	if len(faults) != 0 {
		t.Errorf("faults %q", faults)
	}
	a := named(t, list, "api-0")
	if a.Inbound[80] != "10.0.0.1:8080" || a.Inbound[81] != "10.0.0.1:81" || a.App[80] != "127.0.0.1:8080" || a.App[81] != "127.0.0.1:8080" ||
		!a.Ready || a.Locality != (model.Locality{Region: "r", Zone: "a"}) || !slices.Equal(a.Capture.Addresses, []string{"10.0.0.1", "fd00::1"}) {
		t.Errorf("%+v, %+v", a, a.Capture)
	}
	w := named(t, list, "web-0").Capture.Outbound
	if got := w["shop/api:81"]; !slices.Equal(got, []string{"10.96.0.1:81", "[fd00:96::1]:81"}) {
		t.Errorf("api is called at %q", got)
	}
	if got := w["shop/bare:80"]; !slices.Equal(got, []string{"10.0.0.4:8080"}) {
		t.Errorf("bare is called at %q", got)
	}
	if g := named(t, list, "edge-0"); g.Role != model.RoleGateway || g.Inbound[80] != "10.0.0.3:8443" || g.Capture != nil {
		t.Errorf("%+v", g)
	}
}

// TestBadObjectsStopNobody: each is named, and everybody else is placed as before.
func TestBadObjectsStopNobody(t *testing.T) {
	for fault, change := range map[string]func(*still){
		`there is no Service shop/api`: func(s *still) { delete(s.services, "shop/api") },
		`Service shop/api is of type ExternalName`: func(s *still) {
			s.services["shop/api"] = &service{ObjectMeta: meta("api"), external: true}
		},
		`Service shop/api has no TCP port 81`:             func(s *still) { s.services["shop/api"].ports = s.services["shop/api"].ports[:1] },
		`EndpointSlice shop/api-0: its addresses are nam`: func(s *still) { s.add(&slice{ObjectMeta: meta("api-0"), service: "api", fqdn: true}) },
		`address "127.0.0.1" cannot be that of a pod`:     func(s *still) { s.add(sliceOf("api-0", "api", 1, up("api-0", "127.0.0.1"))) },
		`address "x" cannot be that of a pod`:             func(s *still) { s.add(sliceOf("api-0", "api", 1, up("api-0", "x"))) },
		`10.0.0.9 is of no pod of the namespace`:          func(s *still) { s.add(sliceOf("api-9", "api", 1, up("", "10.0.0.9"))) },
		`pod api-0 is at 10.0.0.9, and at 10.0.0.1`:       func(s *still) { s.add(sliceOf("api-c", "api", 1, up("api-0", "10.0.0.9"))) },
		`it has no number for port "http"`: func(s *still) {
			s.add(podOf("api-9", "api/v1", "version=v1"), &slice{ObjectMeta: meta("api-9"), service: "api", endpoints: []endpoint{up("api-9", "10.0.0.9")}})
		},
		`zone "q": the label topology.kubernetes.io/region`: func(s *still) {
			s.add(podOf("api-9", "api/v1", "version=v1"), sliceOf("api-9", "api", 1, endpoint{address: "10.0.0.9", pod: "api-9", zone: "q", node: "n2"}))
		},
		`zone "a/b":`: func(s *still) {
			s.add(podOf("api-9", "api/v1", "version=v1"), sliceOf("api-9", "api", 1, endpoint{address: "10.0.0.9", pod: "api-9", zone: "a/b", node: "n1"}))
		},
		`api-9: it has the labels of no version`: func(s *still) { s.add(podOf("api-9", "api/v1"), sliceOf("api-9", "api", 1, up("api-9", "10.0.0.9"))) },
		`api-9: Service api selects it, and it has no proxy`: func(s *still) {
			s.add(podOf("api-9", "", "version=v1"), sliceOf("api-9", "api", 1, up("api-9", "10.0.0.9")))
		},
		`api-9: Service api selects it, and its proxy is that of service "web"`: func(s *still) {
			s.add(podOf("api-9", "web/v1", "version=v1"), sliceOf("api-9", "api", 1, up("api-9", "10.0.0.9")))
		},
		`web-0: Service edge selects it for a gateway, and it has the proxy`: func(s *still) { s.add(sliceOf("edge-9", "edge", 1, up("web-0", "10.0.0.2"))) },
		`are both at 10.0.0.1:8080; the newer one counts`: func(s *still) {
			old := podOf("api-9", "api/v1", "version=v1")
			s.pods["shop/api-0"].CreationTimestamp = metav1.NewTime(time.Unix(100, 0))
			s.add(old, sliceOf("api-9", "api", 8080, up("api-9", "10.0.0.1")))
		},
		`10.0.0.4:8080 is the address of shop/api:80 and of shop/bare:80`: func(s *still) {
			s.services["shop/api"].clusterIPs = nil
			s.add(podOf("api-9", "api/v1", "version=v1"), sliceOf("api-9", "api", 8080, up("api-9", "10.0.0.4")))
		},
	} {
		s := cluster()
		change(s)
		list, faults := place(shop(), s, nil)
		if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, fault) }) {
			t.Errorf("want %q, got %q", fault, faults)
		}
		for _, id := range []string{"web-0", "edge-0", "bare-0"} {
			if !named(t, list, id).Ready {
				t.Errorf("%s: %s is not ready", fault, id)
			}
		}
	}
}

// TestOnePodOfTwoServices: an application that reads xDS itself says by a label whose
// it is, where several Services select it.
func TestOnePodOfTwoServices(t *testing.T) {
	m := shop()
	m.Services[0].Ports, m.Services[1].Ports = []model.Port{{Number: 80, Protocol: model.GRPC}}, []model.Port{{Number: 80, Protocol: model.GRPC}}
	s := cluster().add(podOf("both", "", "version=v1"), sliceOf("api-9", "api", 1, up("both", "10.0.0.9")), sliceOf("bare-9", "bare", 1, up("both", "10.0.0.9")))
	list, faults := place(m, s, nil)
	if slices.ContainsFunc(list, func(w *model.Workload) bool { return w.ID == "both" }) || !strings.Contains(strings.Join(faults, "\n"), "shop/both: Services api and bare select it") {
		t.Errorf("%q", faults)
	}
	s.pods["shop/both"].Labels[ServiceLabel] = "bare"
	list, _ = place(m, s, nil)
	if w := named(t, list, "both"); w.Service.Name != "bare" || w.Role != model.RoleGRPC || w.Inbound[80] != "10.0.0.9:1" {
		t.Errorf("%+v", w)
	}
}

// TestAnAddressInTwoNamespaces: whoever writes the slices of a namespace takes no pod
// of another out; in one namespace the newer pod counts.
func TestAnAddressInTwoNamespaces(t *testing.T) {
	m := shop()
	thief := *m.Services[0]
	thief.Ref.Namespace = "thief"
	m.Services = append(m.Services, &thief)
	p, svc, sl := podOf("newer", "api/v1", "version=v1"), serviceNamed("api", "10.96.0.9"), sliceOf("x", "api", 8080, up("newer", "10.0.0.1"))
	p.Namespace, svc.Namespace, sl.Namespace = "thief", "thief", "thief"
	p.CreationTimestamp = metav1.Now()
	s := cluster().add(p, svc, sl)
	list, faults := place(m, s, nil)
	if !named(t, list, "api-0").Ready || !named(t, list, "newer").Ready {
		t.Errorf("one gives way to the other: %q", faults)
	}
	if !strings.Contains(strings.Join(faults, "\n"), "shop/api-0 and thief/newer of two namespaces are both at 10.0.0.1") {
		t.Errorf("%q", faults)
	}
	again := podOf("api-1", "api/v1", "version=v1")
	again.CreationTimestamp = metav1.Now()
	list, _ = place(m, s.add(again, sliceOf("api-9", "api", 8080, up("api-1", "10.0.0.1"))), nil)
	if named(t, list, "api-0").Ready || !named(t, list, "api-1").Ready || !named(t, list, "newer").Ready {
		t.Error("of two of a namespace, not the newer one counts")
	}
}

// TestEnding: a pod that is being deleted ends before its slice says so, and is left
// to callers while no other serves.
func TestEnding(t *testing.T) {
	s := cluster()
	now := metav1.Now()
	s.pods["shop/api-0"].DeletionTimestamp = &now
	list, _ := place(shop(), s, nil)
	if !named(t, list, "api-0").Ready {
		t.Error("the last one that serves is not taken")
	}
	s.add(podOf("api-1", "api/v1", "version=v1"), sliceOf("api-9", "api", 8080, up("api-1", "10.0.0.9")))
	list, _ = place(shop(), s, nil)
	if named(t, list, "api-0").Ready || !named(t, list, "api-1").Ready {
		t.Error("what ends is taken beside what serves")
	}
}

// maxBytes is what may be kept of a pod, its entry in a slice included.
const maxBytes = 2 << 10

// TestMemory: what is kept of 5,000 pods, as they are in clusters.
func TestMemory(t *testing.T) {
	const count = 5000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	keptPods, keptSlices := make([]any, 0, count), make([]any, 0, count/100)
	for i := range count {
		o, err := trimPod(metadataOfPod(i))
		if err != nil {
			t.Fatal(err)
		}
		keptPods = append(keptPods, o)
		if i%100 == 99 {
			o, err := trim(sliceOfHundred(i / 100))
			if err != nil {
				t.Fatal(err)
			}
			keptSlices = append(keptSlices, o)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int(after.HeapAlloc-before.HeapAlloc) / count
	t.Logf("%d bytes for each of %d pods", each, count)
	if each > maxBytes || len(keptPods)+len(keptSlices) != count+count/100 {
		t.Errorf("%d bytes for a pod, want at most %d", each, maxBytes)
	}
	runtime.KeepAlive(keptPods)
	runtime.KeepAlive(keptSlices)
}

func metadataOfPod(i int) *metav1.PartialObjectMetadata {
	name := fmt.Sprintf("service-%d-7d9c5b6f4d-%05d", i/10, i)
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: fmt.Sprintf("team-%d", i/100), Name: name, UID: "0b6c2a1e-6a0e-4b0e-9a54-1f2d3c4b5a69", ResourceVersion: fmt.Sprint(1000000 + i),
		Labels:        map[string]string{"app": fmt.Sprintf("service-%d", i/10), "version": "v1", "pod-template-hash": fmt.Sprintf("%d", i/10), "app.kubernetes.io/part-of": "shop"},
		Annotations:   map[string]string{InjectedKey: fmt.Sprintf("service-%d/v1", i/10), "kubernetes.io/config.seen": strings.Repeat("x", 400)},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: &metav1.FieldsV1{}}},
	}}
}

func sliceOfHundred(n int) *discoveryv1.EndpointSlice {
	tcp, name, port, yes, no, zone := corev1.ProtocolTCP, "http", int32(8080), true, false, "a"
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: fmt.Sprintf("team-%d", n), Name: fmt.Sprintf("service-%d-abcde", n), Labels: map[string]string{discoveryv1.LabelServiceName: "service"}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &tcp}},
	}
	for i := range 100 {
		node := fmt.Sprintf("node-%d", i%20)
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("10.%d.0.%d", n, i)}, Conditions: discoveryv1.EndpointConditions{Ready: &yes, Serving: &yes, Terminating: &no},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: s.Namespace, Name: fmt.Sprintf("service-%d-%05d", n, i)}, NodeName: &node, Zone: &zone,
		})
	}
	return s
}
