package behave_test

import (
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
)

// chain is web → page → reviews, of which the last lets every service in.
func chain() *model.Mesh {
	r := reviews()
	r.Allow = []model.Rule{{Authenticated: true}}
	caller := func(name string, uses ...model.Ref) *model.Service {
		return &model.Service{Ref: model.Ref{Namespace: "default", Name: name}, SPIFFEID: "spiffe://td/ns/default/sa/" + name, MTLS: model.MTLSStrict, Uses: uses}
	}
	page := caller("page", r.Ref)
	return &model.Mesh{TrustDomain: "td", Services: []*model.Service{page, r, caller("web", page.Ref)}}
}

// TestCallers: a caller's proxy knows what the caller declares to use, and
// nothing else.
func TestCallers(t *testing.T) {
	before, after := chain(), chain()
	target := before.Services[1].Ref
	web := after.Services[2]
	web.Uses = append(web.Uses, target)
	for class, pair := range map[behave.Class][2]*model.Mesh{behave.Expose: {before, after}, behave.Narrow: {after, before}} {
		r := behave.Meshes(pair[0], pair[1])
		if len(r.Objects) != 1 || r.Objects[0].Ref != target || !slices.Equal(r.Classes(), []behave.Class{class}) || len(r.Objects[0].Changes) != 1 {
			t.Fatalf("%s: %+v", class, r.Objects)
		}
		c := r.Objects[0].Changes[0]
		if !slices.Equal(c.Callers, []model.Ref{web.Ref}) {
			t.Errorf("callers %v", c.Callers)
		}
		var outcomes []answer.Outcome
		for _, m := range pair {
			got, ok := answer.Ask(m, web.Ref, &answer.Request{Method: c.Witness.Method, Host: c.Witness.Host, Port: c.Witness.Port, Target: c.Witness.Target()}, time.Unix(0, 0))
			if !ok {
				t.Fatal("nobody asks")
			}
			outcomes = append(outcomes, got.Outcome)
		}
		if (outcomes[0] == answer.NotDeclared) == (outcomes[1] == answer.NotDeclared) {
			t.Errorf("%s: %v", class, outcomes)
		}
	}
}

func TestCallersAreFollowedUpwards(t *testing.T) {
	before, after := chain(), chain()
	after.Services[1].Routes[2].Timeout = time.Minute
	r := behave.Meshes(before, after)
	if len(r.Objects) != 1 {
		t.Fatalf("%+v", r.Objects)
	}
	o := r.Objects[0]
	if !slices.Equal(o.Changes[0].Callers, []model.Ref{before.Services[0].Ref}) || !slices.Equal(o.Through(), []model.Ref{before.Services[2].Ref}) {
		t.Errorf("callers %v, through %v", o.Changes[0].Callers, o.Through())
	}
	if !slices.Equal(o.Classes, []behave.Class{behave.Harden}) {
		t.Errorf("classes %v", o.Classes)
	}
}
