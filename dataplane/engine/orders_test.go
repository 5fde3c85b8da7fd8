package engine

import (
	"net/http"
	"testing"
)

// What would order Envoy about reaches nobody, and what only looks like it does.
func TestOrdersGoNoFurther(t *testing.T) {
	got := make(chan http.Header, 1)
	e := start(t, newMesh(backend(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header })))
	req, err := http.NewRequest("GET", "http://"+addrOf(t, e, "in")+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append([]string{"decorator-operation"}, orders...) {
		req.Header.Set("X-Envoy-"+name, "1")
	}
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	h := <-got
	for _, name := range orders {
		if v := h.Values("X-Envoy-" + name); v != nil {
			t.Errorf("x-envoy-%s: %q", name, v)
		}
	}
	if h.Get("X-Envoy-Decorator-Operation") != "1" {
		t.Error("x-envoy-decorator-operation is gone")
	}
}
