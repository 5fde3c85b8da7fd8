package policies_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/policies"
)

// handful are rules that read owners, routes, calls, faults and who is let in.
const handful = `
rule: owned: {over: "mesh", deny: [for ref, s in mesh.service if s.owner == "" {message: "nobody owns it", service: ref}]}
rule: short: {over: "mesh", deny: [for ref, s in mesh.service for r in s.routes if r.timeout > 20 {message: "\(r.name) is slow", service: ref, route: r.name}]}
rule: owners: {over: "mesh", warn: [for ref, s in mesh.service for u in s.uses if mesh.service[u] != _|_ if mesh.service[u].owner == "" {message: "\(u) has no owner", service: ref}]}
rule: faults: {over: "mesh", deny: [for ref, s in mesh.service for r in s.routes for f in r.faults if f.percent > 50 {message: "\(f.name) is for most", service: ref, route: r.name}]}
rule: open: {over: "mesh", deny: [for ref, s in mesh.service for a in s.allow if a.anybody {message: "anybody", service: ref}]}
`

// BenchmarkRules asks a handful of rules about a mesh, in the child that
// bounds them, and one whose view is whole.
func BenchmarkRules(b *testing.B) {
	for _, n := range []int{100, 1000} {
		m := &model.Mesh{TrustDomain: "td"}
		for i := range n {
			s := &model.Service{
				Ref: model.Ref{Namespace: "shop", Name: fmt.Sprintf("s%05d", i)}, Owner: "team", SPIFFEID: fmt.Sprintf("spiffe://td/ns/shop/sa/s%05d", i), MTLS: model.MTLSStrict,
				Ports: []model.Port{{Name: "http", Number: 8080, Protocol: model.HTTP}}, Versions: []model.Version{{Name: "v1"}, {Name: "v2"}},
				Allow: []model.Rule{{Principals: []string{fmt.Sprintf("spiffe://td/ns/shop/sa/s%05d", (i+n-1)%n)}}},
				Uses:  []model.Ref{{Namespace: "shop", Name: fmt.Sprintf("s%05d", (i+1)%n)}},
			}
			for j := range 20 {
				s.Routes = append(s.Routes, &model.Route{Name: fmt.Sprint("r", j), Ports: []uint16{8080}, Timeout: 15 * time.Second,
					Split: []model.Split{{Version: "v1", BasisPoints: 9000}, {Version: "v2", BasisPoints: 1000}}})
			}
			m.Services = append(m.Services, s)
		}
		in := &intent.Mesh{Rules: []intent.RuleFile{{Path: "policies/a.cue", Data: []byte(rulesHead + handful)}}}
		b.Run(fmt.Sprintf("%d services with 20 routes", n), func(b *testing.B) {
			for b.Loop() {
				got, err := policies.RulesOfMesh(b.Context(), in, m, load.RuleEvaluator{}, now)
				if err != nil || got.HasErrors() {
					b.Fatal(err, got)
				}
			}
		})
	}
}
