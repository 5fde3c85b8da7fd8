package kube

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/apiserver"
	"github.com/meshc/meshc/test/soak"
)

func TestMain(m *testing.M) { apiserver.Run(m) }

const patience = time.Minute

// api is the mesh of these tests: one service with two versions and two ports.
func api(namespace string) *model.Mesh {
	return &model.Mesh{TrustDomain: "cluster.local", Services: []*model.Service{{
		Ref: model.Ref{Namespace: namespace, Name: "api"}, ServiceAccount: "api",
		Ports: []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}, {Name: "admin", Number: 81, Protocol: model.HTTP}},
		Versions: []model.Version{
			{Name: "v1", Labels: map[string]string{"version": "v1"}}, {Name: "v2", Labels: map[string]string{"version": "v2"}},
		},
	}}}
}

// raw is what has been written, as it was written.
type raw struct {
	ports  map[int32]string // of the Service
	pods   map[string]*corev1.Pod
	slices map[string]*discoveryv1.EndpointSlice
}

// seen is the mesh as the specification of the API and decision 0018 have it, by the
// plainest way that there is from raw to it: a line for each pod.
func (r *raw) seen() []string {
	var out []string
	ending, any := map[string][]int{}, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(r.pods)) {
		p := r.pods[name]
		version := p.Labels["version"]
		if !strings.HasPrefix(p.Annotations["meshc.dev/injected"], "api/") || version != "v1" && version != "v2" {
			continue
		}
		line, ready, serves := r.pod(name)
		if line == "" {
			continue
		}
		any[version] = any[version] || ready
		if serves {
			ending[version] = append(ending[version], len(out))
		}
		out = append(out, fmt.Sprintf("%s %s %s ready=%t", name, version, line, ready))
	}
	for version, list := range ending {
		for _, i := range list {
			if !any[version] {
				out[i] = strings.Replace(out[i], "ready=false", "ready=true", 1)
			}
		}
	}
	return out
}

// pod says where a pod is by all slices, whether it is ready, and whether it ends and
// serves.
func (r *raw) pod(name string) (line string, ready, serves bool) {
	var v4, v6, zone string
	var ports map[string]int32
	ends := false
	for _, s := range slices.Sorted(maps.Keys(r.slices)) {
		for _, e := range r.slices[s].Endpoints {
			if e.TargetRef == nil || e.TargetRef.Name != name {
				continue
			}
			is := func(b *bool, otherwise bool) bool {
				if b == nil {
					return otherwise
				}
				return *b
			}
			up := is(e.Conditions.Ready, true)
			ready, serves, ends = ready || up, serves || is(e.Conditions.Serving, up), ends || is(e.Conditions.Terminating, false)
			if r.slices[s].AddressType == discoveryv1.AddressTypeIPv4 {
				v4 = cmp.Or(v4, e.Addresses[0])
			} else {
				v6 = cmp.Or(v6, e.Addresses[0])
			}
			if e.Zone != nil {
				zone = cmp.Or(zone, *e.Zone)
			}
			if ports == nil {
				ports = map[string]int32{}
				for _, p := range r.slices[s].Ports {
					ports[*p.Name] = *p.Port
				}
			}
		}
	}
	if v4+v6 == "" {
		return "", false, false
	}
	used := map[int32]bool{}
	for _, number := range []int32{80, 81} {
		to := ports[r.ports[number]]
		if r.ports[number] == "" || to == 0 {
			continue
		}
		call := to
		if used[call] {
			call = number
		}
		if used[call] {
			continue
		}
		used[call] = true
		at, own := v4, "127.0.0.1"
		if v4 == "" {
			at, own = "["+v6+"]", "[::1]"
		}
		line += fmt.Sprintf("%d:%s:%d>%s:%d ", number, at, call, own, to)
	}
	return line + "zone=" + zone, ready && !ends, ends && serves
}

// written writes a list of workloads the same way.
func written(list []*model.Workload) []string {
	var out []string
	for _, w := range list {
		line := w.ID + " " + w.Version + " "
		for _, n := range sortedPorts(w) {
			line += fmt.Sprintf("%d:%s>%s ", n, w.Inbound[n], w.App[n])
		}
		out = append(out, fmt.Sprintf("%szone=%s ready=%t", line, w.Locality.Zone, w.Ready))
	}
	return out
}

// bench is a namespace of the API server, what has been written to it, and the Source.
type bench struct {
	*raw
	t         *testing.T
	client    *dynamic.DynamicClient
	namespace string
	rnd       *rand.Rand
}

func (b *bench) write(r schema.GroupVersionResource, kind string, o metav1.Object) {
	b.t.Helper()
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		b.t.Fatal(err)
	}
	delete(fields, "status")
	u := &unstructured.Unstructured{Object: fields}
	u.SetGroupVersionKind(r.GroupVersion().WithKind(kind))
	to := b.client.Resource(r).Namespace(b.namespace)
	if kind == "Node" {
		_, err = b.client.Resource(r).Apply(b.t.Context(), u.GetName(), u, metav1.ApplyOptions{FieldManager: "test", Force: true})
	} else {
		_, err = to.Apply(b.t.Context(), u.GetName(), u, metav1.ApplyOptions{FieldManager: "test", Force: true})
	}
	if err != nil {
		b.t.Fatalf("%s %s: %v", kind, u.GetName(), err)
	}
}

func (b *bench) remove(r schema.GroupVersionResource, name string) {
	b.t.Helper()
	if err := b.client.Resource(r).Namespace(b.namespace).Delete(b.t.Context(), name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		b.t.Fatal(err)
	}
}

