// Package capture leads the TCP connections of a pod to the proxy in it: a plan
// as data goes in, rules of nftables in the network namespace of the process
// come out, all of them in one transaction. It needs no program beside itself.
package capture

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// Plan says what is captured, and where to. Everything that is not excluded is
// captured, so that a forgotten port is closed and not open.
type Plan struct {
	Inbound  uint16 // port of the proxy that takes connections to the pod
	Outbound uint16 // port of the proxy that takes connections of the application
	UID      uint32 // user of the proxy, whose own connections go as they are

	ExcludeInbound       []uint16       // ports that clients reach directly
	IncludeOutbound      []netip.Prefix // destinations that are captured; none = all
	ExcludeOutbound      []netip.Prefix // destinations that the application reaches directly
	ExcludeOutboundPorts []uint16
}

// Check says what cannot be installed.
func (p *Plan) Check() error {
	switch {
	case p.Inbound == 0 || p.Outbound == 0 || p.Inbound == p.Outbound:
		return fmt.Errorf("ports %d and %d: the proxy has two different ports, for inbound and outbound connections", p.Inbound, p.Outbound)
	case p.UID == 0:
		return errors.New("user 0: the proxy has a user of its own, or its connections could not be told from the application's")
	case slices.Contains(p.ExcludeInbound, p.Inbound) || slices.Contains(p.ExcludeInbound, p.Outbound):
		return fmt.Errorf("ports %d and %d cannot be excluded: who reaches them directly calls other services in the pod's name", p.Inbound, p.Outbound)
	}
	for _, ports := range [][]uint16{p.ExcludeInbound, p.ExcludeOutboundPorts} {
		if slices.Contains(ports, 0) {
			return errors.New("port 0 cannot be excluded")
		}
	}
	for _, list := range [][]netip.Prefix{p.IncludeOutbound, p.ExcludeOutbound} {
		for _, prefix := range list {
			if !prefix.IsValid() || prefix != prefix.Masked() {
				return fmt.Errorf("%s is not a range of addresses; its first address goes before the slash", prefix)
			}
		}
	}
	return nil
}

// condition is one thing that a packet must be.
type condition struct {
	kind   kind
	number uint32
	prefix netip.Prefix
}

type kind uint8

const (
	tcp         kind = iota // any TCP
	toPort                  // TCP to the port number
	ofUser                  // from a process of the user number
	loopback                // leaves by the loopback interface
	toRange                 // to an address in prefix
	notToPrefix             // of prefix's family, and to an address outside of it
)

// String writes the condition as nft does.
func (c condition) String() string {
	switch c.kind {
	case toPort:
		return "tcp dport " + strconv.FormatUint(uint64(c.number), 10)
	case ofUser:
		return "meta skuid " + strconv.FormatUint(uint64(c.number), 10)
	case loopback:
		return `oifname "lo"`
	case toRange:
		return family(c.prefix) + " daddr " + short(c.prefix)
	case notToPrefix:
		return family(c.prefix) + " daddr != " + short(c.prefix)
	default:
		return "meta l4proto tcp"
	}
}

func family(p netip.Prefix) string {
	if p.Addr().Is4() {
		return "ip"
	}
	return "ip6"
}

func short(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// rule is what happens to a connection for which all conditions hold.
type rule struct {
	when []condition
	to   uint16 // the port of the proxy; 0 = it goes as it is
}

// String writes the rule as nft does.
func (r rule) String() string {
	var out string
	for _, c := range r.when {
		out += c.String() + " "
	}
	if r.to == 0 {
		return out + "return"
	}
	return fmt.Sprintf("%sredirect to :%d", out, r.to)
}

func leave(when ...condition) rule { return rule{when: when} }

var loopbacks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// inbound are the rules for what comes into the pod.
func (p *Plan) inbound() []rule {
	var out []rule
	for _, port := range p.ExcludeInbound {
		out = append(out, leave(condition{kind: toPort, number: uint32(port)}))
	}
	return append(out, rule{when: []condition{{kind: tcp}}, to: p.Inbound})
}

// outbound are the rules for what leaves a process of the pod.
func (p *Plan) outbound() []rule {
	own, lo := condition{kind: ofUser, number: p.UID}, condition{kind: loopback}
	var out []rule
	// What the proxy sends to the pod's own address is for the service, as if
	// it came from another pod; what it sends to a loopback address is for the
	// application.
	for _, l := range loopbacks {
		out = append(out, rule{when: []condition{{kind: tcp}, own, lo, {kind: notToPrefix, prefix: l}}, to: p.Inbound})
	}
	out = append(out, leave(own), leave(lo))
	for _, port := range p.ExcludeOutboundPorts {
		out = append(out, leave(condition{kind: toPort, number: uint32(port)}))
	}
	for _, prefix := range p.ExcludeOutbound {
		out = append(out, leave(condition{kind: toRange, prefix: prefix}))
	}
	if len(p.IncludeOutbound) == 0 {
		return append(out, rule{when: []condition{{kind: tcp}}, to: p.Outbound})
	}
	for _, prefix := range p.IncludeOutbound {
		out = append(out, rule{when: []condition{{kind: tcp}, {kind: toRange, prefix: prefix}}, to: p.Outbound})
	}
	return out
}

// String gives the rules as `nft list table inet meshc` shows them.
func (p *Plan) String() string {
	out := "table inet meshc {\n"
	for i, c := range p.chains() {
		if i > 0 {
			out += "\n"
		}
		out += fmt.Sprintf("\tchain %s {\n\t\ttype nat hook %s priority dstnat; policy accept;\n", c.name, c.name)
		if c.name == "output" {
			out = out[:len(out)-len("dstnat; policy accept;\n")] + "-100; policy accept;\n"
		}
		for _, r := range c.rules {
			out += "\t\t" + r.String() + "\n"
		}
		out += "\t}\n"
	}
	return out + "}\n"
}

type chain struct {
	name  string
	rules []rule
}

func (p *Plan) chains() []chain {
	return []chain{{"prerouting", p.inbound()}, {"output", p.outbound()}}
}
