package guard

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

func mesh(services ...string) *model.Mesh {
	m := &model.Mesh{Name: "m", TrustDomain: "cluster.local"}
	for _, name := range services {
		ns, name, _ := strings.Cut(name, "/")
		m.Services = append(m.Services, &model.Service{
			Ref: model.Ref{Namespace: ns, Name: name}, MTLS: model.MTLSStrict, Owner: "team", ServiceAccount: name, SPIFFEID: model.SPIFFEID("cluster.local", ns, name), Host: name + "." + ns + ".svc.cluster.local", Versions: []model.Version{{Name: "v1"}},
			Ports:  []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}},
			Routes: []*model.Route{{Name: "all", Ports: []uint16{80}, Split: []model.Split{{Version: "v1", BasisPoints: model.BasisPointsWhole}}}},
		})
	}
	return m
}

func TestGuards(t *testing.T) {
	four := []string{"a/1", "a/2", "a/3", "a/4"}
	weak := mesh(four...)
	weak.Services[1].MTLS = model.MTLSPermissive
	open := mesh(four...)
	for _, s := range append(open.Services, weak.Services...) {
		s.Allow = nil
	}
	open.Services[2].Allow = []model.Rule{{Authenticated: true}}
	gateway := mesh(four...)
	gateway.Gateways = []*model.Gateway{{Ref: model.Ref{Namespace: "edge", Name: "g"}}}
	edges, one := mesh(), mesh()
	for _, name := range []string{"1", "2", "3"} {
		edges.Gateways = append(edges.Gateways, &model.Gateway{Ref: model.Ref{Namespace: "edge", Name: name}})
	}
	one.Gateways = edges.Gateways[:1]
	outside := mesh("a/1")
	for _, name := range []string{"x", "y", "z"} {
		outside.Externals = append(outside.Externals, &model.External{Ref: model.Ref{Namespace: "b", Name: name}})
	}
	for name, c := range map[string]struct {
		guards        Guards
		serving, next *model.Mesh
		want          string // "": let by
	}{
		"the first commit":            {Guards{}, nil, mesh("a/1"), ""},
		"the same":                    {Guards{MTLS: true, Access: true}, mesh(four...), mesh(four...), ""},
		"half":                        {Guards{}, mesh(four...), mesh("a/1", "a/2"), ""},
		"more than half":              {Guards{}, mesh(four...), mesh("a/1", "b/1"), "a/2, a/3, a/4 are gone with one commit, 3 of 4, and 50 % may be"},
		"all, renamed":                {Guards{}, mesh(four...), mesh("b/1", "b/2", "b/3", "b/4"), "and 1 more are gone with one commit, 4 of 4"},
		"as many as may be":           {Guards{PrunePercent: 100}, mesh(four...), mesh("b/1"), ""},
		"more than a quarter":         {Guards{PrunePercent: 25}, mesh(four...), mesh("a/1", "a/2"), "a/3, a/4 are gone with one commit, 2 of 4, and 25 % may be"},
		"more than one":               {Guards{PruneCount: 1}, mesh(four...), mesh("a/1", "a/2"), "a/3, a/4 are gone with one commit, and 1 may be"},
		"one":                         {Guards{PruneCount: 1}, mesh(four...), mesh("a/1", "a/2", "a/3"), ""},
		"a gateway counts":            {Guards{PruneCount: 1, PrunePercent: 10}, gateway, mesh(four...), "edge/g is gone with one commit, 1 of 5, and 10 % may be"},
		"gateways alone":              {Guards{}, edges, one, "edge/2, edge/3 are gone with one commit, 2 of 3"},
		"externals":                   {Guards{}, outside, mesh("a/1"), "b/x, b/y, b/z are gone with one commit, 3 of 4"},
		"everything is asked apart":   {Guards{}, mesh(four...), mesh(), ""},
		"another namespace":           {Guards{Namespaces: []string{"a"}}, mesh(four...), mesh("a/1", "a/2", "a/3", "a/4", "c/5"), "c/5 is outside the namespaces of this mesh (a)"},
		"another, and nothing before": {Guards{Namespaces: []string{"a"}}, nil, mesh("c/5"), "c/5 is outside"},
		"a gateway outside":           {Guards{Namespaces: []string{"a"}}, nil, gateway, "edge/g is outside"},
		"mutual TLS, not guarded":     {Guards{}, mesh(four...), weak, ""},
		"mutual TLS":                  {Guards{MTLS: true}, mesh(four...), weak, "MSH"},
		"access, not guarded":         {Guards{MTLS: true}, mesh(four...), open, ""},
		"access":                      {Guards{Access: true}, mesh(four...), open, "a/3"},
		"gone back to":                {Guards{PruneCount: 1, Back: "c"}, mesh(four...), mesh("b/1"), ""},
		"gone back to, and outside":   {Guards{Namespaces: []string{"a"}, Back: "c"}, mesh(four...), mesh("b/1"), "b/1 is outside"},
		"another is gone back to":     {Guards{Back: "d"}, mesh(four...), mesh("b/1"), "are gone"},
		"approved":                    {Guards{MTLS: true, PruneCount: 1, Namespaces: []string{"x"}, Approved: "c"}, mesh(four...), mesh("a/1"), ""},
		"another is approved":         {Guards{PruneCount: 1, Approved: "d"}, mesh(four...), mesh("a/1"), "are gone"},
	} {
		held, err := c.guards.Hold(c.serving, "c", &compiler.Result{Model: c.next})
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case (held == nil) != (c.want == ""), held != nil && !strings.Contains(held.Text, c.want):
			t.Errorf("%s: %+v, want %q", name, held, c.want)
		}
	}
}

// TestAnExemptionLetsBy: of the mesh's own policy of that kind.
func TestAnExemptionLetsBy(t *testing.T) {
	before, after := mesh("a/1", "a/2"), mesh("a/1", "a/2")
	after.Services[1].MTLS = model.MTLSPermissive
	value := func(v string) intent.Value[string] { return intent.Value[string]{V: v} }
	service := value("a/2")
	in := &intent.Mesh{Config: intent.Config{Policies: []*intent.Policy{{
		Name: value("mtls-never-weaker"), MTLS: &diag.Range{},
		Exemptions: []*intent.Exemption{{Name: value("x"), Service: &service, Reason: value("migration"), Owner: value("team"), Until: value("2100-01-01T00:00:00Z")}},
	}}}}
	g := Guards{MTLS: true}
	if held, err := g.Hold(before, "c", &compiler.Result{Model: after, Intent: in}); err != nil || held != nil {
		t.Errorf("%+v %v", held, err)
	}
	after.Services[0].MTLS = model.MTLSDisable // for which there is none
	held, err := g.Hold(before, "c", &compiler.Result{Model: after, Intent: in})
	if err != nil || held == nil || !strings.Contains(held.Text, "a/1") || len(held.Found) != 1 {
		t.Errorf("%+v %v", held, err)
	}
	// A policy that only warns is held all the same.
	warn := value("warning")
	in.Config.Policies[0].Severity = &warn
	if held, err := g.Hold(before, "c", &compiler.Result{Model: after, Intent: in}); err != nil || held == nil {
		t.Errorf("%+v %v", held, err)
	}
}
