package xdsclient

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/meshc/meshc/dataplane/resource"
	"github.com/meshc/meshc/dataplane/snapshot/build"
)

// entry is one accepted resource. It is immutable.
type entry struct {
	wire     *discoveryv3.Resource
	resource resource.Resource
}

// cache holds what was accepted and decides what serves. For listeners and
// clusters the two differ while one warms: the accepted version waits for what
// it refers to, and the version in active goes on serving. The other types are
// served as soon as they are accepted.
//
// A cache belongs to one goroutine.
type cache struct {
	accepted map[string]map[string]*entry // type URL → name → newest accepted
	active   map[string]map[string]*entry // of listeners and clusters
	// inForce are the listeners that the engine runs: an active one that it
	// cannot bind falls back to these, so what they refer to is kept as well.
	inForce map[string]*entry
}

func newCache() *cache {
	c := &cache{accepted: make(map[string]map[string]*entry), active: make(map[string]map[string]*entry)}
	for _, url := range resource.Types {
		c.accepted[url] = make(map[string]*entry)
		if warms(url) {
			c.active[url] = make(map[string]*entry)
		}
	}
	return c
}

// warms says whether a type is asked for by wildcard, and warmed before use.
func warms(url string) bool { return url == resource.ListenerType || url == resource.ClusterType }

// accept takes the resources of one response that decode, and gives an error
// that names each of those that do not: their last good version stays.
// judge has the last word on each.
func (c *cache) accept(resp *discoveryv3.DeltaDiscoveryResponse, judge func(resource.Resource) error) error {
	known := c.accepted[resp.GetTypeUrl()]
	var refused []error
	for _, wire := range resp.GetResources() {
		if old := known[wire.GetName()]; old != nil && wire.GetVersion() != "" && old.wire.GetVersion() == wire.GetVersion() {
			continue
		}
		e, err := decode(resp.GetTypeUrl(), wire)
		if err == nil {
			err = judge(e.resource)
		}
		if err != nil {
			refused = append(refused, err)
			continue
		}
		known[wire.GetName()] = e
	}
	if warms(resp.GetTypeUrl()) {
		for _, name := range resp.GetRemovedResources() {
			delete(known, name)
		}
	} else {
		c.disappeared(resp)
	}
	return errors.Join(refused...)
}

func decode(url string, wire *discoveryv3.Resource) (*entry, error) {
	r, err := resource.Decode(url, wire.GetResource())
	if err != nil {
		return nil, err
	}
	if r.ResourceName() != wire.GetName() {
		return nil, fmt.Errorf("resource %q holds one that calls itself %q", wire.GetName(), r.ResourceName())
	}
	return &entry{wire: wire, resource: r}, nil
}

// disappeared handles the removal of what is asked for by name. What serves
// keeps it, until its referrer goes: a control plane that forgets a route table
// before its listener would otherwise stop traffic. Endpoints that never came
// count as none, so that their cluster need not warm for ever.
func (c *cache) disappeared(resp *discoveryv3.DeltaDiscoveryResponse) {
	if resp.GetTypeUrl() != resource.EndpointsType {
		return
	}
	known := c.accepted[resource.EndpointsType]
	for _, name := range resp.GetRemovedResources() {
		if known[name] == nil {
			known[name] = &entry{
				wire:     &discoveryv3.Resource{Name: name},
				resource: &resource.Endpoints{Name: name},
			}
		}
	}
}

// wanted names the resources of a type that accepted or active listeners and
// clusters, or listeners in force, refer to.
func (c *cache) wanted(url string) map[string]bool {
	names := make(map[string]bool)
	for _, e := range c.inForce {
		refer(e.resource, url, names)
	}
	for _, list := range []map[string]map[string]*entry{c.accepted, c.active} {
		for _, referrer := range []string{resource.ListenerType, resource.ClusterType} {
			for _, e := range list[referrer] {
				refer(e.resource, url, names)
			}
		}
	}
	return names
}