var (
	podResource   = corev1.SchemeGroupVersion.WithResource("pods")
	sliceResource = discoveryv1.SchemeGroupVersion.WithResource("endpointslices")
)

// edit changes one thing.
func (b *bench) edit() {
	switch n := b.rnd.IntN(10); {
	case n < 6:
		b.editSlice(fmt.Sprintf("api-%d", b.rnd.IntN(4)))
	case n < 9:
		b.editPod(fmt.Sprintf("p%d", b.rnd.IntN(6)))
	default:
		b.editService()
	}
}

func (b *bench) editService() {
	b.ports = map[int32]string{80: "main"}
	if b.rnd.IntN(2) == 0 {
		b.ports[81] = "other"
	}
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "api"}}
	for _, number := range slices.Sorted(maps.Keys(b.ports)) {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: b.ports[number], Port: number, Protocol: corev1.ProtocolTCP})
	}
	b.write(corev1.SchemeGroupVersion.WithResource("services"), "Service", s)
}

func (b *bench) editPod(name string) {
	if b.pods[name] != nil && b.rnd.IntN(4) == 0 {
		delete(b.pods, name)
		b.remove(podResource, name)
		return
	}
	no := false
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"version": []string{"v1", "v1", "v2", "v3"}[b.rnd.IntN(4)]},
		Annotations: map[string]string{"meshc.dev/injected": []string{"api/v1", "api/v2", "api/v1", "other/v1"}[b.rnd.IntN(4)]}}}
	p.Spec = corev1.PodSpec{ServiceAccountName: "api", AutomountServiceAccountToken: &no, Containers: []corev1.Container{{Name: "app", Image: "app"}}}
	b.pods[name] = p
	b.write(podResource, "Pod", p)
}

func (b *bench) editSlice(name string) {
	if b.slices[name] != nil && b.rnd.IntN(5) == 0 {
		delete(b.slices, name)
		b.remove(sliceResource, name)
		return
	}
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "api"}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{},
	}
	six := name == "api-3" // what a slice is of never changes
	if six {
		s.AddressType = discoveryv1.AddressTypeIPv6
	}
	tcp := corev1.ProtocolTCP
	for _, port := range []string{"main", "other"} {
		if b.rnd.IntN(8) > 0 {
			to := int32(8080 + b.rnd.IntN(2))
			s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: &port, Port: &to, Protocol: &tcp})
		}
	}
	for i := range 6 {
		if b.rnd.IntN(2) > 0 {
			continue
		}
		e := discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.0.0.%d", i+1)}, Conditions: discoveryv1.EndpointConditions{Ready: b.maybe(), Serving: b.maybe(), Terminating: b.maybe()}}
		if six {
			e.Addresses[0] = fmt.Sprintf("fd00::%d", i+1)
		}
		if b.rnd.IntN(8) > 0 {
			e.TargetRef = &corev1.ObjectReference{Kind: "Pod", Namespace: b.namespace, Name: fmt.Sprintf("p%d", i)}
		}
		if b.rnd.IntN(2) > 0 {
			zone, node := []string{"a", "b"}[i%2], "random"
			e.Zone, e.NodeName = &zone, &node
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	b.slices[name] = s
	b.write(sliceResource, "EndpointSlice", s)
}

func (b *bench) maybe() *bool {
	n := b.rnd.IntN(3)
	if n == 2 {
		return nil
	}
	yes := n == 1
	return &yes
}

// TestRandomEdits: after any sequence of edits of slices, pods and the Service in a
// real API server, the Source has what a plain reading of all that was written has.
func TestRandomEdits(t *testing.T) {
	server := apiserver.Start(t)
	b := &bench{t: t, client: server.Client(t, apiserver.Admin), namespace: server.Namespace(t)}
	ctx, cancel := context.WithCancel(t.Context())
	source, err := New(server.Config(apiserver.Admin))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); source.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	b.write(corev1.SchemeGroupVersion.WithResource("nodes"), "Node", &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "random", Labels: map[string]string{corev1.LabelTopologyRegion: "r"}}})
	b.write(corev1.SchemeGroupVersion.WithResource("serviceaccounts"), "ServiceAccount", &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "api"}})
	if err := source.Synced(ctx); err != nil {
		t.Fatal(err)
	}
	b.raw = &raw{pods: map[string]*corev1.Pod{}, slices: map[string]*discoveryv1.EndpointSlice{}}
	mesh, edits, ready := api(b.namespace), 0, 0
	from, to := soak.Seeds(t, 20, 1000)
	for seed := from; seed < to; seed++ {
		b.rnd = rand.New(rand.NewPCG(seed, 18))
		if seed == from {
			b.editService()
		}
		for range 1 + b.rnd.IntN(8) {
			b.edit()
			edits++
		}
		ready += b.compare(seed, mesh, source)
	}
	t.Logf("%d sequences with %d edits; %d ready workloads were seen", to-from, edits, ready)
	if ready == 0 {
		t.Error("no workload was ever ready")
	}
}

// compare waits until the Source has what is expected, and gives how many are ready.
func (b *bench) compare(seed uint64, mesh *model.Mesh, source *Source) int {
	b.t.Helper()
	want := b.seen()
	deadline := time.Now().Add(patience)
	for {
		changed := source.next()
		got, faults := place(mesh, cached{source}, nil)
		if slices.Equal(written(got), want) {
			return len(got) - len(slices.DeleteFunc(got, func(w *model.Workload) bool { return w.Ready }))
		}
		select {
		case <-changed:
		case <-time.After(time.Until(deadline)):
			b.t.Fatalf("seed %d:\ngot  %s\nwant %s\nfaults %q", seed, strings.Join(written(got), "\n     "), strings.Join(want, "\n     "), faults)
		}
	}
}
