package xds_test

import (
	"fmt"
	"testing"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// BenchmarkEmit is one sidecar of a mesh of 1,000 services that uses five.
func BenchmarkEmit(b *testing.B) {
	m := &model.Mesh{TrustDomain: domain}
	for i := range 1000 {
		m.Services = append(m.Services, newService(fmt.Sprintf("s%04d", i), "v1", "v2"))
	}
	for i, s := range m.Services {
		for j := 1; j <= 5; j++ {
			s.Uses = append(s.Uses, m.Services[(i+j)%1000].Ref)
		}
	}
	all := xds.DefaultWorkloads(m)
	for b.Loop() {
		if _, err := xds.Emit(m, all[7], all, xds.Options{Now: now}); err != nil {
			b.Fatal(err)
		}
	}
}
