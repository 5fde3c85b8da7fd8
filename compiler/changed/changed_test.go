package changed_test

import (
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

func text(s string) intent.Value[string] { return intent.Value[string]{V: s} }

func service() *intent.Service {
	timeout := text("5s")
	return &intent.Service{
		Name: text("cart"), Uses: []*intent.Use{{Ref: text("pay")}},
		Routes: []*intent.Route{{Name: text("all"), Timeout: &timeout, To: []*intent.Weight{{Version: text("v1"), Percent: text("100")}}}},
	}
}

func TestOutlines(t *testing.T) {
	was := changed.Of(service())
	for name, c := range map[string]struct {
		edit            func(s *intent.Service)
		content, placed bool // the same
	}{
		"nothing": {func(*intent.Service) {}, true, true},
		"timeout": {func(s *intent.Service) { s.Routes[0].Timeout.V = "6s" }, true, true},
		"weight":  {func(s *intent.Service) { s.Routes[0].To[0].Percent.V = "99" }, true, true},
		"place":   {func(s *intent.Service) { s.Uses[0].At = diag.Range{File: "a.cue", Start: diag.Pos{Line: 3}} }, true, false},
		"use":     {func(s *intent.Service) { s.Uses[0].Ref.V = "other" }, false, false},
		"version": {func(s *intent.Service) { s.Routes[0].To[0].Version.V = "v2" }, false, false},
		"route":   {func(s *intent.Service) { s.Routes = append(s.Routes, &intent.Route{Name: text("more")}) }, false, false},
		"owner":   {func(s *intent.Service) { s.Owner = &s.Name }, false, false},
	} {
		s := service()
		c.edit(s)
		is := changed.Of(s)
		if (is.Content == was.Content) != c.content || (is.Placed == was.Placed) != c.placed {
			t.Errorf("%s: content is the same: %v, placed: %v", name, is.Content == was.Content, is.Placed == was.Placed)
		}
	}
}

// An outline is made of copies: what it leaves out is still there.
func TestOutlinesChangeNothing(t *testing.T) {
	s := service()
	changed.Of(s)
	if s.Routes[0].Timeout == nil || s.Routes[0].To[0].Percent.V != "100" {
		t.Error("an outline took fields away")
	}
	route := &model.Route{Name: "all", Split: []model.Split{{Version: "v1"}}}
	changed.OfModel(&model.Service{Routes: []*model.Route{route}})
	changed.OfGateway(&model.Gateway{Listeners: []model.GatewayListener{{Hosts: []model.GatewayHost{{Routes: []*model.GatewayRoute{{Route: route}}}}}}})
	if route.Split == nil {
		t.Error("an outline took fields away")
	}
}

func TestReads(t *testing.T) {
	var r changed.Reads
	a, b := model.Ref{Name: "a"}, model.Ref{Name: "b"}
	r.Note(a) // nobody asks
	r.Begin(3)
	r.Note(a)
	r.Note(a)
	r.End()
	r.Note(b)
	r.Begin(1)
	r.Note(a)
	if got := r.Askers(a); !slices.Equal(got, []int32{3, 1}) {
		t.Error(got)
	}
	if got := r.Askers(b); got != nil {
		t.Error(got)
	}
	var none *changed.Reads
	none.Begin(1)
	none.Note(a)
	none.End()
}
