package behave

import (
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// source is where an outcome is written.
type source struct {
	name    string // of the route, for people
	rule    string // of a gateway, that requests come by; "" for none
	service *model.Service
	gateway *model.Gateway // through which requests come; nil for none
	port    uint16         // of the service
	who     client         // as the service sees it
	route   *model.Route
	origin  model.Origin    // of the route, the object, or what refuses
	client  []model.Setting // of a gateway, about its clients
	tls     []model.Setting // to an external
}

// place of one end of a delta. About who may call, the rules say it that let
// callers in.
func (s *source) place(d *Delta) model.Origin {
	if s.service != nil && d.Name == "answer" && (d.Class == Expose || d.Class == Narrow) {
		return rulesAt(s.service)
	}
	return s.at(d.Name)
}

// at is the place of one facet of the outcome: of what it says itself where
// that has a place, else of the route.
func (s *source) at(facet string) model.Origin {
	if place := s.exact(facet); !place.IsZero() {
		return place
	}
	return s.origin
}

func (s *source) exact(facet string) model.Origin {
	r := s.route
	switch {
	case strings.HasPrefix(facet, clientFacet):
		return settingAt(s.client, strings.TrimPrefix(facet, clientFacet))
	case strings.HasPrefix(facet, authorizerFacet) && s.service != nil:
		return settingAt(s.service.Authorizer.Settings(), strings.TrimPrefix(facet, authorizerFacet))
	case strings.HasPrefix(facet, jwtFacet) && s.service != nil:
		return settingAt(tokenSettings(s.service.JWT), strings.TrimPrefix(facet, jwtFacet))
	case strings.HasPrefix(facet, tlsFacet):
		return settingAt(s.tls, strings.TrimPrefix(facet, tlsFacet))
	case strings.HasPrefix(facet, podsFacet) && s.service != nil:
		return s.service.Injection.Origin
	case strings.HasPrefix(facet, serverFacet) && s.service != nil:
		if at := settingAt(s.service.Holding(s.port), strings.TrimPrefix(facet, serverFacet)); !at.IsZero() {
			return at
		}
		return s.service.Origin
	case r == nil:
		return model.Origin{}
	case facet == "timeout":
		return r.TimeoutOrigin
	case facet == "retries" && r.Retry != nil:
		return r.Retry.Origin
	case facet == "delay" && r.Delay != nil:
		return r.Delay.Origin
	case facet == "abort" && r.Abort != nil:
		return r.Abort.Origin
	case facet == "bandwidth" && r.Bandwidth != nil:
		return r.Bandwidth.Origin
	case facet == "rewrite" && r.Rewrite != nil:
		return r.Rewrite.Origin
	case facet == "redirect" && r.Redirect != nil:
		return r.Redirect.Origin
	case facet == "response" && r.Respond != nil:
		return r.Respond.Origin
	case facet == "hash" && len(r.Hash) > 0:
		return r.Hash[0].Origin
	case serverFacets[facet] && s.service != nil:
		return s.service.Origin
	case strings.HasPrefix(facet, toFacet):
		return s.destinationAt(strings.TrimPrefix(facet, toFacet))
	}
	return model.Origin{}
}

// serverFacets are said by the service, not by the route.
var serverFacets = map[string]bool{"mtls": true, "server identity": true, "protocol": true}

// destinationAt is the place of "v1", or of "v1 outliers.interval".
func (s *source) destinationAt(what string) model.Origin {
	name, setting, _ := strings.Cut(what, " ")
	if i := strings.LastIndex(name, "/"); i >= 0 {
		name = name[i+1:]
	}
	if setting != "" && s.service != nil {
		if v := s.service.Version(name); v != nil {
			if at := settingAt(v.Traffic.Settings(), setting); !at.IsZero() {
				return at
			}
			return v.Origin
		}
	}
	for _, d := range s.route.Split {
		if d.Version == name {
			return d.Origin
		}
	}
	return model.Origin{}
}

func settingAt(list []model.Setting, name string) model.Origin {
	for _, s := range list {
		if s.Name == name {
			return s.At
		}
	}
	return model.Origin{}
}
