package xds

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/meshc/meshc/compiler/model"
)

// Options of a Server. The zero value serves.
type Options struct {
	// Emit gives the resources of workloads; nil: those of emitxds.
	Emit EmitFunc
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Timeout is how long a wait may last before status calls it timed out,
	// and before what is only a preferred order is given up; 0: 15 s.
	Timeout time.Duration
	// MaxConnectionAge ends a connection so that the client proves itself with
	// a current certificate; reconnecting sends nothing again. 0: 30 minutes.
	MaxConnectionAge time.Duration
	// Trusted says whether the authorities of now have signed the certificate of a
	// client, leaf first, however old it is; nil: yes. It is asked at the
	// first new state after a stream began and after each change of the trust bundles,
	// and a stream of whom they have not ends.
	Trusted func(chain []*x509.Certificate) bool
	// Genuine says whether the certificate of a client, leaf first, cannot have been
	// made by who has stolen a key; nil: yes. A stream of whom it can is served, and
	// does not count among those that trust bundles are confirmed by.
	Genuine func(chain []*x509.Certificate) bool
}

// Server is the ADS server. Its methods are safe for concurrent use.
type Server struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	opts Options

	// building orders writers; it is held while a state is built, mu is not.
	building sync.Mutex
	desired  *Desired
	checked  *checked // by Check last, until something else is built; nil: nothing
	served   *checked // what current was built of
	bundles  map[string]*Resource
	epoch    uint64    // how often bundles were set
	known    *interner // resources that were built of late

	mu       sync.Mutex
	current  *state // nil before the first SetDesired
	newState chan struct{}
	changed  chan struct{}
	memories map[string]*memory
	streams  map[string][]*stream // by node id, oldest first
	roles    map[string]model.Role
}

// New makes a server that answers nothing before its first SetDesired.
func New(o Options) *Server {
	if o.Emit == nil {
		o.Emit = indexed
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.MaxConnectionAge <= 0 {
		o.MaxConnectionAge = 30 * time.Minute
	}
	return &Server{
		opts:     o,
		bundles:  map[string]*Resource{},
		known:    newInterner(),
		epoch:    1,
		newState: make(chan struct{}),
		changed:  make(chan struct{}),
		memories: map[string]*memory{},
		streams:  map[string][]*stream{},
	}
}

// Limits of one connection and its messages.
const (
	maxSend    = 64 << 20
	maxReceive = 16 << 20
	maxStreams = 64
)

// NewGRPC makes the gRPC server that serves s and nothing else. The TLS
// configuration has to verify client certificates itself (ClientAuth
// tls.RequireAndVerifyClientCert with ClientCAs, also where GetConfigForClient
// picks it).
func (s *Server) NewGRPC(c *tls.Config) (*grpc.Server, error) {
	c, err := harden(c)
	if err != nil {
		return nil, fmt.Errorf("ads server: %w", err)
	}
	g := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(c)),
		grpc.ChainUnaryInterceptor(authenticateUnary),
		grpc.ChainStreamInterceptor(authenticateStream),
		grpc.MaxSendMsgSize(maxSend),
		grpc.MaxRecvMsgSize(maxReceive),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time:                  20 * time.Second,
			Timeout:               10 * time.Second,
			MaxConnectionAge:      s.opts.MaxConnectionAge,
			MaxConnectionAgeGrace: time.Second,
		}),
	)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s)
	return g, nil
}

// SetDesired makes d what every stream is led to. All nodes are emitted before
// anything is sent: an error names the node, and changes nothing. Called again
// with the same commit and other workloads, it sends endpoints only. Faults
// whose end has passed are left out as of the time of the call.
func (s *Server) SetDesired(commit string, d *Desired) error {
	if commit == "" {
		return errors.New("desired state has no commit")
	}
	if d == nil || d.Mesh == nil {
		return errors.New("desired state has no mesh")
	}
	s.building.Lock()
	defer s.building.Unlock()
	if err := s.rebuild(commit, d, s.bundles); err != nil {
		return fmt.Errorf("commit %s: %w", commit, err)
	}
	s.desired = d
	return nil
}

