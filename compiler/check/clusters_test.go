package check

import (
	"fmt"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/snapshot"
)

// BenchmarkSnapshot judges a mesh of ten thousand services in one namespace
// beside two pods of each.
func BenchmarkSnapshot(b *testing.B) {
	const n = 10000
	m := layered(n, 5)
	c := snapshot.Cluster{Name: "east", Namespaces: []snapshot.Namespace{{Name: "n"}}}
	for _, s := range m.Services {
		s.Ports = []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}}
		s.ServiceAccount = s.Name
		s.Versions[0].Labels = map[string]string{"version": "v1"}
		c.Services = append(c.Services, snapshot.Service{Namespace: "n", Name: s.Name, Selector: map[string]string{"app": s.Name, "mesh": "x"}, Ports: []snapshot.ServicePort{{Port: 80}}})
		for k := range 2 {
			c.Pods = append(c.Pods, snapshot.Pod{Namespace: "n", Name: fmt.Sprintf("%s-%d", s.Name, k), ServiceAccount: s.Name, ProxyImage: "p:1",
				Labels: map[string]string{"app": s.Name, "mesh": "x", "version": "v1"}})
		}
	}
	s := &snapshot.Snapshot{Clusters: []snapshot.Cluster{c}}
	for b.Loop() {
		if d := Snapshot(m, s, time.Now()); d.HasErrors() {
			b.Fatal(d[0])
		}
	}
}
