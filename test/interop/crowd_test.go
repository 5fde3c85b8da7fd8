package interop

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

// crowd is clients of every protocol that ask without a pause, and note what
// fails.
type crowd struct {
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
	asked  map[string]*atomic.Int64 // by protocol

	mu     sync.Mutex
	failed map[string]int // by what went wrong
}

// ways is where a crowd asks; "" leaves a protocol out.
type ways struct {
	h1, h2, grpc, tcp string
	width             int // clients of each; 0 is 2
}

func startCrowd(t *testing.T, w ways) *crowd {
	t.Helper()
	c := &crowd{asked: map[string]*atomic.Int64{}, failed: map[string]int{}}
	c.ctx, c.cancel = context.WithCancel(t.Context())
	for range max(w.width, 2) {
		c.flow("h1", w.h1, httpAsker(w.h1, &http.Transport{DisableCompression: true}))
		c.flow("h2", w.h2, httpAsker(w.h2, &http.Transport{DisableCompression: true, Protocols: onlyHTTP2()}))
		c.flow("grpc", w.grpc, grpcAsker(t, w.grpc))
		c.flow("tcp", w.tcp, echoAsker(w.tcp, 1))
		c.flow("tcp, kept", w.tcp, echoAsker(w.tcp, 200))
	}
	t.Cleanup(func() { c.cancel(); c.done.Wait() })
	return c
}

// flow asks until the crowd ends. An asker that ends lets go of what it has.
func (c *crowd) flow(protocol, at string, ask func(context.Context) error) {
	if at == "" {
		return
	}
	if c.asked[protocol] == nil {
		c.asked[protocol] = &atomic.Int64{}
	}
	n := c.asked[protocol]
	c.done.Go(func() {
		for c.ctx.Err() == nil {
			err := ask(c.ctx)
			if c.ctx.Err() != nil {
				break
			}
			n.Add(1)
			if err != nil {
				c.mu.Lock()
				c.failed[time.Now().Format("05.000 ")+protocol+": "+err.Error()]++
				c.mu.Unlock()
			}
		}
		_ = ask(c.ctx)
	})
}

// end stops everybody; no request has failed.
func (c *crowd) end(t *testing.T) {
	t.Helper()
	c.cancel()
	c.done.Wait()
	for protocol, n := range c.asked {
		t.Logf("%s: %d requests", protocol, n.Load())
		if n.Load() < 20 {
			t.Errorf("%s: only %d requests", protocol, n.Load())
		}
	}
	failures, shown := 0, 0
	for what, n := range c.failed {
		if failures += n; shown < 20 {
			shown++
			t.Errorf("%d × %s", n, what)
		}
	}
	if failures > 0 {
		t.Errorf("%d requests failed", failures)
	}
}

// onlyHTTP2 is with prior knowledge.
func onlyHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

func httpAsker(at string, transport *http.Transport) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/a", nil)
		if err != nil {
			return err
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			transport.CloseIdleConnections()
			return err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", res.Status, body)
		}
		return err
	}
}

func grpcAsker(t *testing.T, at string) func(context.Context) error {
	var conn *grpc.ClientConn
	return func(ctx context.Context) error {
		if ctx.Err() != nil {
			if conn != nil {
				conn.Close()
			}
			return nil
		}
		if conn == nil {
			var err error
			if conn, err = grpc.NewClient("passthrough:///"+at, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, err := testgrpc.NewTestServiceClient(conn).EmptyCall(ctx, &testgrpc.Empty{})
		return err
	}
}

// echoAsker says something and hears it, so often on one connection, whose end it
// then says and hears.
func echoAsker(at string, times int) func(context.Context) error {
	var c *net.TCPConn
	said := 0
	return func(ctx context.Context) error {
		if ctx.Err() != nil {
			if c != nil {
				c.Close()
			}
			return nil
		}
		err := func() error {
			if c == nil {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
				if err != nil {
					return err
				}
				c, said = conn.(*net.TCPConn), 0
				_ = c.SetDeadline(time.Now().Add(patience))
			}
			said++
			return echoOnce(c, said == times)
		}()
		if err != nil || said == times {
			if c != nil {
				c.Close()
			}
			c = nil
		}
		if times > 1 { // somebody who stays, and is in no hurry
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
		return err
	}
}

func echoOnce(c *net.TCPConn, last bool) error {
	want := bytes.Repeat([]byte("echo"), 64)
	if _, err := c.Write(want); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%q came back", got)
	}
	if !last {
		return nil
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		return fmt.Errorf("at the end: %q, %w", rest, err)
	}
	return nil
}
