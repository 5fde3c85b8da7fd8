package build

import (
	"crypto/tls"
	"fmt"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/dataplane/resource"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/transport"
)

// Builder makes configurations. Its methods are for one goroutine.
type Builder struct {
	secrets  *Secrets
	resolver *Resolver
	// tls holds the configurations of the last Build by their contexts: an
	// unchanged context keeps its tls.Config over updates.
	tls map[string]secured
}

// secured is what a context says.
type secured struct {
	tls   *tls.Config
	peers snapshot.Peers
}

// New gives a Builder. resolver is told which names to follow.
func New(secrets *Secrets, resolver *Resolver) *Builder {
	return &Builder{secrets: secrets, resolver: resolver}
}

// Build gives the configuration of a set. It is complete: every listener has
// its route tables and every cluster its endpoints; a resource that lacks
// something is an error that names both. A route may name a cluster that is
// not in the set: its requests are answered 503. Build never blocks: a name
// that is not resolved yet has no endpoints.
func (b *Builder) Build(set *Set) (*snapshot.Config, error) {
	run := &run{Builder: b, set: set, tls: make(map[string]secured)}
	config := &snapshot.Config{
		Digest:    set.Digest,
		Listeners: make(map[string]*snapshot.Listener, len(set.Listeners)),
		Clusters:  make(map[string]*snapshot.Cluster, len(set.Clusters)),
	}
	b.resolver.follow(set)
	for name, l := range set.Listeners {
		built, err := run.listener(l)
		if err != nil {
			return nil, fmt.Errorf("listener %q: %w", name, err)
		}
		config.Listeners[name] = built
	}
	for name, c := range set.Clusters {
		built, err := run.cluster(c)
		if err != nil {
			return nil, fmt.Errorf("cluster %q: %w", name, err)
		}
		config.Clusters[name] = built
	}
	b.tls = run.tls
	b.secrets.use(set)
	return config, nil
}

// run is one Build.
type run struct {
	*Builder
	set *Set
	tls map[string]secured
}

func (r *run) listener(l *resource.Listener) (*snapshot.Listener, error) {
	if lacks := r.set.Lacks(l); lacks != "" {
		return nil, fmt.Errorf("%s is missing", lacks)
	}
	out := &snapshot.Listener{
		Name:           l.Name,
		Addr:           l.Addr,
		Also:           l.Also,
		Unbound:        l.Unbound,
		OriginalDst:    l.OriginalDst,
		HandOn:         l.HandOn,
		ProxyProtocol:  l.ProxyProtocol,
		InspectPorts:   l.InspectPorts,
		InspectTLS:     l.InspectTLS,
		InspectTimeout: l.InspectTimeout,
	}
	for _, c := range l.Chains {
		chain, err := r.chain(c)
		if err != nil {
			return nil, fmt.Errorf("filter chain %q: %w", c.Name, err)
		}
		out.Chains = append(out.Chains, chain)
	}
	return out, nil
}

func (r *run) chain(c *resource.Chain) (*snapshot.Chain, error) {
	out := &snapshot.Chain{
		Name:              c.Name,
		Port:              c.Port,
		TransportProtocol: c.TransportProtocol,
		ServerNames:       c.ServerNames,
		Sources:           c.Sources,
		HandshakeTimeout:  c.HandshakeTimeout,
		Limit:             c.Limit,
		TCP:               c.TCP,
	}
	if c.HTTP != nil {
		out.HTTP = r.manager(c.HTTP)
	}
	if c.TLS == nil {
		return out, nil
	}
	by, err := r.tlsOf(c.TLS)
	out.TLS, out.Peers = by.tls, by.peers
	return out, err
}

func (r *run) manager(h *resource.HTTP) *snapshot.HTTP {
	out := h.HTTP
	if h.RouteConfig != "" {
		out.Routes = r.set.Routes[h.RouteConfig]
	}
	// The table is shared by name; what the manager asks of it is its own.
	table := *out.Routes
	table.NormalizePath, table.RejectEscapedSlashes = h.NormalizePath, h.RejectEscapedSlashes
	out.Routes = &table
	return &out
}

func (r *run) cluster(c *resource.Cluster) (*snapshot.Cluster, error) {
	if lacks := r.set.Lacks(c); lacks != "" {
		return nil, fmt.Errorf("%s is missing", lacks)
	}
	out := c.Template
	switch c.Discovery {
	case resource.EDS:
		eds := r.set.Endpoints[c.EDSName]
		out.Endpoints, out.Overprovisioning = eds.List, eds.Overprovisioning
	case resource.Static:
		out.Endpoints, out.Overprovisioning = c.Endpoints.List, c.Endpoints.Overprovisioning
	case resource.StrictDNS:
		out.Endpoints, out.Overprovisioning = r.resolver.endpoints(c), c.Endpoints.Overprovisioning
	}
	if c.TLS == nil {
		return &out, nil
	}
	by, err := r.tlsOf(c.TLS)
	out.TLS, out.Peers = by.tls, by.peers
	return &out, err
}

// tlsOf keys by direction too: the two kinds of context share an encoding.
func (r *run) tlsOf(ctx proto.Message) (secured, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(ctx)
	if err != nil {
		return secured{}, err
	}
	key := string(ctx.ProtoReflect().Descriptor().Name()) + "\x00" + string(raw)
	if known, ok := r.tls[key]; ok {
		return known, nil
	}
	out, ok := r.Builder.tls[key]
	if !ok {
		if out, err = r.secure(ctx); err != nil {
			return secured{}, err
		}
	}
	r.tls[key] = out
	return out, nil
}

func (r *run) secure(ctx proto.Message) (out secured, err error) {
	var peers *transport.Peers
	clock := transport.WithClock(r.secrets.Now)
	switch ctx := ctx.(type) {
	case *tlsv3.DownstreamTlsContext:
		if out.tls, err = transport.Server(ctx, r.secrets, clock); err == nil {
			peers, err = transport.ServerPeers(ctx, judging{r.secrets})
		}
	case *tlsv3.UpstreamTlsContext:
		if out.tls, err = transport.Client(ctx, r.secrets, clock); err == nil {
			peers, err = transport.ClientPeers(ctx, judging{r.secrets})
		}
	default:
		err = fmt.Errorf("%T is no TLS context", ctx)
	}
	if peers != nil {
		out.peers = peers
	}
	return out, err
}
