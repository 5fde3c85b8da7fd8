package behave_test

import (
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
)

// limitedShop is a service with these limits.
func limitedShop(limits ...model.RateLimit) *model.Service {
	return &model.Service{
		Ref: model.Ref{Namespace: "default", Name: "shop"}, Host: "shop.default", MTLS: model.MTLSDisable, Allow: []model.Rule{{Any: true}},
		Ports: []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}}, Versions: []model.Version{{Name: "v1"}},
		Routes:     []*model.Route{{Name: "all", Ports: []uint16{80}, Split: []model.Split{{Version: "v1", BasisPoints: model.BasisPointsWhole}}}},
		RateLimits: limits,
	}
}

func limitOf(name string, requests uint32, matches ...model.Match) model.RateLimit {
	return model.RateLimit{
		Name: name, Match: matches, Status: 429, Enforced: model.BasisPointsWhole,
		Local: &model.LocalLimit{Requests: requests, Burst: requests, Per: time.Second, MaxKeys: 10},
	}
}

func TestRateLimitsAreBehaviour(t *testing.T) {
	gets := model.Match{Methods: []string{"GET"}}
	shadow := limitOf("a", 5)
	shadow.Enforced = 0
	for _, c := range []struct {
		name          string
		before, after []model.RateLimit
		want          behave.Class // "": no request is treated differently
	}{
		{"a new limit", nil, []model.RateLimit{limitOf("a", 10)}, behave.Narrow},
		{"a lower one", []model.RateLimit{limitOf("a", 10)}, []model.RateLimit{limitOf("a", 9)}, behave.Narrow},
		{"a higher one", []model.RateLimit{limitOf("a", 10)}, []model.RateLimit{limitOf("a", 11)}, behave.Tune},
		{"none any more", []model.RateLimit{limitOf("a", 10)}, nil, behave.Tune},
		{"one that only counts", nil, []model.RateLimit{shadow}, behave.Tune},
		{"one that only counted", []model.RateLimit{shadow}, []model.RateLimit{limitOf("a", 5)}, behave.Narrow},
		{"another name", []model.RateLimit{limitOf("a", 10)}, []model.RateLimit{limitOf("b", 10)}, ""},
		{"for other requests", []model.RateLimit{limitOf("a", 10)}, []model.RateLimit{limitOf("a", 10, gets)}, behave.Tune},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := behave.Services(limitedShop(c.before...), limitedShop(c.after...), nil)
			if len(d.Unknown) > 0 {
				t.Fatal(d.Unknown)
			}
			var got []behave.Class
			for _, change := range d.Changes {
				got = append(got, change.Classes...)
			}
			if want := []behave.Class{c.want}; c.want == "" && len(got) > 0 || c.want != "" && !slices.Equal(got, want) {
				t.Errorf("got %v, want %q", got, c.want)
			}
		})
	}
}

// Only the requests that a limit counts are treated differently.
func TestRateLimitsConcernWhatTheyCount(t *testing.T) {
	limit := limitOf("a", 10, model.Match{Methods: []string{"PUT"}})
	d := behave.Services(limitedShop(), limitedShop(limit), nil)
	if len(d.Changes) != 1 || d.Changes[0].Witness.Method != "PUT" {
		t.Errorf("got %+v", d.Changes)
	}
}
