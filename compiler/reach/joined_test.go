package reach

import (
	"testing"

	"github.com/meshc/meshc/dataplane/route"
)

// TestDataPlaneJoinsTheSameFields: the list stands on both sides of the
// contract, because neither may import the other.
func TestDataPlaneJoinsTheSameFields(t *testing.T) {
	for _, name := range joined {
		if !route.Joined(name) {
			t.Errorf("meshc-proxy matches the values of %s one by one", name)
		}
	}
	for _, name := range []string{"x-custom", "accept-language", "cookie"} {
		if route.Joined(name) {
			t.Errorf("meshc-proxy joins the values of %s", name)
		}
	}
}
