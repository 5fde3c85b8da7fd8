package resource

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// Listener is a decoded Listener: a snapshot.Listener that still lacks TLS
// configurations and, where they come by RDS, route tables.
type Listener struct {
	Name                         string
	Addr                         netip.AddrPort
	Also                         []netip.AddrPort
	Unbound, OriginalDst, HandOn bool // as in snapshot.Listener
	InspectTLS                   bool
	ProxyProtocol                bool
	InspectPorts                 []uint16
	InspectTimeout               time.Duration
	Chains                       []*Chain // the order in which they are tried
}

// Chain is one decoded filter chain.
type Chain struct {
	Name              string
	Port              uint16 // 0: every port
	TransportProtocol string
	ServerNames       []string                    // "a.example" or "*.example"; none: every name
	Sources           []netip.Prefix              // none: every client
	TLS               *tlsv3.DownstreamTlsContext // nil: plaintext
	HandshakeTimeout  time.Duration
	Limit             *snapshot.ConnectionLimit
	HTTP              *HTTP         // either this
	TCP               *snapshot.TCP // or that
}

// AccessLogs are those of the chain, whatever it carries.
func (c *Chain) AccessLogs() []snapshot.AccessLog {
	if c.TCP != nil {
		return c.TCP.AccessLogs
	}
	return c.HTTP.AccessLogs
}

// HTTP is a decoded HTTP connection manager. HTTP.Routes is nil when the route
// configuration comes by RDS, under the name RouteConfig.
type HTTP struct {
	snapshot.HTTP
	RouteConfig string

	// What the manager asks of its route table (route.Table).
	NormalizePath, RejectEscapedSlashes bool
}

// ResourceName implements Resource.
func (l *Listener) ResourceName() string { return l.Name }

// Bound are the addresses that the listener takes from the machine.
func (l *Listener) Bound() []netip.AddrPort {
	if l.Unbound {
		return nil
	}
	return append([]netip.AddrPort{l.Addr}, l.Also...)
}

// Meets says that two listeners want an address both, which one of them can have.
func (l *Listener) Meets(other *Listener) bool {
	mine := append([]netip.AddrPort{l.Addr}, l.Also...)
	return slices.ContainsFunc(append([]netip.AddrPort{other.Addr}, other.Also...), func(at netip.AddrPort) bool { return slices.Contains(mine, at) })
}

// RouteConfigs names the route configurations to ask RDS for.
func (l *Listener) RouteConfigs() []string {
	var names []string
	for _, c := range l.Chains {
		if c.HTTP != nil && c.HTTP.RouteConfig != "" {
			names = append(names, c.HTTP.RouteConfig)
		}
	}
	return unique(names)
}

