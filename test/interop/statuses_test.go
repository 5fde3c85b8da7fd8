package interop

import (
	"testing"
	"time"
)

const statusesMesh = `package mesh

mesh: proxy: "envoy"
let Plain = {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: {mtls: "disable", allow: [{from: ["*"]}]}
}
service: web: {versions: v1: {}, uses: {chosen: {}, gateway: {}}}
service: chosen: Plain & {
	traffic: outliers: {statuses: ["429", "410"], consecutive5xx: 3, ejection: "300s", maxPercent: 50}
}
service: gateway: Plain & {
	traffic: outliers: {statuses: ["429", "503"], consecutiveGateway: 3, ejection: "300s", maxPercent: 50}
}
`

// Both proxies leave out who answers with the statuses that count, and nobody
// for others.
func TestChosenStatuses(t *testing.T) {
	b := newBed(t, compileText(t, statusesMesh))
	for _, service := range []string{"chosen", "gateway"} {
		for _, id := range []string{"a", "b"} {
			b.application(ref(service), "v1", service+"-"+id, b.backends.start(t, service+"-"+id, nil))
		}
	}
	for _, k := range kinds {
		b.sidecar(ref("web"), "v1", k, "")
	}
	b.run()
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			for _, c := range []struct {
				service        string
				fine, failures []string
			}{
				{"chosen", []string{"500", "503", "404"}, []string{"429", "410"}},
				{"gateway", []string{"502", "504", "500", "429"}, []string{"503"}},
			} {
				at := b.client(k, c.service)
				for _, status := range c.fine {
					for range 12 {
						served(t, at, status)
					}
				}
				if n := len(serving(t, at)); n != 2 {
					t.Fatalf("%s: after %v, %d endpoints are asked", c.service, c.fine, n)
				}
				for i := range 12 {
					served(t, at, c.failures[i%len(c.failures)])
				}
				for end := time.Now().Add(patience); len(serving(t, at)) != 1; {
					if time.Now().After(end) {
						t.Fatalf("%s: after %v nobody is left out", c.service, c.failures)
					}
				}
			}
		})
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// serving says who answers some requests.
func serving(t *testing.T, at string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for range 12 {
		out[served(t, at, "")] = true
	}
	return out
}
