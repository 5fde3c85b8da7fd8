package engine

import (
	"testing"

	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/filter/rbac"
)

// TestFiltersCount: under Envoy's names, by connection manager.
func TestFiltersCount(t *testing.T) {
	nobody, err := rbac.Decode(&rbacv3.RBAC{Rules: &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_ALLOW}})
	if err != nil {
		t.Fatal(err)
	}
	m := newMesh("127.0.0.1:1")
	m.chain.HTTP.Filters = []filter.HTTP{rbac.New("envoy.filters.http.rbac", nobody)}
	e := start(t, m)
	for range 2 {
		if status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 403 {
			t.Fatalf("status %d", status)
		}
	}
	if got := sample(t, e, `envoy_http_rbac_denied{envoy_http_conn_manager_prefix="test"}`); got != "2" {
		t.Errorf("%s denied, want 2", got)
	}
	if got := sample(t, e, `envoy_http_rbac_allowed{envoy_http_conn_manager_prefix="test"}`); got != "0" {
		t.Errorf("%s allowed, want 0", got)
	}
}
