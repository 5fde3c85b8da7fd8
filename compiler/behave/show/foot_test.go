package show

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
)

func TestFootSaysWhatAReviewerAsks(t *testing.T) {
	ref := model.Ref{Namespace: "shop", Name: "reviews"}
	of := func(classes ...behave.Class) behave.Object {
		return behave.Object{Name: behave.Name{Ref: ref}, Classes: classes}
	}
	unknown := behave.Object{Name: behave.Name{Ref: ref}, Difference: behave.Difference{Unknown: []string{"somewhere"}}}
	for _, test := range []struct {
		name                     string
		objects                  []behave.Object
		security, restarts, risk string
	}{
		{"weights", []behave.Object{of(behave.Shift, behave.Tune)}, "no change", "none", "MEDIUM  SHIFT"},
		{"numbers", []behave.Object{of(behave.Tune)}, "no change", "none", "LOW  TUNE"},
		{"callers and pods", []behave.Object{of(behave.Expose, behave.Restart), of(behave.Harden)}, "EXPOSE shop/reviews; HARDEN shop/reviews", "RESTART shop/reviews", "HIGH  EXPOSE"},
		{"not known", []behave.Object{unknown}, "not known", "not known", "NOT KNOWN"},
		{"partly known", []behave.Object{of(behave.Narrow), unknown}, "NARROW shop/reviews; and what is not known", "not known", "NOT KNOWN"},
		{"the worst is known", []behave.Object{of(behave.Blackhole), unknown}, "not known", "not known", "HIGH  BLACKHOLE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			lines := foot(&behave.Report{Objects: test.objects})
			for i, want := range []string{"security  " + test.security, "restarts  " + test.restarts, "risk      " + test.risk} {
				if !strings.HasPrefix(lines[i], want) || i < 2 && lines[i] != want {
					t.Errorf("%q, want %q", lines[i], want)
				}
			}
		})
	}
}

func TestBarsAreInProportion(t *testing.T) {
	for after, cells := range map[string]int{"": 0, "0.01 %": 1, "10 %": 2, "99.99 %": 19, "100 %": 20} {
		got := bar(behave.Delta{Name: "to v1", Before: "50 %", After: after})
		if n := strings.Count(got, "█"); n != cells || n+strings.Count(got, "░") != barWidth {
			t.Errorf("%q: %q", after, got)
		}
	}
	if got := bar(behave.Delta{Name: "timeout", After: "15 %"}); got != "" {
		t.Errorf("%q", got)
	}
}