// Secrets lists what the listener's TLS contexts refer to.
func (l *Listener) Secrets() []SecretRef {
	var refs []SecretRef
	for _, c := range l.Chains {
		refs = append(refs, secretRefs(c.TLS.GetCommonTlsContext())...)
	}
	return refs
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

func decodeListener(m *listenerv3.Listener) (*Listener, error) {
	addr, err := listenAddress(m.GetAddress())
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	l := &Listener{
		Name: m.GetName(), Addr: addr, InspectTimeout: m.GetListenerFiltersTimeout().AsDuration(),
		Unbound: m.GetBindToPort() != nil && !m.GetBindToPort().GetValue(),
		HandOn:  m.GetUseOriginalDst().GetValue(), OriginalDst: m.GetUseOriginalDst().GetValue(),
	}
	if err := l.addresses(m.GetAdditionalAddresses()); err != nil {
		return nil, fmt.Errorf("additional_addresses%w", err)
	}
	for i, f := range m.GetListenerFilters() {
		if err := l.filter(f); err != nil {
			return nil, fmt.Errorf("listener_filters[%d] %q: %w", i, f.GetName(), err)
		}
	}
	if l.Unbound && l.OriginalDst {
		return nil, errors.New("bind_to_port: a listener to which connections are handed does not hand them on")
	}
	if len(m.GetFilterChains()) == 0 {
		return nil, errors.New("filter_chains: at least one is needed")
	}
	for i, c := range m.GetFilterChains() {
		chain, err := decodeChain(c, direction(m.GetTrafficDirection()))
		if err != nil {
			return nil, fmt.Errorf("filter_chains[%d]: %w", i, err)
		}
		l.Chains = append(l.Chains, chain)
	}
	if err := nameLimits(l.Chains); err != nil {
		return nil, err
	}
	return l, l.orderChains()
}

// orderChains puts the more specific chains first, which is how Envoy chooses,
// and refuses two chains that want the same connections.
func (l *Listener) orderChains() error {
	seen := make(map[string]bool)
	inspects := false
	for _, c := range l.Chains {
		inspects = inspects || c.TransportProtocol == "tls" || len(c.ServerNames) > 0
		names := c.ServerNames
		if len(names) == 0 {
			names = []string{""}
		}
		sources := c.Sources
		if len(sources) == 0 {
			sources = []netip.Prefix{{}}
		}
		for _, name := range names {
			for _, source := range sources {
				key := fmt.Sprint(name, " ", c.TransportProtocol, " ", c.Port, " ", source)
				if seen[key] {
					return fmt.Errorf("filter_chains: two chains match destination_port %d, transport_protocol %q, server name %q and the same clients", c.Port, c.TransportProtocol, name)
				}
				seen[key] = true
			}
		}
	}
	if inspects && !l.InspectTLS {
		return errors.New("filter_chains: matching transport_protocol \"tls\" or server_names needs the tls_inspector listener filter")
	}
	slices.SortStableFunc(l.Chains, func(a, b *Chain) int {
		return len(b.TransportProtocol) - len(a.TransportProtocol)
	})
	return nil
}

func direction(d corev3.TrafficDirection) string {
	switch d {
	case corev3.TrafficDirection_INBOUND:
		return "inbound"
	case corev3.TrafficDirection_OUTBOUND:
		return "outbound"
	}
	return ""
}

func decodeChain(m *listenerv3.FilterChain, direction string) (*Chain, error) {
	c := &Chain{
		Name:              m.GetName(),
		TransportProtocol: m.GetFilterChainMatch().GetTransportProtocol(),
		ServerNames:       m.GetFilterChainMatch().GetServerNames(),
		HandshakeTimeout:  m.GetTransportSocketConnectTimeout().AsDuration(),
	}
	if port := m.GetFilterChainMatch().GetDestinationPort(); port != nil {
		// Its own rules in the proto let no other value pass.
		c.Port = uint16(port.GetValue())
	}
	if err := serverNames(c.ServerNames); err != nil {
		return nil, fmt.Errorf("filter_chain_match: server_names: %w", err)
	}
	var err error
	if c.Sources, err = networks(m.GetFilterChainMatch().GetSourcePrefixRanges()); err != nil {
		return nil, fmt.Errorf("filter_chain_match: source_prefix_ranges%w", err)
	}
	if c.TLS, err = downstreamTLS(m.GetTransportSocket()); err != nil {
		return nil, fmt.Errorf("transport_socket: %w", err)
	}
	return c, c.filters(m.GetFilters(), direction)
}

// filters takes one HTTP connection manager, or what ends in a TCP proxy; before
// either, a limit of connections.
func (c *Chain) filters(list []*listenerv3.Filter, direction string) error {
	if len(list) == 0 {
		return errors.New("filters: there are none")
	}
	limited, err := c.limit(list[0])
	if err != nil {
		return fmt.Errorf("filters[0] %q: %w", list[0].GetName(), err)
	}
	if limited && len(list) == 1 {
		return errors.New("filters: a chain ends in an HTTP connection manager or a TCP proxy")
	}
	last := list[len(list)-1]
	if last.GetTypedConfig() == nil {
		return fmt.Errorf("filters[%d] %q: needs a typed_config", len(list)-1, last.GetName())
	}
	config, err := last.GetTypedConfig().UnmarshalNew()
	if err != nil {
		return fmt.Errorf("filters[%d] %q: %w", len(list)-1, last.GetName(), err)
	}
	first := 0
	if limited {
		first = 1
	}
	switch m := config.(type) {
	case *tcpproxyv3.TcpProxy:
		if c.TCP, err = decodeTCP(list, first, m); err == nil {
			c.TCP.Direction = direction
		}
		return err
	case *hcmv3.HttpConnectionManager:
		if len(list) != first+1 {
			return fmt.Errorf("filters: %d where the HTTP connection manager stands alone, but for a limit of connections", len(list))
		}
		if c.HTTP, err = decodeManager(m, direction); err == nil {
			err = c.HTTP.codec(m, c.TLS)
		}
		if err != nil {
			return fmt.Errorf("filters[%d]: %w", first, err)
		}
		return nil
	}
	return fmt.Errorf("filters[%d] %q: a chain ends in an HTTP connection manager or a TCP proxy", len(list)-1, last.GetName())
}

// serverNames refuses what Envoy would match otherwise: it takes a wildcard as
// the first label alone, and names in lower case.
func serverNames(names []string) error {
	for _, n := range names {
		if rest := strings.TrimPrefix(n, "*."); rest == "" || strings.Contains(rest, "*") || n != strings.ToLower(n) {
			return fmt.Errorf("%q is neither a name in lower case nor \"*.\" and one", n)
		}
	}
	return nil
}

// listenAddress takes IP literals: a listener does not resolve names.
func listenAddress(a *corev3.Address) (netip.AddrPort, error) {
	s := a.GetSocketAddress()
	if s == nil {
		return netip.AddrPort{}, errors.New("needs a socket_address")
	}
	ip, err := netip.ParseAddr(s.GetAddress())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not an IP address", s.GetAddress())
	}
	if s.GetPortValue() > 65535 {
		return netip.AddrPort{}, fmt.Errorf("port %d is above 65535", s.GetPortValue())
	}
	return netip.AddrPortFrom(ip, uint16(s.GetPortValue())), nil
}
