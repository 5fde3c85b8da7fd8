package interop

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// observation is everything that one exchange showed.
type observation struct {
	Response response
	Arrivals []arrival
	Log      entry // of the proxy that was asked
}

// observe sends r to a data plane and notes all that it shows.
func (b *bed) observe(x *proxy, addr string, r *request, id string) *observation {
	mark := x.log.mark()
	o := &observation{Response: send(addr, nil, r, id)}
	o.Log = x.log.find(mark, o.Response.local, id)
	o.Arrivals = b.backends.got(id)
	return o
}

// facts is an observation as names and values, which is how two of them are
// compared.
type facts map[string]string

// Facts that are not compared in any case, and why.
var apart = map[string]string{
	"request header x-case":                         "of the test itself",
	"request header x-envoy-expected-rq-timeout-ms": "Envoy tells the upstream its own deadline; nothing in the mesh reads it",
	"response header x-envoy-upstream-service-time": "Envoy's own measure; the access log has the duration",
	"response header date":                          "the time; that there is one is compared",
	"request header x-envoy-internal":               "Envoy marks clients on private addresses; nothing in the mesh reads it",
	"request header x-envoy-external-address":       "Envoy repeats the client's address, which x-forwarded-for has",
	"log case":          "of the test itself",
	"log start_time":    "the time",
	"log duration":      "the time",
	"log downstream":    "the client's port",
	"log request_id":    "random; that there is one is compared",
	"log upstream_host": "the connection's port; that there is one is compared",
}

func (o *observation) facts() facts {
	f := facts{
		"status": fmt.Sprint(o.Response.Status), "body": short(o.Response.Body), "reading": o.Response.Err,
		"tries": fmt.Sprint(len(o.Arrivals)),
	}
	for name, values := range o.Response.Header {
		f["response header "+name] = strings.Join(values, " | ")
	}
	f["date"] = fmt.Sprint(len(o.Response.Header["date"]))
	for i := range o.Arrivals {
		o.Arrivals[i].facts(f)
	}
	for name := range o.Log {
		f["log "+name] = o.Log.text(name)
	}
	f["upstream host"] = fmt.Sprint(o.Log.text("upstream_host") != "")
	f["request id"] = fmt.Sprint(o.Log.text("request_id") != "")
	for name := range apart {
		delete(f, name)
	}
	f["log details"] = detail.ReplaceAllString(f["log details"], "}")
	return f
}

// detail is what Envoy's TLS library and the kernel add to a failure.
var detail = regexp.MustCompile(`\|.*}$`)

// certHash is of a certificate, of which each instance has its own.
var certHash = regexp.MustCompile(`Hash=[0-9a-f]{64}`)

// facts of what a backend got; those of all tries have to be the same.
func (a *arrival) facts(f facts) {
	all := facts{
		"backend": a.Backend, "request method": a.Method, "request target": a.URI, "request host": a.Host,
		"request body": short(a.Body), "request chunked": fmt.Sprint(a.Chunked), "peer": a.PeerID, "ALPN": a.ALPN, "SNI": a.SNI,
	}
	for name, values := range a.Header {
		all["request header "+name] = certHash.ReplaceAllString(strings.Join(values, " | "), "Hash=")
	}
	all["request header x-request-id"] = fmt.Sprint(len(a.Header["x-request-id"]))
	for name, value := range all {
		if old, known := f[name]; known && old != value {
			value = old + ", then " + value
		}
		f[name] = value
	}
}

func short(s string) string {
	if len(s) > 300 {
		return fmt.Sprintf("%s… (%d bytes)", s[:100], len(s))
	}
	return s
}

// differences gives the names of the facts that two observations do not share.
func differences(a, b facts) []string {
	var out []string
	for name := range maps.Keys(a) {
		if b[name] != a[name] {
			out = append(out, name)
		}
	}
	for name := range maps.Keys(b) {
		if _, known := a[name]; !known && b[name] != "" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// compare fails the test for each fact in which the data planes differ, unless
// the case lists it with a reason.
func compare(t *testing.T, c *kase, seen map[kind]*observation) {
	t.Helper()
	a, b := seen[envoy].facts(), seen[meshc].facts()
	names := differences(a, b)
	for _, name := range names {
		if c.differs[name] == "" {
			t.Errorf("%s: envoy %q, meshc-proxy %q", name, a[name], b[name])
		}
	}
	for name := range c.differs {
		if !slices.Contains(names, name) && !strings.HasPrefix(c.differs[name], "sometimes: ") {
			t.Errorf("%s: listed as a difference, and there is none", name)
		}
	}
}

// slack is how much longer than it has to a request may take on a busy machine.
const slack = 10 * time.Second
