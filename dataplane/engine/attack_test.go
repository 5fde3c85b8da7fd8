package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// attacker does the same to one connection after the other, as fast as it can.
type attacker struct {
	step        func(p *peer, n int) error
	sent, got   atomic.Int64 // bytes
	connections atomic.Int64
	longest     time.Duration // of a connection
}

// counted counts what goes through a connection.
type counted struct {
	net.Conn
	sent, got *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.got.Add(int64(n))
	return n, err
}

// run attacks until ctx ends.
func (a *attacker) run(ctx context.Context, at string) {
	for ctx.Err() == nil {
		raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
		if err != nil {
			return
		}
		c := counted{raw, &a.sent, &a.got}
		stop := context.AfterFunc(ctx, func() { raw.Close() })
		begin := time.Now()
		a.connections.Add(1)
		heard := make(chan struct{})
		go func() { defer close(heard); _, _ = io.Copy(io.Discard, c) }()
		p := newPeer(c)
		_, err = io.WriteString(c, http2.ClientPreface)
		if err == nil {
			err = p.fr.WriteSettings()
		}
		for n := 0; err == nil; n++ {
			err = a.step(p, n)
		}
		stop()
		raw.Close()
		<-heard
		if ctx.Err() == nil {
			a.longest = max(a.longest, time.Since(begin))
		}
		time.Sleep(time.Millisecond) // the way there and back
	}
}

// attacks are the ways in which HTTP/2 has been turned against servers.
func attacks() map[string]func(p *peer, n int) error {
	request := func(p *peer, id uint32, end bool, fields ...string) error {
		return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: end,
			BlockFragment: p.block(append([]string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a"}, fields...)...)})
	}
	long := strings.Repeat("b", 4000)
	return map[string]func(p *peer, n int) error{
		"rapid reset": func(p *peer, n int) error {
			return errors.Join(request(p, uint32(2*n+1), true), p.fr.WriteRSTStream(uint32(2*n+1), http2.ErrCodeCancel))
		},
		"resets that the server makes": func(p *peer, n int) error {
			return errors.Join(request(p, uint32(2*n+1), false), p.fr.WriteRawFrame(http2.FrameWindowUpdate, 0, uint32(2*n+1), make([]byte, 4)))
		},
		"CONTINUATION": func(p *peer, n int) error {
			if n == 0 {
				return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(":method", "GET")})
			}
			return p.fr.WriteContinuation(1, false, p.block(fmt.Sprint("x-", n), "1"))
		},
		"SETTINGS":      func(p *peer, n int) error { return p.fr.WriteSettings() },
		"PING":          func(p *peer, n int) error { return p.fr.WritePing(false, [8]byte{}) },
		"PRIORITY":      func(p *peer, n int) error { return p.fr.WritePriority(uint32(2*n+1), http2.PriorityParam{}) },
		"WINDOW_UPDATE": func(p *peer, n int) error { return p.fr.WriteWindowUpdate(0, 1) },
		"empty DATA": func(p *peer, n int) error {
			if n == 0 {
				return request(p, 1, false)
			}
			return p.fr.WriteData(1, false, nil)
		},
		"HPACK bomb": func(p *peer, n int) error {
			fields := make([]string, 0, 400)
			for range 200 {
				fields = append(fields, "x-bomb", long)
			}
			return request(p, uint32(2*n+1), true, fields...)
		},
		"zero window": func(p *peer, n int) error {
			if n == 0 {
				return p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			}
			if n > 100 {
				time.Sleep(10 * time.Millisecond)
				return p.fr.WriteWindowUpdate(0, 1)
			}
			return request(p, uint32(2*n+1), true)
		},
	}
}

// An attacker of HTTP/2 gets back at most ten times what it sends, a connection
// that floods ends within the second for which what is still coming is read, and the
// others keep nine tenths of what they had. The second and the share are held with
// MESHC_SOAK alone: they say something on a quiet machine, where the attacker takes
// nobody's CPU.
func TestAttacksLeaveOthersAlone(t *testing.T) {
	share, slot, patience := 0.0, 150*time.Millisecond, 20*lingerTime
	if os.Getenv("MESHC_SOAK") != "" {
		share, slot, patience = 0.9, 2*time.Second, 3*lingerTime/2
	}
	for name, step := range attacks() {
		t.Run(name, func(t *testing.T) {
			e := start(t, newMesh(backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") })), oneLoop)
			at := addrOf(t, e, "in")
			var served, failed atomic.Int64
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var victims sync.WaitGroup
			defer victims.Wait()
			defer cancel()
			for range 4 {
				c := client(t)
				victims.Go(func() {
					for ctx.Err() == nil {
						resp, err := c.Get("http://" + at + "/")
						if err == nil {
							_, err = io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
						}
						if err != nil || resp.StatusCode != 200 {
							failed.Add(1)
						}
						served.Add(1)
						time.Sleep(2 * time.Millisecond) // users, not a load that takes what there is
					}
				})
			}
			a := &attacker{step: step}
			var calm, stormy int64
			window := func() int64 { before := served.Load(); time.Sleep(slot); return served.Load() - before }
			window()
			for range 3 {
				calm += window()
				attack, stop := context.WithCancel(ctx)
				ended := make(chan struct{})
				go func() { defer close(ended); a.run(attack, at) }()
				stormy += window()
				stop()
				<-ended
			}
			sent, got := a.sent.Load(), a.got.Load()
			t.Logf("goodput %.0f %% (%d of %d), %d connections of at most %v, %d bytes sent, %d back", 100*float64(stormy)/float64(calm), stormy, calm, a.connections.Load(), a.longest, sent, got)
			if failed.Load() > 0 {
				t.Errorf("%d requests of others failed", failed.Load())
			}
			if got > 10*sent {
				t.Errorf("%d bytes for %d", got, sent)
			}
			if float64(stormy) < share*float64(calm) {
				t.Errorf("goodput falls from %d to %d", calm, stormy)
			}
			if a.longest > patience && name != "zero window" {
				t.Errorf("a flood lasts %v", a.longest)
			}
		})
	}
}
