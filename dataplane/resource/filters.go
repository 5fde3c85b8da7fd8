package resource

import (
	"fmt"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	admissionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/admission_control/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ratelimit/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/filter/admission"
	"github.com/meshc/meshc/dataplane/filter/buffer"
	"github.com/meshc/meshc/dataplane/filter/compress"
	"github.com/meshc/meshc/dataplane/filter/cors"
	"github.com/meshc/meshc/dataplane/filter/extauthz"
	"github.com/meshc/meshc/dataplane/filter/fault"
	"github.com/meshc/meshc/dataplane/filter/globalrate"
	"github.com/meshc/meshc/dataplane/filter/jwt"
	"github.com/meshc/meshc/dataplane/filter/localrate"
	"github.com/meshc/meshc/dataplane/filter/rbac"
)

// httpFilter decodes the config of one HTTP filter in a connection manager.
// The router gives nil: it is the engine itself.
func httpFilter(name string, config proto.Message) (filter.HTTP, error) {
	switch m := config.(type) {
	case *routerv3.Router:
		return nil, nil
	case *admissionv3.AdmissionControl:
		return made(admission.New(name, m))
	case *bufferv3.Buffer:
		return made(buffer.New(name, m))
	case *compressorv3.Compressor:
		return made(compress.New(name, m))
	case *corsv3.Cors:
		return cors.New(name), nil
	case *authzv3.ExtAuthz:
		return made(extauthz.New(name, m))
	case *faultv3.HTTPFault:
		c, err := fault.Decode(m)
		if err != nil {
			return nil, err
		}
		return fault.New(name, c), nil
	case *jwtv3.JwtAuthentication:
		return made(jwt.New(name, m))
	case *localv3.LocalRateLimit:
		return made(localrate.New(name, m))
	case *ratelimitv3.RateLimit:
		return made(globalrate.New(name, m))
	case *rbacv3.RBAC:
		c, err := rbac.Decode(m)
		if err != nil {
			return nil, err
		}
		return rbac.New(name, c), nil
	}
	return nil, fmt.Errorf("%s is not an HTTP filter of this proxy", config.ProtoReflect().Descriptor().FullName())
}

// made gives a filter as its interface, and none with an error.
func made[F filter.HTTP](f F, err error) (filter.HTTP, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

// perRouteConfig decodes one typed_per_filter_config. A config under a name
// that no connection manager uses has no effect, as in Envoy.
func perRouteConfig(_ string, packed *anypb.Any) (any, error) {
	config, err := packed.UnmarshalNew()
	if err != nil {
		return nil, err
	}
	switch m := config.(type) {
	case *corsv3.CorsPolicy:
		return cors.Decode(m)
	case *faultv3.HTTPFault:
		return fault.Decode(m)
	case *rbacv3.RBACPerRoute:
		return rbac.DecodePerRoute(m)
	case *routev3.FilterConfig:
		if m.GetDisabled() {
			return filter.Off{}, nil
		}
		return filter.On{}, nil
	}
	return nil, fmt.Errorf("%s is not a per-route config of this proxy", config.ProtoReflect().Descriptor().FullName())
}

// httpFilters decodes the chain. The router must be there once, as the last.
func httpFilters(list []*hcmv3.HttpFilter) ([]filter.HTTP, error) {
	var out []filter.HTTP
	seen := make(map[string]bool)
	samples := false
	for i, f := range list {
		at := fmt.Sprintf("http_filters[%d] %q", i, f.GetName())
		if seen[f.GetName()] {
			return nil, fmt.Errorf("%s: a filter of that name is already in the chain", at)
		}
		seen[f.GetName()] = true
		if f.GetTypedConfig() == nil {
			return nil, fmt.Errorf("%s: needs a typed_config", at)
		}
		config, err := f.GetTypedConfig().UnmarshalNew()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		decoded, err := httpFilter(f.GetName(), config)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		last := i == len(list)-1
		if router := decoded == nil; router != last {
			return nil, fmt.Errorf("%s: the router, and only it, ends the chain", at)
		}
		if f.GetDisabled() && decoded != nil {
			if _, looks := decoded.(filter.Responder); looks {
				return nil, fmt.Errorf("%s: disabled: not of a filter that looks at responses", at)
			}
			decoded = filter.OnlyWhereOn(decoded)
		}
		if _, sampler := decoded.(filter.Sampler); sampler {
			if samples {
				return nil, fmt.Errorf("%s: only one admission control is supported", at)
			}
			samples = true
		}
		if decoded != nil {
			out = append(out, decoded)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("http_filters: the router is missing")
	}
	compress.Join(out)
	return out, nil
}
