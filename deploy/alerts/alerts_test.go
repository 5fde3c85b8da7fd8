package alerts

import (
	"strings"
	"testing"
	"time"
)

// Each rule says what it is about and what to do. That there are the metrics is tested
// where they are: cmd/meshc-controller and dataplane.
func TestRules(t *testing.T) {
	rules, err := Parse()
	if err != nil || len(rules) == 0 {
		t.Fatalf("%d rules: %v", len(rules), err)
	}
	seen := map[string]bool{}
	for _, r := range rules {
		if r.Alert == "" || seen[r.Alert] || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["action"] == "" {
			t.Errorf("rule %q lacks something, or is there twice", r.Alert)
		}
		seen[r.Alert] = true
		if len(metric.FindAllString(r.Expr, -1)) == 0 || strings.Count(r.Expr, "(") != strings.Count(r.Expr, ")") {
			t.Errorf("rule %q: expression %q", r.Alert, r.Expr)
		}
		if _, err := time.ParseDuration(strings.Replace(r.For, "1d", "24h", 1)); r.For != "" && err != nil {
			t.Errorf("rule %q: for %q", r.Alert, r.For)
		}
	}
	names, err := Metrics()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !OfController(name) && !OfProxy(name) {
			t.Errorf("nobody has the metric %s", name)
		}
	}
}
