// Package rbac lets requests in or refuses them by the client's identity and
// the request, as envoy.filters.http.rbac does. What it cannot judge it denies.
package rbac

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	configv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"

	"github.com/meshc/meshc/dataplane/filter"
)

// Config is one decoded set of rules. It is immutable. A nil *Config, or one
// without rules, lets everything in: the filter is switched off.
type Config struct {
	enforced bool
	deny     bool // action DENY: a matching policy refuses
	policies []policy
	shadow   []policy // that are noted and decide nothing
	asks     bool     // what shadow notes is for a filter behind
}

// Prefixes of what shadow rules note: for the access log, and for the filter that
// asks a service about some requests.
const (
	ShadowPrefix = "audit_"
	AskedPrefix  = "asked_"
)

// FilterName is what shadow rules note under, whatever the filter is called.
const FilterName = "envoy.filters.http.rbac"

type policy struct {
	name   string
	detail string // response code details when this policy refuses
	allows judge  // permissions and principals together
}

// judge is one permission or principal.
type judge func(*filter.Stream) bool

// Decode gives the Config of an RBAC filter config that passed
// support.Table.Check.
func Decode(p *rbacv3.RBAC) (*Config, error) {
	shadow, err := decodeShadow(p)
	if err != nil {
		return nil, err
	}
	asks := p.GetShadowRulesStatPrefix() == AskedPrefix
	if p.GetRules() == nil {
		return &Config{shadow: shadow, asks: asks}, nil
	}
	c := &Config{enforced: true, shadow: shadow, asks: asks}
	switch p.GetRules().GetAction() {
	case configv3.RBAC_ALLOW:
	case configv3.RBAC_DENY:
		c.deny = true
	default:
		return nil, fmt.Errorf("rules: action %v is not supported", p.GetRules().GetAction())
	}
	if c.policies, err = compilePolicies(p.GetRules().GetPolicies()); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return c, nil
}

// decodeShadow gives the policies that are noted where they hold.
func decodeShadow(p *rbacv3.RBAC) ([]policy, error) {
	if p.GetShadowRules() == nil {
		return nil, nil
	}
	if a := p.GetShadowRules().GetAction(); a != configv3.RBAC_ALLOW {
		return nil, fmt.Errorf("shadow_rules: action %v is not supported", a)
	}
	if prefix := p.GetShadowRulesStatPrefix(); prefix != ShadowPrefix && prefix != AskedPrefix {
		return nil, fmt.Errorf("shadow_rules_stat_prefix: %q is not supported, only %q and %q", prefix, ShadowPrefix, AskedPrefix)
	}
	list, err := compilePolicies(p.GetShadowRules().GetPolicies())
	if err != nil {
		return nil, fmt.Errorf("shadow_rules: %w", err)
	}
	return list, nil
}

// compilePolicies gives policies in the order in which they are asked, by name.
func compilePolicies(policies map[string]*configv3.Policy) ([]policy, error) {
	var out []policy
	for name, proto := range policies {
		compiled, err := compilePolicy(name, proto)
		if err != nil {
			return nil, fmt.Errorf("policy %q: %w", name, err)
		}
		out = append(out, compiled)
	}
	slices.SortFunc(out, func(a, b policy) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// DecodePerRoute gives the Config that replaces the filter's on one route.
func DecodePerRoute(p *rbacv3.RBACPerRoute) (*Config, error) { return Decode(p.GetRbac()) }

func compilePolicy(name string, p *configv3.Policy) (policy, error) {
	permissions, err := compileAll(p.GetPermissions(), permission)
	if err != nil {
		return policy{}, fmt.Errorf("permissions%w", err)
	}
	principals, err := compileAll(p.GetPrincipals(), principal)
	if err != nil {
		return policy{}, fmt.Errorf("principals%w", err)
	}
	if len(permissions) == 0 || len(principals) == 0 {
		return policy{}, errors.New("needs permissions and principals")
	}
	may, is := anyOf(permissions), anyOf(principals)
	return policy{
		name:   name,
		detail: detail(name),
		allows: func(s *filter.Stream) bool { return may(s) && is(s) },
	}, nil
}

func compileAll[P any](list []P, compile func(P) (judge, error)) ([]judge, error) {
	var out []judge
	for i, p := range list {
		j, err := compile(p)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		out = append(out, j)
	}
	return out, nil
}

// detail is Envoy's response code detail, which holds no white space.
func detail(policy string) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\n\v\f\r", r) {
			return '_'
		}
		return r
	}, policy)
	return "rbac_access_denied_matched_policy[" + name + "]"
}

var noPolicy = detail("none")

// Filter is the HTTP filter. It keeps no state: one value serves every connection.
type Filter struct {
	name   string
	config *Config
}

// New gives the filter under the name that its connection manager knows it by.
func New(name string, config *Config) *Filter { return &Filter{name: name, config: config} }

// Name implements filter.HTTP.
func (f *Filter) Name() string { return f.name }

// What is counted, as Envoy names it.
const (
	allowed = iota
	denied
	shadowAllowed
	shadowDenied
)

// Counters implements filter.Counted.
func (f *Filter) Counters() ([]string, filter.Label) {
	shadow := "rbac_" + ShadowPrefix
	if f.config != nil && f.config.asks {
		shadow = "rbac_" + AskedPrefix
	}
	return []string{"rbac_allowed", "rbac_denied", shadow + "shadow_allowed", shadow + "shadow_denied"}, filter.Label{}
}

// OnRequest implements filter.HTTP.
func (f *Filter) OnRequest(s *filter.Stream) filter.Verdict {
	c := f.config
	if s.Route != nil {
		if own, ok := s.Route.PerFilter[f.name].(*Config); ok {
			c = own
		}
	}
	v := c.judge(s)
	switch {
	case c == nil || !c.enforced:
	case v.Status != 0:
		s.Count(denied)
	default:
		s.Count(allowed)
	}
	return v
}

// judge is the same for requests and connections.
func (c *Config) judge(s *filter.Stream) filter.Verdict {
	if c == nil {
		return filter.Verdict{}
	}
	c.judgeShadow(s)
	if !c.enforced {
		return filter.Verdict{}
	}
	for i := range c.policies {
		if !c.policies[i].allows(s) {
			continue
		}
		if c.deny {
			return refuse(c.policies[i].detail)
		}
		return filter.Verdict{}
	}
	if c.deny {
		return filter.Verdict{}
	}
	return refuse(noPolicy)
}

// judgeShadow finds the first policy of the shadow rules that holds.
func (c *Config) judgeShadow(s *filter.Stream) {
	for i := range c.shadow {
		if c.shadow[i].allows(s) {
			c.note(s, &c.shadow[i])
			s.Count(shadowAllowed)
			return
		}
	}
	if len(c.shadow) > 0 {
		s.Count(shadowDenied)
	}
}

// note keeps which policy of shadow rules holds.
func (c *Config) note(s *filter.Stream, p *policy) {
	if c.asks {
		s.Asked = true
		return
	}
	s.Audited = p.name
}

func refuse(details string) filter.Verdict {
	return filter.Verdict{Status: 403, Body: "RBAC: access denied", Details: details}
}
