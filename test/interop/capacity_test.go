package interop

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/model"
)

// clockwork is a server of HTTP/2 that answers no call, and pings only if it is
// not one that hangs.
func clockwork(t *testing.T, hangs bool) (addr string, pings *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pings = new(atomic.Int64)
	serve := func(c net.Conn) {
		defer c.Close()
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		fr := http2.NewFramer(c, c)
		err := errors.Join(fr.WriteSettings(), fr.WriteSettingsAck())
		for err == nil {
			var f http2.Frame
			f, err = fr.ReadFrame()
			if p, ok := f.(*http2.PingFrame); ok && !p.IsAck() {
				pings.Add(1)
				if !hangs {
					err = fr.WritePing(true, p.Data)
				}
			}
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go serve(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), pings
}

// refused says that a proxy closes a connection before it has said anything.
func refused(t *testing.T, addr string) bool {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if len(got) > 0 {
		t.Fatalf("%s says %q", addr, got)
	}
	var late net.Error
	return !errors.As(err, &late) || !late.Timeout()
}

// Both data planes take as many connections as a port says and no more, also
// before there is a handshake, and make room by each that ends. Callers of one that
// takes no more are told 503.
func TestMaxConnections(t *testing.T) {
	b := newBed(t, compileFS(t, os.DirFS("testdata/capacity")))
	for _, k := range kinds {
		b.sidecar(ref("shop"), string(k), k, b.backends.start(t, "shop/"+string(k), nil))
		b.gateway(ref("edge"), k)
	}
	b.sidecar(ref("web"), "v1", envoy, "")
	b.run()
	caller := b.placed["web-envoy"].Outbound[model.OutboundKey(ref("shop"), meshPort)]
	for _, k := range kinds {
		for place, most := range map[string]int{b.placed["shop-"+string(k)].Inbound[meshPort]: 2, b.placed["edge-"+string(k)].Inbound[8080]: 1} {
			eventually(t, string(k)+": nobody is there", func() bool { return !refused(t, place) })
			var open []net.Conn
			for range most {
				c, err := net.Dial("tcp", place)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				open = append(open, c)
			}
			eventually(t, string(k)+": no more than the limit", func() bool { return refused(t, place) })
			if most == 2 {
				if got := try(t, caller, "/", "x-to", string(k)); got.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("%s: a caller of a port that takes no more gets %d", k, got.StatusCode)
				}
			}
			open[0].Close()
			eventually(t, string(k)+": one has gone", func() bool { return !refused(t, place) })
			if most == 2 {
				eventually(t, string(k)+": a caller is served again", func() bool { return try(t, caller, "/", "x-to", string(k)).StatusCode == http.StatusOK })
			}
		}
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// Both data planes give up a connection on which pings are not answered, and the
// call on it; with answers they wait on.
func TestPings(t *testing.T) {
	b := newBed(t, compileFS(t, os.DirFS("testdata/capacity")))
	hangs, dead := clockwork(t, true)
	b.application(ref("clock"), "hangs", "hangs", hangs)
	slow, alive := clockwork(t, false)
	b.application(ref("clock"), "slow", "slow", slow)
	for _, k := range kinds {
		b.sidecar(ref("web"), "v1", k, "")
	}
	b.run()
	for _, k := range kinds {
		client := healthpb.NewHealthClient(dialCalls(t, b.placed["web-"+string(k)].Outbound[model.OutboundKey(ref("clock"), meshPort)]))
		before := dead.Load()
		began := time.Now()
		_, err := client.Check(to(t, "hangs"), &healthpb.HealthCheckRequest{})
		if took := time.Since(began); grpcstatus.Code(err) != codes.Unavailable || took > 30*time.Second || took < 1400*time.Millisecond {
			t.Errorf("%s: a call of a server that hangs: %v after %s", k, err, took)
		}
		if n := dead.Load() - before; n != 1 {
			t.Errorf("%s: %d pings to a server that hangs", k, n)
		}
		waits := make(chan error, 1)
		before = alive.Load()
		go func() {
			_, err := client.Check(to(t, "slow"), &healthpb.HealthCheckRequest{})
			waits <- err
		}()
		eventually(t, string(k)+": pings are answered", func() bool { return alive.Load() >= before+3 })
		select {
		case err := <-waits:
			t.Errorf("%s: a call of a server that is slow: %v", k, err)
		default:
		}
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}
