package xds

import (
	"time"

	commonfaultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/model"
)

// faultConfig is the per-route config of the fault filter, nil when no fault
// of r is on at now.
func faultConfig(r *model.Route, now time.Time) (*anypb.Any, error) {
	out, bound := &faultv3.HTTPFault{}, uint32(0)
	if d := r.Delay; d != nil && d.Until.After(now) && d.BasisPoints > 0 {
		bound = d.MaxActive
		out.Delay = &commonfaultv3.FaultDelay{
			FaultDelaySecifier: &commonfaultv3.FaultDelay_FixedDelay{FixedDelay: duration(d.Fixed)},
			Percentage:         percentage(d.BasisPoints),
		}
	}
	if a := r.Abort; a != nil && a.Until.After(now) && a.BasisPoints > 0 {
		out.Abort = faultAbort(a)
	}
	if b := r.Bandwidth; b != nil && b.Until.After(now) && b.BasisPoints > 0 {
		bound = b.MaxActive
		out.ResponseRateLimit = &commonfaultv3.FaultRateLimit{
			LimitType: &commonfaultv3.FaultRateLimit_FixedLimit_{
				FixedLimit: &commonfaultv3.FaultRateLimit_FixedLimit{LimitKbps: uint64(b.KiBPerSecond)},
			},
			Percentage: percentage(b.BasisPoints),
		}
	}
	if out.Delay == nil && out.Abort == nil && out.ResponseRateLimit == nil {
		return nil, nil
	}
	if bound > 0 {
		out.MaxActiveFaults = uint32Value(bound)
	}
	return toAny(out)
}

func faultAbort(a *model.Abort) *faultv3.FaultAbort {
	out := &faultv3.FaultAbort{ErrorType: &faultv3.FaultAbort_HttpStatus{HttpStatus: a.Status}, Percentage: percentage(a.BasisPoints)}
	if a.GRPCStatus != 0 {
		out.ErrorType = &faultv3.FaultAbort_GrpcStatus{GrpcStatus: a.GRPCStatus}
	}
	return out
}

// percentage in millionths: with a smaller denominator a fraction that Envoy
// draws from the stream's random value correlates with the weighted pick.
func percentage(basisPoints uint32) *typev3.FractionalPercent {
	return &typev3.FractionalPercent{
		Numerator:   basisPoints * 100,
		Denominator: typev3.FractionalPercent_MILLION,
	}
}

// NextExpiry gives the earliest end after now of a fault in m, or of a certificate
// that is not verified, when what Emit gives changes without a commit; the zero
// Time when there is none.
func NextExpiry(m *model.Mesh, now time.Time) time.Time {
	var next time.Time
	consider := func(until time.Time) {
		if until.After(now) && (next.IsZero() || until.Before(next)) {
			next = until
		}
	}
	for r := range allRoutes(m) {
		for _, f := range r.Faults() {
			consider(f.Until)
		}
	}
	for _, x := range m.Externals {
		if x.TLS != nil && x.TLS.Insecure != nil {
			consider(x.TLS.Insecure.Until)
		}
	}
	return next
}

// allRoutes yields every route of services and gateways.
func allRoutes(m *model.Mesh) func(yield func(*model.Route) bool) {
	return func(yield func(*model.Route) bool) {
		for _, s := range m.Services {
			for _, r := range s.Routes {
				if !yield(r) {
					return
				}
			}
		}
		for _, g := range m.Gateways {
			if !gatewayRoutes(g, yield) {
				return
			}
		}
	}
}

func gatewayRoutes(g *model.Gateway, yield func(*model.Route) bool) bool {
	for _, l := range g.Listeners {
		for _, h := range l.Hosts {
			for _, r := range h.Routes {
				if r.Route != nil && !yield(r.Route) {
					return false
				}
			}
		}
	}
	return true
}
