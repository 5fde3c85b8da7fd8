package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/meshc/meshc/dataplane/lastgood"
	"github.com/meshc/meshc/dataplane/resource"
	"github.com/meshc/meshc/dataplane/snapshot/build"
	"github.com/meshc/meshc/dataplane/telemetry"
	"github.com/meshc/meshc/dataplane/transport"
	"github.com/meshc/meshc/dataplane/xdsclient"
)

func workers(n int) int {
	if n > 0 {
		return n
	}
	return runtime.NumCPU()
}

// overADS gives the part that follows the control plane.
func (p *proxy) overADS() (func(context.Context), error) {
	conn, err := p.dial(p.opts.Bootstrap.ADS)
	if err != nil {
		return nil, fmt.Errorf("ads: %w", err)
	}
	options := xdsclient.Options{
		Node:    p.opts.Bootstrap.Node,
		ADS:     discoveryv3.NewAggregatedDiscoveryServiceClient(conn),
		Apply:   p.applyBlaming,
		Probe:   p.probe,
		Changed: p.resolver.Changed(),
		Observe: p.metrics.observe,
		Log:     p.opts.Log,
		Save:    p.state.serves,
	}
	if err := p.rememberOnDisk(&options); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	client, err := xdsclient.New(options)
	if err != nil && len(options.Saved) > 0 {
		p.opts.Log.Error("the saved configuration is of no use", "error", err)
		options.Saved = nil
		client, err = xdsclient.New(options)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	p.state.serves(options.Saved)
	return func(ctx context.Context) {
		client.Run(ctx)
		_ = conn.Close()
	}, nil
}

// rememberOnDisk reads the last good configuration and has each new one
// written, in the background: the newest wins.
func (p *proxy) rememberOnDisk(o *xdsclient.Options) error {
	if p.opts.LastGood == "" {
		return nil
	}
	store, err := lastgood.Open(p.opts.LastGood, p.spiffeID(), o.Node.GetId())
	if err != nil {
		return err
	}
	o.Saved, err = store.Load()
	if err != nil && !errors.Is(err, lastgood.ErrNone) {
		p.opts.Log.Error("the saved configuration is refused", "error", err)
	}
	newest := make(chan []*discoveryv3.Resource, 1)
	o.Save = func(resources []*discoveryv3.Resource) {
		p.state.serves(resources)
		select {
		case <-newest:
		default:
		}
		newest <- resources // the client is the only sender
	}
	p.background(func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return p.saveLast(store, newest)
			case resources := <-newest:
				p.save(store, resources)
			}
		}
	})
	return nil
}

// saveLast writes what is still waiting when the proxy ends.
func (p *proxy) saveLast(store *lastgood.Store, newest <-chan []*discoveryv3.Resource) error {
	if p.retired.Load() {
		return nil // another process writes there
	}
	select {
	case resources := <-newest:
		p.save(store, resources)
	default:
	}
	return nil
}

func (p *proxy) save(store *lastgood.Store, resources []*discoveryv3.Resource) {
	if err := store.Save(resources); err != nil {
		p.opts.Log.Error("could not save the configuration", "error", err)
	}
}

// dial makes the connection to the control plane. It connects when it is first
// used, and again for ever.
func (p *proxy) dial(c *resource.ControlCluster) (*grpc.ClientConn, error) {
	security := insecure.NewCredentials()
	if c.TLS != nil {
		config, err := transport.Client(c.TLS, p.secrets, transport.WithClock(p.secrets.Now))
		if err != nil {
			return nil, fmt.Errorf("cluster %q: %w", c.Name, err)
		}
		security = credentials.NewTLS(config)
	}
	return grpc.NewClient("passthrough:///"+c.Targets[0],
		grpc.WithTransportCredentials(security),
		grpc.WithContextDialer(dialer(c)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 15 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
	)
}

// dialer tries the cluster's addresses in turn.
func dialer(c *resource.ControlCluster) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, _ string) (net.Conn, error) {
		var all []error
		for _, target := range c.Targets {
			conn, err := new(net.Dialer).DialContext(ctx, c.Network, target)
			if err == nil {
				return conn, nil
			}
			all = append(all, err)
		}
		return nil, errors.Join(all...)
	}
}

// applyBlaming names the listener that the engine's error begins with, so that
// it alone falls back.
func (p *proxy) applyBlaming(set *build.Set) error {
	err := p.apply(set)
	if err == nil {
		return nil
	}
	rest, ok := strings.CutPrefix(err.Error(), "listener ")
	if !ok {
		return err
	}
	quoted, quoteErr := strconv.QuotedPrefix(rest)
	if quoteErr != nil {
		return err
	}
	name, quoteErr := strconv.Unquote(quoted)
	if quoteErr != nil {
		return err
	}
	return &xdsclient.ListenerError{Name: name, Err: err}
}

// probe says what would keep a new listener from being bound, before it is
// acknowledged.
func (p *proxy) probe(l *resource.Listener) error {
	for _, c := range l.Chains {
		for _, log := range c.AccessLogs() {
			if log.OTLP != nil {
				continue
			}
			if err := telemetry.Probe(log.Path); err != nil {
				return err
			}
		}
	}
	for _, at := range l.Bound() {
		if p.isBound(at) || p.inherits(at) {
			continue
		}
		network := "tcp4"
		if at.Addr().Unmap().Is6() {
			network = "tcp6" // which takes nothing of IPv4
		}
		socket, err := net.Listen(network, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String())
		if err != nil {
			return err
		}
		if err := socket.Close(); err != nil {
			return err
		}
	}
	return nil
}

// isBound: the engine already listens there, for whichever listener.
func (p *proxy) isBound(at netip.AddrPort) bool {
	for _, l := range p.engine.Config().Listeners {
		if !l.Unbound && slices.Contains(l.Addresses(), at) {
			return true
		}
	}
	return false
}
