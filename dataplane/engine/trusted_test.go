package engine

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// The client is who the last of the trusted proxies says it is; what stands
// before that is for everybody to claim.
func TestTrustedHops(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-For"), " ", r.Header.Get("X-Forwarded-Proto"))
	})
	m := newMesh(app)
	m.chain.HTTP.UseRemoteAddress = true
	records := withLog(t, m)
	m.chain.HTTP.AccessLogs[0].JSONFormat["client"] = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
	e := start(t, m)
	cases := []struct {
		hops                     int
		fields, want, wantClient string
	}{
		{0, "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1,127.0.0.1 http", "127.0.0.1"},
		{1, "X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "192.0.2.9, 192.0.2.1,127.0.0.1 https", "192.0.2.1"},
		{2, "X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\n", "192.0.2.9, 192.0.2.1,127.0.0.1 http", "192.0.2.9"},
		{3, "X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\n", "192.0.2.9, 192.0.2.1,127.0.0.1 http", "127.0.0.1"},
		{2, "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.1\r\n", "", "192.0.2.9"},
		{1, "X-Forwarded-For: 192.0.2.9, nonsense\r\n", "192.0.2.9, nonsense,127.0.0.1 http", "127.0.0.1"},
		{1, "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: gopher\r\n", "2001:db8::1,127.0.0.1 gopher", "2001:db8::1"},
		{1, "X_Forwarded_Proto: https\r\nX-Envoy-Internal: true\r\n", "127.0.0.1 http", "127.0.0.1"},
	}
	for _, c := range cases {
		next, ch, l := *m.config, *m.chain, *m.config.Listeners["in"]
		h := *ch.HTTP
		h.TrustedHops, ch.HTTP = c.hops, &h
		l.Chains = []*snapshot.Chain{&ch}
		next.Listeners = map[string]*snapshot.Listener{"in": &l}
		if err := e.Apply(&next); err != nil {
			t.Fatal(err)
		}
		conn := dial(t, addrOf(t, e, "in"))
		send(t, conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n", c.fields)
		got, err := io.ReadAll(conn)
		if _, body, _ := cutHead(string(got)); c.want != "" && body != c.want || err != nil {
			t.Errorf("%d hops, %q: %q, %v; want %q", c.hops, c.fields, body, err, c.want)
		}
	}
	for i, r := range records(e) {
		if r["client"] != cases[i].wantClient {
			t.Errorf("%d hops, %q: the log says %v, want %s", cases[i].hops, cases[i].fields, r["client"], cases[i].wantClient)
		}
	}
}
