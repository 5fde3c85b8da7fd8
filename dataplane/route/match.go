package route

import (
	"fmt"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/dataplane/message"
)

// condition is one part of a route's match; all parts must hold.
type condition func(*message.Request) bool

// CompileMatch gives the judge of a RouteMatch for requests and their random
// values; nil: it accepts every request.
func CompileMatch(m *routev3.RouteMatch) (func(*message.Request, uint64) bool, error) {
	path, others, err := compileMatch(m)
	switch {
	case err != nil:
		return nil, err
	case path.kind == anyPath:
		return others, nil
	}
	return func(req *message.Request, random uint64) bool {
		return path.takes(PathOf(req)) && (others == nil || others(req, random))
	}, nil
}

// compileMatch gives what a RouteMatch asks of paths, and the judge of all else;
// nil: there is nothing else.
func compileMatch(m *routev3.RouteMatch) (path pathRule, others func(*message.Request, uint64) bool, err error) {
	if path, err = pathRuleOf(m); err != nil {
		return path, nil, err
	}
	var all []condition
	for _, h := range m.GetHeaders() {
		c, err := CompileHeader(h)
		if err != nil {
			return path, nil, err
		}
		all = append(all, c)
	}
	for _, q := range m.GetQueryParameters() {
		c, err := queryCondition(q)
		if err != nil {
			return path, nil, fmt.Errorf("query parameter %q: %w", q.GetName(), err)
		}
		all = append(all, c)
	}
	for _, ck := range m.GetCookies() {
		c, err := cookieCondition(ck)
		if err != nil {
			return path, nil, fmt.Errorf("cookie %q: %w", ck.GetName(), err)
		}
		all = append(all, c)
	}
	for _, d := range m.GetDynamicMetadata() {
		c, err := CompileMetadata(d)
		if err != nil {
			return path, nil, err
		}
		all = append(all, c)
	}
	others, err = withFraction(m, all)
	return path, others, err
}

func withFraction(m *routev3.RouteMatch, all []condition) (func(*message.Request, uint64) bool, error) {
	every := conjunction(all)
	if m.GetRuntimeFraction() == nil {
		if every == nil {
			return nil, nil
		}
		return func(req *message.Request, _ uint64) bool { return every(req) }, nil
	}
	fraction, err := NewFraction(m.GetRuntimeFraction().GetDefaultValue())
	if err != nil {
		return nil, fmt.Errorf("runtime_fraction: %w", err)
	}
	return func(req *message.Request, random uint64) bool {
		return fraction.Takes(random) && (every == nil || every(req))
	}, nil
}

func conjunction(all []condition) condition {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return func(req *message.Request) bool {
		for _, c := range all {
			if !c(req) {
				return false
			}
		}
		return true
	}
}

// Fraction is a share of random values.
type Fraction struct{ numerator, denominator uint64 }

// NewFraction decodes a percentage. A nil one is 0.
func NewFraction(p *typev3.FractionalPercent) (Fraction, error) {
	f := Fraction{numerator: uint64(p.GetNumerator())}
	switch p.GetDenominator() {
	case typev3.FractionalPercent_HUNDRED:
		f.denominator = 100
	case typev3.FractionalPercent_TEN_THOUSAND:
		f.denominator = 10_000
	case typev3.FractionalPercent_MILLION:
		f.denominator = 1_000_000
	default:
		return f, fmt.Errorf("denominator %v is not supported", p.GetDenominator())
	}
	return f, nil
}

// Takes says whether random falls into the share: random % denominator <
// numerator, as Envoy's evaluateFractionalPercent.
func (f Fraction) Takes(random uint64) bool {
	return f.denominator != 0 && random%f.denominator < f.numerator
}

// Zero says that Takes is never true.
func (f Fraction) Zero() bool { return f.numerator == 0 || f.denominator == 0 }
