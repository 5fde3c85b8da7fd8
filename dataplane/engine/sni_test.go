package engine

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// answering is a chain that answers with its own name.
func answering(name string, conf *tls.Config, names ...string) *snapshot.Chain {
	vh := &route.VirtualHost{Name: "all", Domains: []string{"*"}, Routes: []*route.Route{{
		Entry:   &route.Entry{Name: name, Direct: route.DirectResponse{Status: 200, Body: name}},
		Matches: func(*message.Request, uint64) bool { return true },
	}}}
	table, err := route.NewTable(name, []*route.VirtualHost{vh})
	if err != nil {
		panic(err)
	}
	return &snapshot.Chain{Name: name, ServerNames: names, TLS: conf, HTTP: &snapshot.HTTP{StatPrefix: name, Routes: table}}
}

// TestServerNameChoosesTheChain: the whole name, then the longest wildcard, then
// the chain without names; whoever fits none is turned away.
func TestServerNameChoosesTheChain(t *testing.T) {
	a := newAuthority(t)
	plain := &tls.Config{Certificates: []tls.Certificate{a.leaf(serverID)}, MinVersion: tls.VersionTLS12}
	m := newMesh(silent(t))
	l := m.config.Listeners["in"]
	l.InspectTLS = true
	l.Chains = []*snapshot.Chain{
		answering("wide", plain, "*.example"),
		answering("shop", plain, "shop.example", "www.example"),
		answering("narrow", plain, "*.shop.example"),
		answering("rest", plain),
	}
	e := start(t, m)
	ask := func(name string) (string, error) {
		conf := &tls.Config{RootCAs: a.pool, ServerName: name, InsecureSkipVerify: true}
		c := tlsClient(t, conf)
		defer c.CloseIdleConnections()
		resp, err := c.Get("https://" + addrOf(t, e, "in") + "/")
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	for name, want := range map[string]string{
		"shop.example": "shop", "WWW.example": "shop", "a.example": "wide", "a.b.example": "wide",
		"a.shop.example": "narrow", "other.test": "rest", "127.0.0.1": "rest", "example": "rest",
	} {
		if got, err := ask(name); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}

	closed := *m.config
	in := *l
	in.Chains = l.Chains[:3]
	closed.Listeners = map[string]*snapshot.Listener{"in": &in}
	if err := e.Apply(&closed); err != nil {
		t.Fatal(err)
	}
	if got, err := ask("other.test"); err == nil {
		t.Errorf("a name that no chain is for was served by %q", got)
	}
	if got, err := ask("a.example"); err != nil || got != "wide" {
		t.Errorf("%q, %v", got, err)
	}
	resp, err := http.Get("http://" + addrOf(t, e, "in") + "/")
	if err == nil {
		resp.Body.Close()
		t.Error("plaintext was served")
	}
	eventually(t, "all connections are closed", func() bool { return e.Connections() == 0 })
}

// trickle writes one byte at a time, so that the name comes in pieces.
type trickle struct{ net.Conn }

func (c trickle) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func TestServerNameInPieces(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	plain := &tls.Config{Certificates: []tls.Certificate{a.leaf(serverID)}, MinVersion: tls.VersionTLS12}
	m := newMesh(silent(t))
	l := m.config.Listeners["in"]
	l.InspectTLS, l.InspectTimeout = true, 3*time.Second
	l.Chains = []*snapshot.Chain{answering("shop", plain, "shop.example")}
	e := start(t, m)
	raw := dial(t, addrOf(t, e, "in"))
	conn := tls.Client(trickle{raw}, &tls.Config{ServerName: "shop.example", InsecureSkipVerify: true})
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(conn); err != nil || len(b) == 0 {
		t.Errorf("%q, %v", b, err)
	}
	// Half a ClientHello is given up, sooner or later.
	half := dial(t, addrOf(t, e, "in"))
	send(t, half, "\x16\x03\x01\x01\x00\x01\x00\x00\xfc")
	if b, _ := io.ReadAll(half); len(b) != 0 {
		t.Errorf("half a ClientHello was answered: %q", b)
	}
	eventually(t, "all connections are closed", func() bool { return e.Connections() == 0 })
}
