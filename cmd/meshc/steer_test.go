package main

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/reconciler/api"
)

// TestWhereARollbackGoes: it is said before anything is written.
func TestWhereARollbackGoes(t *testing.T) {
	one, two := strings.Repeat("1", 40), strings.Repeat("2", 40)
	i := &api.Inventory{
		Serving:  &api.Generation{Commit: two, Manifest: "shop.manifest.aaaaaaaaaaaaaaaa"},
		Previous: &api.Generation{Commit: one, Manifest: "shop.manifest.bbbbbbbbbbbbbbbb"},
	}
	for to, want := range map[string]string{
		one[:7]: "rolled back to", one: "rolled back to", two[:12]: "rolled back to", "bbbbbbb": "rolled back to", strings.Repeat("b", 16) + strings.Repeat("0", 48): "rolled back to",
		strings.Repeat("3", 40): "taken from the repository", "3333333": "", strings.Repeat("3", 64): "",
	} {
		got, err := goesTo(i, to)
		if (err == nil) != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v", to, got, err)
		}
	}
	if _, err := goesTo(&api.Inventory{}, one[:7]); err == nil {
		t.Error("a rollback to what there is not is written")
	}
}