func refer(r resource.Resource, url string, names map[string]bool) {
	var secrets []resource.SecretRef
	switch r := r.(type) {
	case *resource.Listener:
		if url == resource.RouteType {
			for _, name := range r.RouteConfigs() {
				names[name] = true
			}
		}
		secrets = r.Secrets()
	case *resource.Cluster:
		if url == resource.EndpointsType && r.Discovery == resource.EDS {
			names[r.EDSName] = true
		}
		secrets = r.Secrets()
	}
	if url != resource.SecretType {
		return
	}
	for _, ref := range secrets {
		if ref.Source == resource.FromADS {
			names[ref.Name] = true
		}
	}
}

// forget drops what nothing refers to any more.
func (c *cache) forget() {
	for _, url := range resource.Types {
		if warms(url) {
			continue
		}
		wanted := c.wanted(url)
		maps.DeleteFunc(c.accepted[url], func(name string, _ *entry) bool { return !wanted[name] })
	}
}

// promote makes active what is complete, drops what is gone, and names what
// still warms and why.
func (c *cache) promote() (warming []string) {
	set := c.referents()
	for _, url := range []string{resource.ClusterType, resource.ListenerType} {
		for name, e := range c.accepted[url] {
			if c.active[url][name] == e {
				continue
			}
			if lacks := set.Lacks(e.resource); lacks != "" {
				warming = append(warming, fmt.Sprintf("%s waits for %s", name, lacks))
				continue
			}
			c.active[url][name] = e
		}
		maps.DeleteFunc(c.active[url], func(name string, _ *entry) bool { return c.accepted[url][name] == nil })
	}
	slices.Sort(warming)
	return warming
}

// referents is a set without listeners and clusters.
func (c *cache) referents() *build.Set {
	set := build.NewSet()
	for _, url := range resource.Types {
		if warms(url) {
			continue
		}
		for _, e := range c.accepted[url] {
			set.Add(e.resource)
		}
	}
	return set
}

// set is what serves.
func (c *cache) set() *build.Set {
	set := c.referents()
	for _, list := range c.active {
		for _, e := range list {
			set.Add(e.resource)
		}
	}
	digest := sha256.New()
	for _, wire := range c.serving() {
		fmt.Fprintf(digest, "%s\x00%s\x00%s\x00", wire.GetResource().GetTypeUrl(), wire.GetName(), wire.GetVersion())
	}
	set.Digest = hex.EncodeToString(digest.Sum(nil))
	return set
}

// serving lists what serves, by type and name.
func (c *cache) serving() []*discoveryv3.Resource {
	var out []*discoveryv3.Resource
	for _, url := range resource.Types {
		list := c.accepted[url]
		if warms(url) {
			list = c.active[url]
		}
		for _, name := range slices.Sorted(maps.Keys(list)) {
			if wire := list[name].wire; wire.GetResource() != nil {
				out = append(out, wire)
			}
		}
	}
	return out
}

// restore fills an empty cache with what an earlier run served.
func (c *cache) restore(saved []*discoveryv3.Resource) error {
	for _, wire := range saved {
		url := wire.GetResource().GetTypeUrl()
		if c.accepted[url] == nil {
			return fmt.Errorf("saved resource %q of type %q", wire.GetName(), url)
		}
		e, err := decode(url, wire)
		if err != nil {
			return fmt.Errorf("saved %w", err)
		}
		c.accepted[url][wire.GetName()] = e
	}
	if warming := c.promote(); len(warming) > 0 {
		return fmt.Errorf("saved resources are incomplete: %s", warming[0])
	}
	return nil
}

// versions gives the versions of a type's accepted resources.
func (c *cache) versions(url string) map[string]string {
	out := make(map[string]string, len(c.accepted[url]))
	for name, e := range c.accepted[url] {
		if e.wire.GetVersion() != "" {
			out[name] = e.wire.GetVersion()
		}
	}
	return out
}
