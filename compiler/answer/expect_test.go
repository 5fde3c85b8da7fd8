package answer

import "testing"

func TestExpectation(t *testing.T) {
	allowed := &Answer{Outcome: Allowed, Route: &Taken{Name: "all", Timeout: "3s", Split: []Destination{{Version: "v1", Percent: "90"}, {Version: "v2", Percent: "10"}}}}
	one := &Answer{Outcome: Allowed, Route: &Taken{Name: "all", Split: []Destination{{Version: "v2", Percent: "100"}}}}
	denied := &Answer{Outcome: Denied, Route: &Taken{Name: "all", Split: []Destination{{Version: "v2", Percent: "100"}}}}
	missing := &Answer{Outcome: NoRoute}
	for text, c := range map[string]struct{ allowed, one, denied, missing bool }{
		"allowed":                {true, true, false, false},
		"denied":                 {false, false, true, false},
		"no-route":               {false, false, false, true},
		"v2":                     {false, true, false, false},
		"v1=90,v2=10":            {true, false, false, false},
		"v2=10, v1=90.00":        {true, false, false, false},
		"route=all":              {true, true, true, false},
		"allowed,timeout=3s":     {true, false, false, false},
		"route=other":            {false, false, false, false},
		"denied,route=all":       {false, false, true, false},
		"v2=100,v1=0":            {false, true, false, false},
		"unauthenticated":        {false, false, false, false},
		"v3":                     {false, false, false, false},
		"route=all,v1=90,v2=10 ": {true, false, false, false},
		"timeout=3s,v1=50,v2=50": {false, false, false, false},
	} {
		e, err := ParseExpectation(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for name, want := range map[*Answer]bool{allowed: c.allowed, one: c.one, denied: c.denied, missing: c.missing} {
			if e.Holds(name) != want {
				t.Errorf("%q of %s: %v", text, name.Summary(), !want)
			}
		}
	}
	for _, text := range []string{"", "v1,,v2", "v1=90", "v1=x", "v1=", "route=", "v1,v2", "v1=1.005,v2=98.995"} {
		if e, err := ParseExpectation(text); err == nil {
			t.Errorf("%q: %+v", text, e)
		}
	}
}