// SetBundle sets the roots of a trust domain, PEM certificates, delivered as
// the secret "bundle|<trust domain>" to the nodes whose resources refer to it.
// It has to be set before a SetDesired whose resources refer to it. The roots of
// aliases of the trust domain, of which there may be none, are delivered with it.
func (s *Server) SetBundle(trustDomain string, pem []byte, aliases ...Bundle) error {
	secret, err := bundleSecret(Bundle{trustDomain, pem}, aliases)
	if err != nil {
		return err
	}
	s.building.Lock()
	defer s.building.Unlock()
	s.checked = nil
	next := map[string]*Resource{secret.Name: secret}
	for name, r := range s.bundles {
		if name != secret.Name {
			next[name] = r
		}
	}
	s.epoch++ // whatever comes of it: who is trusted may be different by now
	if s.desired != nil {
		if err := s.rebuild(s.snapshot().commit, s.desired, next); err != nil {
			return fmt.Errorf("trust bundle of %q: %w", trustDomain, err)
		}
	}
	s.bundles = next
	return nil
}

// rebuild makes and publishes a state; building is held.
func (s *Server) rebuild(commit string, d *Desired, bundles map[string]*Resource) error {
	c, at := s.checked, s.opts.Now()
	s.checked = nil
	if !c.of(commit, d, at) || c.after != s.snapshot() {
		var err error
		if c, err = s.build(commit, d, bundles, at); err != nil {
			return err
		}
	}
	s.publish(c.state, d)
	c.after = nil
	s.served = c
	return nil
}

// publish swaps the state and wakes every stream. Nothing waits for a stream.
func (s *Server) publish(st *state, d *Desired) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = st
	s.roles = make(map[string]model.Role, len(st.nodes))
	for _, w := range d.Workloads {
		if st.nodes[w.NodeID()] != nil {
			s.roles[w.NodeID()] = w.Role
		}
	}
	for node := range s.memories {
		if st.nodes[node] == nil {
			delete(s.memories, node)
		}
	}
	close(s.newState)
	s.newState = make(chan struct{})
	s.notify()
}

func (s *Server) snapshot() *state {
	st, _ := s.watch()
	return st
}

// watch gives the current state, nil before the first, and a channel that is
// closed when there is a newer one.
func (s *Server) watch() (*state, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, s.newState
}

// notify says that Status changed; mu is held.
func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Changed gives a channel that is closed at the next change of Status. Take it
// before reading Status, and no change is missed.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Status tells of every node of the desired state, and of those that are
// connected, sorted by node id.
func (s *Server) Status() []NodeStatus {
	now := s.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return nil
	}
	out := make([]NodeStatus, 0, len(s.current.nodes))
	for id, set := range s.current.nodes {
		n := NodeStatus{Node: id, Identity: set.spiffeID, Role: s.roles[id], Commit: s.current.commit, Unplaced: set.unplaced}
		for _, st := range s.streams[id] {
			n.Streams = append(n.Streams, st.published.late(now, s.opts.Timeout))
		}
		n.Expected = n.Role != model.RoleGRPC || n.Connected()
		out = append(out, n)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Node < out[j].Node })
	return out
}

// Commit is what streams are led to; "" before the first SetDesired.
func (s *Server) Commit() string {
	if st := s.snapshot(); st != nil {
		return st.commit
	}
	return ""
}

// Programmed says on how many proxies (n) of how many (m) a commit is live.
// Expected are all sidecars and gateways that discovery knows, connected or
// not, and gRPC applications while they are connected: an application connects
// only when it first calls somebody.
func (s *Server) Programmed(commit string) (n, m int) {
	for _, node := range s.Status() {
		if node.Expected {
			m++
		}
		if node.ProgrammedOn(commit) {
			n++
		}
	}
	return n, m
}
