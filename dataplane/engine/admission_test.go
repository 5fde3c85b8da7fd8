package engine

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"

	admissionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/admission_control/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/filter/admission"
)

// admitting is admission control to which answers below 500 are successes.
func admitting(t *testing.T) filter.HTTP {
	t.Helper()
	f, err := admission.New("envoy.filters.http.admission_control", &admissionv3.AdmissionControl{
		EvaluationCriteria: &admissionv3.AdmissionControl_SuccessCriteria_{SuccessCriteria: &admissionv3.AdmissionControl_SuccessCriteria{
			HttpCriteria: &admissionv3.AdmissionControl_SuccessCriteria_HttpCriteria{HttpSuccessStatus: []*typev3.Int32Range{{Start: 100, End: 500}}},
			GrpcCriteria: &admissionv3.AdmissionControl_SuccessCriteria_GrpcCriteria{GrpcSuccessStatus: []uint32{0}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestAdmissionCounts: answers of upstream, upgrades and those of the proxy itself,
// each once; a refusal is a failure that the history does not know.
func TestAdmissionCounts(t *testing.T) {
	app := rawBackend(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			switch {
			case req.Header.Get("Upgrade") != "":
				fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
			default:
				fmt.Fprint(c, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
			}
		}
	})
	m := newMesh(app)
	m.entry.Upgrades = []string{"websocket"}
	m.chain.HTTP.Filters = []filter.HTTP{admitting(t)}
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	counted := func(what string) string {
		return sample(t, e, `envoy_http_admission_control_rq_`+what+`{envoy_http_conn_manager_prefix="test"}`)
	}
	if got := counted("success"); got != "1" {
		t.Errorf("%s successes, want that of the upgrade", got)
	}
	refused := 0
	for range 200 {
		switch status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status {
		case 500:
		case 503:
			refused++
		default:
			t.Fatal(status)
		}
	}
	if got := counted("rejected"); refused == 0 || got != fmt.Sprint(refused) {
		t.Errorf("%s are counted as refused, %d were", got, refused)
	}
	if got := counted("failure"); got != "200" {
		t.Errorf("%s failures, want 200", got)
	}
}
