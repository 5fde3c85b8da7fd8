package lower

import (
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func sticky(k *intent.Sticky) *model.HashKey {
	switch {
	case k == nil:
		return nil
	case k.Cookie != nil:
		return &model.HashKey{From: model.HashCookie, Name: k.Cookie.V, Origin: k.At}
	case k.Header != nil:
		return &model.HashKey{From: model.HashHeader, Name: strings.ToLower(k.Header.V), Origin: k.At}
	}
	return &model.HashKey{From: model.HashSourceIP, Origin: k.At}
}

func cors(p *intent.CORS) *model.CORS {
	if p == nil {
		return nil
	}
	out := &model.CORS{
		Methods: texts(p.Methods), Headers: texts(p.Headers), ExposeHeaders: texts(p.ExposeHeaders),
		MaxAge: durationOr(p.MaxAge, 0), HasMaxAge: p.MaxAge != nil, Credentials: scope.Or(p.Credentials, false), Origin: p.At,
	}
	for _, o := range p.Origins {
		out.Origins = append(out.Origins, model.NamedMatch{Kind: model.MatchKind(o.Kind.V), Value: o.Value.V})
	}
	return out
}
