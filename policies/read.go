package policies

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// policy is one guardrail, read.
type policy struct {
	name       string
	severity   diag.Severity
	in         *intent.Policy
	at         diag.Range
	says       says
	exemptions []*exemption
	old        bool   // of the tree before
	rule       bool   // written by users in CUE
	guard      bool   // of a controller, not of a mesh
	why        string // of a rule
}

// word is what a reader knows it by.
func (p *policy) word() string {
	switch {
	case p.rule:
		return "rule"
	case p.guard:
		return "guard"
	}
	return "policy"
}

// says is what a policy forbids, so that two can be compared.
type says struct {
	kind     string
	severity diag.Severity
	hosts    []string
	networks []netip.Prefix
	most     int    // requests
	step     uint32 // basis points
	windows  []window
}

type window struct {
	name        string
	from, until time.Time
}

// open says that the window takes a moment.
func (w *window) open(t time.Time) bool { return !t.Before(w.from) && t.Before(w.until) }

type exemption struct {
	name, owner, route string // route "": all
	of                 behave.Name
	until              time.Time
	at                 diag.Range
	used               bool
}

func (e *exemption) what() string {
	if e.route == "" {
		return fmt.Sprintf("%s %s", e.of.Kind, e.of.Ref)
	}
	return fmt.Sprintf("route %q of %s %s", e.route, e.of.Kind, e.of.Ref)
}

// is says whether the exemption is for a finding. One for a route is not for
// what comes of a route of another name.
func (e *exemption) is(f *finding) bool {
	return e.of == f.of && (e.route == "" || slices.Contains(f.routes, e.route))
}

// exemptionsOf gives what the exemptions of policies are for.
func exemptionsOf(all []*policy) map[string]bool {
	out := map[string]bool{}
	for _, p := range all {
		for _, e := range p.exemptions {
			out[e.what()] = true
		}
	}
	return out
}

// gone are the policies of base that head does not have in this form.
func gone(base, head []*policy) []*policy {
	return slices.DeleteFunc(slices.Clone(base), func(b *policy) bool {
		return slices.ContainsFunc(head, func(h *policy) bool { return reflect.DeepEqual(b.says, h.says) })
	})
}

func read(all []*intent.Policy) ([]*policy, error) {
	var out []*policy
	for _, in := range all {
		p, err := readPolicy(in)
		if err != nil {
			return nil, fmt.Errorf("policy %q: %w", in.Name.V, err)
		}
		out = append(out, p)
	}
	return out, nil
}

func readPolicy(in *intent.Policy) (*policy, error) {
	p := &policy{name: in.Name.V, severity: diag.Error, in: in, at: in.At}
	if in.Severity != nil && in.Severity.V == "warning" {
		p.severity = diag.Warning
	}
	p.says.severity = p.severity
	err := p.says.read(in)
	for _, x := range in.Exemptions {
		e, wrong := readExemption(x)
		err = cmp.Or(err, wrong)
		p.exemptions = append(p.exemptions, e)
	}
	return p, err
}

func (s *says) read(in *intent.Policy) (err error) {
	switch {
	case in.Owned != nil:
		s.kind = "owned"
	case in.Egress != nil:
		s.kind = "egress"
		err = s.readEgress(in.Egress)
	case in.Retries != nil:
		s.kind, s.most = "retries", in.Retries.V
	case in.Faults != nil:
		s.kind = "faults"
		s.windows, err = readWindows(in.Faults)
	case in.Canary != nil:
		s.kind = "canary"
		s.step, err = literal.Percent(in.Canary.V)
	case in.MTLS != nil:
		s.kind = "mtls"
	case in.Access != nil:
		s.kind = "access"
	case in.Freeze != nil:
		s.kind = "freeze"
		s.windows, err = readWindows(in.Freeze)
	}
	return err
}

func (s *says) readEgress(in *intent.EgressPolicy) error {
	for _, h := range in.Hosts {
		s.hosts = append(s.hosts, h.V)
	}
	for _, n := range in.Networks {
		network, err := literal.Network(n.V)
		if err != nil {
			return err
		}
		s.networks = append(s.networks, network)
	}
	return nil
}

func readWindows(in *intent.WindowsPolicy) ([]window, error) {
	var out []window
	for _, w := range in.Windows {
		from, err := literal.Time(w.From.V)
		if err != nil {
			return nil, err
		}
		until, err := literal.Time(w.Until.V)
		if err != nil {
			return nil, err
		}
		out = append(out, window{w.Name.V, from, until})
	}
	return out, nil
}

func readExemption(in *intent.Exemption) (*exemption, error) {
	until, err := literal.Time(in.Until.V)
	e := &exemption{name: in.Name.V, owner: in.Owner.V, until: until, at: in.At}
	if in.Route != nil {
		e.route = in.Route.V
	}
	for kind, name := range map[behave.Kind]*intent.Value[string]{behave.ServiceKind: in.Service, behave.GatewayKind: in.Gateway, behave.ExternalKind: in.External} {
		if name != nil {
			e.of = behave.Name{Kind: kind, Ref: literal.Ref(name.V, scope.DefaultNamespace)}
		}
	}
	return e, err
}

func serviceName(ref model.Ref) behave.Name { return behave.Name{Kind: behave.ServiceKind, Ref: ref} }
