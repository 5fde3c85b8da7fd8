package xds

import (
	"fmt"
	"testing"
	"time"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// BenchmarkCommit makes the resources of every proxy of a mesh whose services
// use five others each, as a commit does that changes one route, or nothing.
func BenchmarkCommit(b *testing.B) {
	for _, services := range []int{500, 2000} {
		b.Run(fmt.Sprint(services), func(b *testing.B) {
			d := wide(services)
			known := newInterner()
			build := func(old *state) *state {
				st, err := (&builder{emit: indexed, now: time.Unix(0, 0), commit: "c", old: old, known: known, bundles: map[string]*Resource{
					emitxds.BundleName(domain): {Key: Key{SDS, emitxds.BundleName(domain)}},
				}}).build(d)
				if err != nil {
					b.Fatal(err)
				}
				return st
			}
			st := build(nil)
			for b.Loop() {
				d.Mesh.Services[7].Routes[0].Timeout += time.Second
				st = build(st)
			}
		})
	}
}

func wide(services int) *Desired {
	m := &model.Mesh{Name: "wide", TrustDomain: domain}
	for i := range services {
		m.Services = append(m.Services, service(fmt.Sprintf("s%05d", i), model.HTTP, "v1", "v2"))
	}
	for i, s := range m.Services {
		for j := range 5 {
			s.Uses = append(s.Uses, m.Services[(i+j*j*37+1)%services].Ref)
		}
	}
	return &Desired{Mesh: m, Workloads: emitxds.DefaultWorkloads(m)}
}
