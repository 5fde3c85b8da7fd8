package lower

import (
	"cmp"
	"slices"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// answering is a gateway's rule that leads to no service.
func answering(rule *gatewayRule) *model.GatewayRoute {
	own := rule.intent.Action()
	return &model.GatewayRoute{
		Name: own.Name.V,
		Route: &model.Route{
			Name: own.Name.V, Match: rule.match, Redirect: redirect(own), Respond: respond(own.Respond),
			ResponseHeaders: headerOps(own.ResponseHeaders), Origin: own.At,
		},
		Origin: own.At,
	}
}

// passThrough adds what the gateway's own rule changes to out: of the request
// before the service's rule does, of the response after it.
func passThrough(out *model.GatewayRoute, own *intent.GatewayRoute) {
	out.Rewrite = rewrite(own.Action())
	out.RequestHeaders, out.ResponseHeaders = headerOps(own.RequestHeaders), headerOps(own.ResponseHeaders)
	r := out.Route
	r.ResponseHeaders = inTurn(r.ResponseHeaders, out.ResponseHeaders)
	if r.Answers() {
		return
	}
	r.Rewrite = bothRewrites(out.Rewrite, r.Rewrite)
	if !slices.ContainsFunc(r.Split, func(d model.Split) bool { return changes(d.RequestHeaders) }) {
		r.RequestHeaders = inTurn(out.RequestHeaders, r.RequestHeaders)
		return
	}
	// Those of a destination come before the route's, and the gateway's before both.
	r.Split = slices.Clone(r.Split)
	for i := range r.Split {
		r.Split[i].RequestHeaders = inTurn(out.RequestHeaders, r.Split[i].RequestHeaders)
	}
}

// bothRewrites: check has seen that they do not rewrite the same.
func bothRewrites(gateway, service *model.Rewrite) *model.Rewrite {
	if gateway == nil || service == nil {
		return cmp.Or(gateway, service)
	}
	return &model.Rewrite{Host: cmp.Or(gateway.Host, service.Host), Path: cmp.Or(gateway.Path, service.Path), Origin: gateway.Origin}
}

func changes(h model.HeaderOps) bool { return len(h.Set)+len(h.Add)+len(h.Remove) > 0 }

// inTurn is first and then second, as one: what second takes away or sets
// undoes what first wrote.
func inTurn(first, second model.HeaderOps) model.HeaderOps {
	undone := func(h model.Header) bool {
		return slices.Contains(second.Remove, h.Name) || slices.ContainsFunc(second.Set, func(s model.Header) bool { return s.Name == h.Name })
	}
	join := func(a, b []model.Header) []model.Header {
		out := append(slices.DeleteFunc(slices.Clone(a), undone), b...)
		slices.SortStableFunc(out, func(x, y model.Header) int { return cmp.Compare(x.Name, y.Name) })
		return out
	}
	remove := slices.Concat(first.Remove, second.Remove)
	slices.Sort(remove)
	return model.HeaderOps{Set: join(first.Set, second.Set), Add: join(first.Add, second.Add), Remove: slices.Compact(remove)}
}
