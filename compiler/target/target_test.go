package target

import "testing"

func TestFind(t *testing.T) {
	cases := []struct {
		field string
		want  string
	}{
		{"service.*.routes.*.timeout", "service.*.routes"},
		{"service.*.routes.*.retries.perTry", "service.*.routes.*.retries.perTry"},
		{"service.*.routesX", "service.*"},
		{"gateway.*.listeners.*.port", "gateway.*"},
	}
	for _, c := range cases {
		if got := Find(c.field); got == nil || got.Field != c.want {
			t.Errorf("Find(%q) = %v, want the row %q", c.field, got, c.want)
		}
	}
	for _, unknown := range []string{"", "nothing", "servic"} {
		if got := Find(unknown); got != nil {
			t.Errorf("Find(%q) = %v, want nil", unknown, got)
		}
	}
}

// TestTableNamesEachProxy holds the words of the language and the sets together.
func TestTableNamesEachProxy(t *testing.T) {
	for _, p := range []Proxy{Envoy, Meshc, GRPC} {
		if back, ok := ByName(p.Name()); !ok || back != p {
			t.Errorf("ByName(%q) = %v, %v", p.Name(), back, ok)
		}
	}
	for _, r := range Table {
		if r.Served&Envoy == 0 {
			t.Errorf("%s: everything that the language says is served by Envoy", r.Field)
		}
	}
}
