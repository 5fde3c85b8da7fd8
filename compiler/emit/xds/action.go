package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/model"
)

// setAnswer says the action of a route that goes nowhere.
func setAnswer(out *routev3.Route, r *model.Route) {
	switch {
	case r.Redirect != nil:
		out.Action = &routev3.Route_Redirect{Redirect: redirect(r.Redirect)}
	case r.Respond != nil:
		setRespond(out, r.Respond)
	default:
		out.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 404}}
	}
}

// setRespond: Envoy calls a body of its own text/plain unless the route's
// response headers say otherwise.
func setRespond(out *routev3.Route, r *model.Respond) {
	action := &routev3.DirectResponseAction{Status: r.Status}
	if r.Body != "" {
		action.Body = &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: r.Body}}
	}
	if r.ContentType != "" {
		kind := headerOption(model.Header{Name: "content-type", Value: r.ContentType}, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)
		out.ResponseHeadersToAdd = append([]*corev3.HeaderValueOption{kind}, out.ResponseHeadersToAdd...)
	}
	out.Action = &routev3.Route_DirectResponse{DirectResponse: action}
}

// redirectCodes are Envoy's words for statuses.
var redirectCodes = map[uint32]routev3.RedirectAction_RedirectResponseCode{
	301: routev3.RedirectAction_MOVED_PERMANENTLY,
	302: routev3.RedirectAction_FOUND,
	303: routev3.RedirectAction_SEE_OTHER,
	307: routev3.RedirectAction_TEMPORARY_REDIRECT,
	308: routev3.RedirectAction_PERMANENT_REDIRECT,
}

func redirect(r *model.Redirect) *routev3.RedirectAction {
	out := &routev3.RedirectAction{
		HostRedirect: r.Host,
		PortRedirect: uint32(r.Port),
		ResponseCode: redirectCodes[r.Status],
		StripQuery:   r.StripQuery,
	}
	if r.Scheme != "" {
		out.SchemeRewriteSpecifier = &routev3.RedirectAction_SchemeRedirect{SchemeRedirect: r.Scheme}
	}
	switch {
	case r.Path != "":
		out.PathRewriteSpecifier = &routev3.RedirectAction_PathRedirect{PathRedirect: r.Path}
	case r.Rewrite != nil:
		out.PathRewriteSpecifier = &routev3.RedirectAction_RegexRewrite{RegexRewrite: substitution(r.Rewrite)}
	}
	return out
}

func setRewrite(out *routev3.RouteAction, r *model.Rewrite) {
	if r == nil {
		return
	}
	if r.Host != "" {
		out.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: r.Host}
	}
	if r.Path != nil {
		out.RegexRewrite = substitution(r.Path)
	}
}

func substitution(s *model.Substitution) *matcherv3.RegexMatchAndSubstitute {
	return &matcherv3.RegexMatchAndSubstitute{Pattern: regex(s.Pattern), Substitution: s.Text}
}

func clusterWeight(name string, d *model.Split) (*routev3.WeightedCluster_ClusterWeight, error) {
	request, err := headerOptions(d.RequestHeaders)
	if err != nil {
		return nil, err
	}
	response, err := headerOptions(d.ResponseHeaders)
	if err != nil {
		return nil, err
	}
	return &routev3.WeightedCluster_ClusterWeight{
		Name:                    name,
		Weight:                  uint32Value(d.BasisPoints * weightUnit),
		RequestHeadersToAdd:     request,
		RequestHeadersToRemove:  d.RequestHeaders.Remove,
		ResponseHeadersToAdd:    response,
		ResponseHeadersToRemove: d.ResponseHeaders.Remove,
	}, nil
}

func changesAny(all ...model.HeaderOps) bool {
	for _, ops := range all {
		if len(ops.Set)+len(ops.Add)+len(ops.Remove) > 0 {
			return true
		}
	}
	return false
}
