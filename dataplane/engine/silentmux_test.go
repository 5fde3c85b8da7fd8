package engine

import (
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// A client of HTTP/2 that asks for nothing is closed when its first request was
// due, and holds nobody up.
func TestSilentClientsOfHTTP2(t *testing.T) {
	for name, say := range map[string]string{"preface": http2.ClientPreface, "settings": http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(backend(t, func(http.ResponseWriter, *http.Request) {}))
			m.chain.HTTP.RequestHeadersTimeout = 100 * time.Millisecond
			e := start(t, m, oneLoop)
			at := addrOf(t, e, "in")
			send(t, dial(t, at), "%s", say)
			eventually(t, "the connection was there", func() bool { return metric(t, e, "envoy_http_downstream_cx_total") == 1 })
			eventually(t, "the connection is closed", func() bool { return e.Connections() == 0 })
			if status, _ := get(t, client(t), "http://"+at+"/"); status != 200 {
				t.Errorf("status %d", status)
			}
		})
	}
}

// A stream that goes on when its connection is too old holds nobody up.
func TestStreamsOfAgedConnections(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	inside := make(chan struct{}, 1)
	m := newMesh(backend(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			inside <- struct{}{}
			<-release
		}
	}))
	m.chain.HTTP.Codec = snapshot.CodecAuto
	m.chain.HTTP.MaxConnectionDuration = 2 * time.Second
	e := start(t, m, oneLoop, func(o *Options) { o.DrainGrace = 20 * time.Millisecond })
	at := addrOf(t, e, "in")
	p := dialPeer(t, at, 1<<20)
	p.ask(t, 1, "GET", "/slow", true)
	<-inside
	notices := 0
	for notices < 2 { // the announcement, and the end
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			notices++
		case *http2.PingFrame:
			if !f.IsAck() {
				p.must(t, p.fr.WritePing(true, f.Data))
			}
		}
	}
	if status, _ := get(t, client(t), "http://"+at+"/"); status != 200 {
		t.Errorf("status %d", status)
	}
	close(release)
	eventually(t, "the aged connections are closed", func() bool { return e.Connections() == 0 })
}
