package check_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// BenchmarkGateway judges one gateway with a thousand rules, the worst case of
// the pairwise passes.
func BenchmarkGateway(b *testing.B) {
	var table model.GatewayHost
	for i := range 3000 {
		table.Routes = append(table.Routes, &model.GatewayRoute{
			Name: fmt.Sprint(i), Origin: diag.Range{File: "a", Start: diag.NewPos(i/3+1, 0)},
			Route: &model.Route{Match: []model.Match{{Paths: []model.PathMatch{{Kind: model.Prefix, Value: fmt.Sprintf("/service-%d/", i)}}}}},
		})
	}
	m := &model.Mesh{Gateways: []*model.Gateway{{Listeners: []model.GatewayListener{{Hosts: []model.GatewayHost{table}}}}}}
	for b.Loop() {
		check.Model(m, time.Now())
	}
}
