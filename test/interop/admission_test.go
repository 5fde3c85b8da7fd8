package interop

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler/model"
)

// admissionMesh has services that take what their answers say for overload, each
// with one number of admission control.
const admissionMesh = `package mesh

service: [=~"^a-"]: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: {mtls: "disable", allow: [{from: ["*"]}]}
}
service: [=~"^g-"]: {
	ports: {rpc: {number: 9080, protocol: "grpc"}, http: {number: 9081, protocol: "http"}} // of gRPC alone it would read xDS itself
	versions: v1: {}
	security: {mtls: "disable", allow: [{from: ["*"]}]}
}
service: "a-usual": admission: {}
service: "a-gentle": admission: maxRejection: 30
service: "a-quiet": admission: minRPS: 100000
service: "a-odd": admission: success: statuses: ["5xx"]
service: "a-half": admission: {successRate: 50, window: "1h"}
service: "a-steep": admission: {successRate: 100, aggression: 4, maxRejection: 100, window: "1h"}
service: "a-judged": {
	admission: success: statuses: ["2xx"]
	security: deny: [{paths: [{exact: "/denied"}]}]
}
service: "g-usual": admission: {}
service: "g-head": admission: {}
service: "g-odd": admission: success: grpcStatuses: ["unavailable"]
service: "g-untold": admission: {}
service: "g-http": admission: {}
`

// admissionCase is a series of requests to one service, in order, and how many of
// them are refused.
type admissionCase struct {
	name        string // of the service
	what        string
	n           int
	ask         func(i int) string // path and query
	least, most int                // refused
}

func admissionCases() []admissionCase {
	always := func(ask string) func(int) string { return func(int) string { return ask } }
	turns := func(list ...string) func(int) string { return func(i int) string { return list[i%len(list)] } }
	return []admissionCase{
		{"a-usual", "all succeed", 200, always("/?status=404"), 0, 0},
		{"a-usual", "then all fail", 2000, always("/?status=500"), 1000, 1640}, // towards 80 %
		{"a-gentle", "all fail", 600, always("/?status=500"), 130, 225},        // 30 %
		{"a-quiet", "too few", 300, always("/?status=500"), 0, 0},
		{"a-odd", "failures are successes", 200, always("/?status=500"), 0, 0},
		{"a-odd", "and successes failures", 600, always("/?status=200"), 100, 520},
		{"a-half", "just enough succeed", 300, turns("/?status=200", "/?status=500"), 0, 0},
		{"a-steep", "one of two, and steep", 600, turns("/?status=200", "/?status=500"), 350, 595},
		{"a-judged", "what rules deny is an answer, too", 200, always("/denied?status=403"), 0, 0},
		{"a-judged", "which failed", 400, always("/?status=200"), 60, 390},
		{"g-usual", "some failures are none", 200, always("/s/m?status=200&grpc=5&in=trailers"), 0, 0},
		{"g-usual", "told by trailers", 1500, always("/s/m?status=200&grpc=14&in=trailers"), 700, 1230},
		{"g-head", "told by a head that is all", 600, always("/s/m?status=200&grpc=4"), 300, 520},
		{"g-odd", "the status that succeeds", 200, turns("/s/m?status=200&grpc=14", "/s/m?status=200&grpc=14&in=trailers"), 0, 0},
		{"g-odd", "and those that do not", 600, turns("/s/m?status=200&grpc=0", "/s/m?status=200&grpc=0&in=trailers"), 100, 520},
		{"g-untold", "trailers without a status", 600, always("/s/m?status=200&in=trailers"), 300, 520},
		{"g-http", "success of HTTP", 200, always("/s/m?status=404"), 0, 0},
		{"g-http", "and its failure", 600, always("/s/m?status=502"), 200, 520},
	}
}

// admitted is an application that answers what it is asked to.
func admitted(t *testing.T) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		status, _ := strconv.Atoi(q.Get("status"))
		w.Header().Set("x-app", "1")
		if r.URL.Path == "/s/m" {
			w.Header().Set("content-type", "application/grpc")
		}
		if q.Get("in") == "" && q.Has("grpc") {
			w.Header().Set("grpc-status", q.Get("grpc"))
		}
		w.WriteHeader(status)
		if q.Get("in") == "trailers" {
			_, _ = w.Write([]byte{0, 0, 0, 0, 0})
			w.Header().Set(http.TrailerPrefix+"x-end", "1")
			if q.Has("grpc") {
				w.Header().Set(http.TrailerPrefix+"grpc-status", q.Get("grpc"))
			}
		}
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestAdmission: both data planes refuse what admission control says, with 503 or
// the status unavailable, and so much of it as the formula does that docs and schema
// give.
func TestAdmission(t *testing.T) {
	b := newBed(t, compileText(t, admissionMesh))
	app := admitted(t)
	services := map[string]bool{}
	for _, c := range admissionCases() {
		services[c.name] = true
	}
	for name := range services {
		for _, k := range kinds {
			w := b.sidecar(ref(name), "v1", k, app)
			if name[0] == 'g' {
				w.Inbound[9081], w.App[9081] = newPlace(t), app
			}
		}
	}
	b.run()
	var both sync.WaitGroup
	for _, k := range kinds {
		both.Go(func() {
			for _, c := range admissionCases() {
				got, err := c.refused(t, b.placed[c.name+"-"+string(k)], string(k))
				switch {
				case err != nil:
					t.Errorf("%s: %s, %s: %v", k, c.name, c.what, err)
				case got < c.least || got > c.most:
					t.Errorf("%s: %s, %s: %d of %d refused, want %d to %d", k, c.name, c.what, got, c.n, c.least, c.most)
				default:
					t.Logf("%s: %s, %s: %d of %d refused", k, c.name, c.what, got, c.n)
				}
			}
		})
	}
	both.Wait()
	for _, k := range kinds {
		for name, want := range map[string][2]string{"a-gentle": {"503", "denied_by_admission_control"}, "g-head": {"200", "denied_by_admission_control"}} {
			x := b.proxies[name+"-"+string(k)]
			line := x.log.await(t, func(e entry) bool { return e.text("details") == want[1] })
			if line.text("status") != want[0] || line.text("flags") != "-" {
				t.Errorf("%s, %s: the log says %v", k, name, line)
			}
		}
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// refused sends the requests one after another, on one connection.
func (c *admissionCase) refused(t *testing.T, to *model.Workload, k string) (out int, err error) {
	grpc := c.name[0] == 'g'
	transport := &http.Transport{}
	if grpc {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	for i := range c.n {
		ask, err := url.Parse("http://" + to.Inbound[meshPort] + c.ask(i))
		if err != nil {
			return out, err
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ask.String(), nil)
		if err != nil {
			return out, err
		}
		if grpc {
			req.Method = http.MethodPost
			req.Header.Set("content-type", "application/grpc")
		}
		resp, err := client.Do(req)
		if err != nil {
			return out, err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		switch {
		case resp.Header.Get("x-app") != "" || ask.Path == "/denied":
			if got := strconv.Itoa(resp.StatusCode); got != ask.Query().Get("status") {
				return out, fmt.Errorf("%s: %s", ask, resp.Status)
			}
		case !grpc && resp.StatusCode == http.StatusServiceUnavailable, grpc && resp.StatusCode == http.StatusOK && resp.Header.Get("grpc-status") == "14":
			out++
		default:
			return out, fmt.Errorf("%s: %s, %v", ask, resp.Status, resp.Header)
		}
	}
	return out, nil
}
