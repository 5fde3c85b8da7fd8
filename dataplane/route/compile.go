package route

import (
	"errors"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// MetadataNamespace is the only filter metadata namespace that a route may carry.
const MetadataNamespace = "meshc.dev"

// PerFilter decodes the typed per-route config of the HTTP filter called name.
type PerFilter func(name string, config *anypb.Any) (any, error)

// Compile gives the table of a RouteConfiguration that has passed
// support.Table.Check. Errors name the virtual host and route.
func Compile(rc *routev3.RouteConfiguration, perFilter PerFilter) (*Table, error) {
	c := compiler{rc: rc, perFilter: perFilter}
	global, err := c.level(rc, rc.GetTypedPerFilterConfig())
	if err != nil {
		return nil, err
	}
	hosts := make([]*VirtualHost, 0, len(rc.GetVirtualHosts()))
	for _, vh := range rc.GetVirtualHosts() {
		host, err := c.virtualHost(global, vh)
		if err != nil {
			return nil, fmt.Errorf("virtual host %q: %w", vh.GetName(), err)
		}
		hosts = append(hosts, host)
	}
	table, err := NewTable(rc.GetName(), hosts)
	if err != nil {
		return nil, err
	}
	table.IgnorePort = rc.GetIgnorePortInHostMatching()
	return table, nil
}

type compiler struct {
	rc        *routev3.RouteConfiguration
	perFilter PerFilter
}

// level is what one level of the hierarchy adds to every route below it.
type level struct {
	request, response HeaderMutations
	perFilter         map[string]any
}

type mutable interface {
	GetRequestHeadersToAdd() []*corev3.HeaderValueOption
	GetRequestHeadersToRemove() []string
	GetResponseHeadersToAdd() []*corev3.HeaderValueOption
	GetResponseHeadersToRemove() []string
}

func (c *compiler) level(m mutable, configs map[string]*anypb.Any) (level, error) {
	var l level
	var err error
	if l.request, err = mutations(m.GetRequestHeadersToAdd(), m.GetRequestHeadersToRemove()); err != nil {
		return l, fmt.Errorf("request headers: %w", err)
	}
	if l.response, err = mutations(m.GetResponseHeadersToAdd(), m.GetResponseHeadersToRemove()); err != nil {
		return l, fmt.Errorf("response headers: %w", err)
	}
	for name, config := range configs {
		decoded, err := c.perFilter(name, config)
		if err != nil {
			return l, fmt.Errorf("typed_per_filter_config[%q]: %w", name, err)
		}
		if l.perFilter == nil {
			l.perFilter = make(map[string]any, len(configs))
		}
		l.perFilter[name] = decoded
	}
	return l, nil
}

func (c *compiler) virtualHost(global level, vh *routev3.VirtualHost) (*VirtualHost, error) {
	own, err := c.level(vh, vh.GetTypedPerFilterConfig())
	if err != nil {
		return nil, err
	}
	host := &VirtualHost{Name: vh.GetName(), Domains: vh.GetDomains()}
	for i, r := range vh.GetRoutes() {
		compiled, err := c.route(r, global, own)
		if err != nil {
			return nil, fmt.Errorf("route %d %q: %w", i, r.GetName(), err)
		}
		if prefix := r.GetStatPrefix(); prefix != "" {
			compiled.Entry.Counted = &Counted{VirtualHost: vh.GetName(), Prefix: prefix}
		}
		host.Routes = append(host.Routes, compiled)
	}
	return host, nil
}

func (c *compiler) route(r *routev3.Route, global, vhost level) (*Route, error) {
	path, others, err := compileMatch(r.GetMatch())
	if err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	own, err := c.level(r, r.GetTypedPerFilterConfig())
	if err != nil {
		return nil, err
	}
	e := &Entry{Name: r.GetName()}
	c.layer(e, own, vhost, global)
	if e.Metadata, err = metadata(r.GetMetadata()); err != nil {
		return nil, err
	}
	switch action := r.GetAction().(type) {
	case *routev3.Route_Route:
		err = routeAction(e, action.Route)
	case *routev3.Route_DirectResponse:
		err = directResponse(e, action.DirectResponse)
	case *routev3.Route_Redirect:
		err = redirect(e, action.Redirect)
	default:
		err = errors.New("needs route, redirect or direct_response")
	}
	if err != nil {
		return nil, err
	}
	return &Route{Entry: e, Matches: others, path: path}, nil
}

// layer chains the levels' mutations so that the one that must win runs last,
// and gives each filter its most specific config.
func (c *compiler) layer(e *Entry, own, vhost, global level) {
	first, second, third := own, vhost, global
	if c.rc.GetMostSpecificHeaderMutationsWins() {
		first, third = global, own
	}
	e.Request = chain(first.request, second.request, third.request)
	e.Response = chain(first.response, second.response, third.response)
	for _, l := range []level{global, vhost, own} {
		for name, config := range l.perFilter {
			if e.PerFilter == nil {
				e.PerFilter = make(map[string]any)
			}
			e.PerFilter[name] = config
		}
	}
}

func chain(first, second, third HeaderMutations) HeaderMutations {
	if !third.Empty() {
		second.Then = &third
	}
	if !second.Empty() {
		first.Then = &second
	}
	return first
}

func metadata(m *corev3.Metadata) (map[string]string, error) {
	var out map[string]string
	for namespace, fields := range m.GetFilterMetadata() {
		if namespace != MetadataNamespace {
			return nil, fmt.Errorf("metadata: filter_metadata[%q] is not supported", namespace)
		}
		out = make(map[string]string, len(fields.GetFields()))
		for key, value := range fields.GetFields() {
			out[key] = value.GetStringValue()
		}
	}
	return out, nil
}
