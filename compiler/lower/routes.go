package lower

import (
	"cmp"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// routes are the rules of a service in match order; they need its ports and
// versions.
func (l *lowering) routes(i int) {
	s, out := l.intent.Services[i], l.mesh.Services[i]
	if len(s.Routes) == 0 {
		out.Routes = append(defaultRoutes(s), defaultTCP(s)...)
		return
	}
	var lowered []ordered[*model.Route]
	for _, r := range s.Routes {
		lowered = append(lowered, ordered[*model.Route]{
			name: r.Name, before: r.Before, after: r.After, at: r.At, it: l.route(s, r),
		})
	}
	out.Routes = append(order(lowered, routesShare, &l.diags), defaultTCP(s)...)
}

// defaultRoutes sends everything to the only version. A service without
// versions has none; check.Intent refuses several versions without routes.
func defaultRoutes(s *intent.Service) []*model.Route {
	numbers := httpPorts(s)
	if len(s.Versions) != 1 || len(numbers) == 0 {
		return nil
	}
	return []*model.Route{{
		Name:    DefaultRoute,
		Ports:   numbers,
		Split:   []model.Split{{Version: s.Versions[0].Name.V, BasisPoints: model.BasisPointsWhole}},
		Timeout: DefaultTimeout,
		Retry:   retry(nil),
	}}
}

func (l *lowering) route(s *intent.Service, r *intent.Route) *model.Route {
	out := &model.Route{
		Name:            r.Name.V,
		Ports:           routePorts(s, r),
		From:            l.named(r.From, scope.ServiceRef(s).Namespace),
		Match:           l.taken(r.Name, r.Match, r.Except),
		Split:           split(r),
		Redirect:        redirect(r),
		Respond:         respond(r.Respond),
		Rewrite:         rewrite(r),
		Timeout:         durationOr(r.Timeout, DefaultTimeout),
		TimeoutOrigin:   placeOf(r.Timeout),
		MaxDuration:     durationOr(r.MaxDuration, 0),
		IdleTimeout:     durationOr(r.IdleTimeout, 0),
		Hash:            hashKeys(r.Hash),
		Sticky:          sticky(r.Sticky),
		Mirror:          l.mirrors(s, r),
		Upgrades:        sortedTexts(r.Upgrades),
		CORS:            cors(r.CORS),
		Retry:           retry(r.Retries),
		RequestHeaders:  headerOps(r.RequestHeaders),
		ResponseHeaders: headerOps(r.ResponseHeaders),
		Origin:          r.At,
	}
	if carriesTCP(s, r) { // only requests are timed and tried again
		out.Timeout, out.Retry = 0, nil
	}
	if out.Answers() { // nothing is waited for or tried again
		out.Timeout, out.Retry = 0, nil
	}
	return out
}

// defaultTCP sends the tcp ports that no route is for to the only version.
func defaultTCP(s *intent.Service) []*model.Route {
	ports := scope.Unrouted(s)
	if len(ports) == 0 || len(s.Versions) != 1 {
		return nil
	}
	return []*model.Route{{
		Name:  DefaultTCPRoute,
		Ports: numbersOf(ports),
		Split: []model.Split{{Version: s.Versions[0].Name.V, BasisPoints: model.BasisPointsWhole}},
	}}
}

// DefaultTCPRoute is the name of the built-in route of tcp ports. No route of a
// service can have it.
const DefaultTCPRoute = "(default tcp)"

// carriesTCP: a route is for tcp ports, and then for no others.
func carriesTCP(s *intent.Service, r *intent.Route) bool {
	ports := scope.RoutePorts(s, r)
	return len(ports) > 0 && scope.IsTCP(ports[0])
}

func routePorts(s *intent.Service, r *intent.Route) []uint16 {
	ports := scope.RoutePorts(s, r)
	if len(ports) == 0 && r.Port != nil {
		panic("lower: intent was not checked: route " + r.Name.V + " names an unknown port")
	}
	return numbersOf(ports)
}

func httpPorts(s *intent.Service) []uint16 {
	var out []*intent.Port
	for _, p := range s.Ports {
		if scope.IsHTTP(p) {
			out = append(out, p)
		}
	}
	return numbersOf(out)
}

func numbersOf(ports []*intent.Port) []uint16 {
	var out []uint16
	for _, p := range ports {
		out = append(out, uint16(p.Number.V))
	}
	slices.Sort(out)
	return out
}

// split keeps versions without weight out: they get no traffic.
func split(r *intent.Route) []model.Split {
	var out []model.Split
	for _, w := range r.To {
		bp := percent(w.Percent)
		if bp == 0 {
			continue
		}
		d := model.Split{Version: w.Version.V, BasisPoints: bp, Origin: span(w.Version.At, w.Percent.At)}
		for _, own := range r.Destinations {
			if own.Version.V == d.Version {
				d.RequestHeaders, d.ResponseHeaders = headerOps(own.RequestHeaders), headerOps(own.ResponseHeaders)
			}
		}
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(a, b model.Split) int { return cmp.Compare(a.Version, b.Version) })
	return out
}

// span reaches from the start of a to the end of b, where both are known and
// in one file; otherwise it is a.
func span(a, b diag.Range) diag.Range {
	if a.IsZero() || b.IsZero() || a.File != b.File {
		return a
	}
	return diag.Range{File: a.File, Start: a.Start, End: b.End}
}
