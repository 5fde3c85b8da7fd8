package answer

import (
	"testing"

	"github.com/meshc/meshc/compiler/model"
)

// TestAsked: an authorizer is asked about all, about what `on` holds for, or
// about what `except` does not hold for.
func TestAsked(t *testing.T) {
	posts := []model.Rule{
		{Any: true, Methods: []string{"POST"}, Hosts: []model.NamedMatch{{Name: model.HostHeader, Kind: model.Suffix, Value: ".example"}}},
		{Any: true, Paths: []model.PathMatch{{Kind: model.SegmentPrefix, Value: "/a"}}},
	}
	for _, c := range []struct {
		method, host, target string
		held                 bool
	}{
		{"POST", "x.example", "/", true},
		{"GET", "x.example", "/", false},
		{"POST", "example", "/", false},
		{"GET", "other", "/a/b?c=d", true},
		{"GET", "other", "/ab", false},
		{"GET", "other", "/?/a", false},
	} {
		r := &Request{Method: c.method, Host: c.host, Target: c.target}
		for name, want := range map[string]struct {
			whom  model.Authorizer
			asked bool
		}{
			"all":    {model.Authorizer{}, true},
			"on":     {model.Authorizer{On: posts}, c.held},
			"except": {model.Authorizer{Except: posts}, !c.held},
		} {
			a := &asking{out: &Answer{}}
			a.asks(model.Ref{Name: "a"}, &want.whom, r)
			if got := len(a.out.Asked) > 0; got != want.asked {
				t.Errorf("%s %s%s, %s: asked %v, want %v", c.method, c.host, c.target, name, got, want.asked)
			}
		}
	}
}
