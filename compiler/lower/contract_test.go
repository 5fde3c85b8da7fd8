package lower_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/lower"
)

// drawMesh makes a small mesh whose names and literals are as often wrong as
// right.
func drawMesh(t *rapid.T) *intent.Mesh {
	m := &intent.Mesh{}
	if rapid.Bool().Draw(t, "mesh mtls") {
		m.Config.MTLS = some(rapid.SampledFrom([]string{"strict", "permissive", "disable"}).Draw(t, "mode"))
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "services") {
		m.Services = append(m.Services, drawService(t, i))
	}
	for i := range rapid.IntRange(0, 1).Draw(t, "gateways") {
		g := gateway(fmt.Sprintf("g%d", i))
		for j := range rapid.IntRange(0, 3).Draw(t, "gateway routes") {
			r := gatewayRoute(j, name(t), drawMatches(t)...)
			r.Hosts = list(rapid.SampledFrom([]string{"*", "*.a.example", "b.a.example", "a..b"}).Draw(t, "host"))
			g.Routes = append(g.Routes, r)
		}
		m.Gateways = append(m.Gateways, g)
	}
	return m
}

func name(t *rapid.T) string {
	return rapid.SampledFrom([]string{"s0", "s1", "s2", "default/s0", "nobody", "*"}).Draw(t, "name")
}

func oneOf(t *rapid.T, label string, good string, bad ...string) intent.Value[string] {
	if rapid.IntRange(0, 9).Draw(t, label+" is bad") > 0 {
		return text(good)
	}
	return text(rapid.SampledFrom(bad).Draw(t, label))
}

func drawService(t *rapid.T, i int) *intent.Service {
	s := service(fmt.Sprintf("s%d", i))
	s.Versions = s.Versions[:rapid.IntRange(0, 2).Draw(t, "versions")]
	s.Ports = s.Ports[:rapid.IntRange(0, 1).Draw(t, "ports")]
	for range rapid.IntRange(0, 2).Draw(t, "uses") {
		s.Uses = append(s.Uses, &intent.Use{Ref: text(name(t))})
	}
	for j := range rapid.IntRange(0, 3).Draw(t, "routes") {
		s.Routes = append(s.Routes, drawRoute(t, j))
	}
	if rapid.Bool().Draw(t, "fault") {
		s.Faults = []*intent.Fault{{
			Name: text("f"), On: oneOf(t, "on", "r0", "default", "zz"), Until: oneOf(t, "until", "2099-01-01T00:00:00Z", "", "soon"),
			Delay: &intent.Delay{Fixed: oneOf(t, "fixed", "1s", "0s", "-1s"), Percent: oneOf(t, "percent", "0.5", "", "101", "1e1")},
		}}
	}
	if rapid.Bool().Draw(t, "allow") {
		s.Security = &intent.Security{HasAllow: true, Allow: []*intent.Rule{{From: list(name(t), name(t))}}}
	}
	return s
}

func drawRoute(t *rapid.T, j int) *intent.Route {
	file := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "file")
	r := route(fmt.Sprintf("r%d", j), file, j, drawMatches(t)...)
	r.To = []*intent.Weight{
		{Version: oneOf(t, "version", "v1", "v3"), Percent: oneOf(t, "weight", "99.5", "", "-1", "x")},
		{Version: oneOf(t, "version", "v2", "v1"), Percent: oneOf(t, "weight", "0.5", "0.005", "200")},
	}
	if rapid.Bool().Draw(t, "before") {
		r.Before = list(oneOf(t, "before", "r0", "r2", "zz").V)
	}
	if rapid.Bool().Draw(t, "retries") {
		timeout, perTry := oneOf(t, "timeout", "5s", "0s", "x", "1us"), oneOf(t, "perTry", "1s", "9s", "")
		r.Timeout = &timeout
		r.Retries = &intent.Retries{
			Attempts: number(rapid.IntRange(-1, 3).Draw(t, "attempts")), PerTry: &perTry,
			On: []intent.Value[string]{oneOf(t, "word", "5xx", "503", "700", "zz")},
		}
	}
	return r
}

// TestWhatCheckAcceptsLowers holds the contract between the two: lower panics
// on what check refuses and on nothing else, and makes models that are whole.
func TestWhatCheckAcceptsLowers(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		m := drawMesh(t)
		if check.Intent(m).HasErrors() {
			return
		}
		accepted++
		out, diags := lower.Mesh(m, lower.Options{})
		if err := out.Validate(); err != nil {
			t.Fatal(err)
		}
		if !diags.HasErrors() {
			check.Model(out, time.Unix(0, 0))
		}
	})
	if accepted == 0 {
		t.Error("check accepted nothing, so nothing was tried")
	}
}
