package engine

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// background is what filters do beside requests, each in a goroutine of its own.
type background struct {
	running map[filter.Background]context.CancelFunc
	all     sync.WaitGroup
}

// follow starts what c brings and stops what it no longer has.
func (b *background) follow(c *snapshot.Config, dial filter.Dial) {
	wanted := map[filter.Background]bool{}
	for _, l := range c.Listeners {
		for _, ch := range l.Chains {
			if ch.HTTP == nil {
				continue
			}
			for _, f := range ch.HTTP.Filters {
				if busy := filter.BackgroundOf(f); busy != nil {
					wanted[busy] = true
				}
			}
		}
	}
	var gone []filter.Background
	for f := range b.running {
		if !wanted[f] {
			gone = append(gone, f)
		}
	}
	for f := range wanted {
		if b.running[f] != nil {
			delete(wanted, f)
			continue
		}
		for _, old := range gone {
			f.Inherit(old)
		}
	}
	for _, f := range gone {
		b.running[f]()
		delete(b.running, f)
	}
	for f := range wanted {
		ctx, stop := context.WithCancel(context.Background())
		if b.running == nil {
			b.running = map[filter.Background]context.CancelFunc{}
		}
		b.running[f] = stop
		b.all.Go(func() { f.Run(ctx, dial) })
	}
}

// close stops all and waits for it.
func (b *background) close() {
	for f, stop := range b.running {
		stop()
		delete(b.running, f)
	}
	b.all.Wait()
}

// Dial gives connections to the clusters of the configuration in force.
func (e *Engine) Dial() filter.Dial { return e.dial }

// dial implements filter.Dial on the configuration in force. It takes a healthy
// endpoint at random by weight, and any where none is healthy.
func (e *Engine) dial(ctx context.Context, name, protocol string) (net.Conn, error) {
	c := e.config.Load().Clusters[name]
	if c == nil {
		return nil, fmt.Errorf("cluster %q: there is none", name)
	}
	addr, ok := drawn(c.Endpoints)
	if !ok {
		return nil, fmt.Errorf("cluster %q: no endpoint", name)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(orDefault(c.ConnectTimeout, 5*time.Second)))
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil || c.TLS == nil {
		if err != nil {
			err = fmt.Errorf("cluster %q: %w", name, err)
		}
		return conn, err
	}
	config := c.TLS.Clone()
	config.NextProtos = []string{protocol}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("cluster %q: %s: %w", name, addr, err)
	}
	return secured, nil
}

func drawn(list []snapshot.Endpoint) (addr string, ok bool) {
	healthy := slices.DeleteFunc(slices.Clone(list), func(e snapshot.Endpoint) bool { return !e.Healthy })
	if len(healthy) == 0 {
		healthy = list
	}
	var total uint64
	for _, e := range healthy {
		total += uint64(e.Weight)
	}
	if total == 0 {
		return "", false
	}
	at := rand.Uint64N(total)
	for _, e := range healthy {
		if w := uint64(e.Weight); at >= w {
			at -= w
			continue
		}
		return e.Addr.String(), true
	}
	return "", false
}
