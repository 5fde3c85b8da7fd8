package lower

import (
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// DefaultAuthorizerTimeout is more than Envoy's 200 ms, within which a first
// question would have to shake hands as well.
const DefaultAuthorizerTimeout = time.Second

func (l *rules) authorizer(a *intent.Authorizer) *model.Authorizer {
	if a == nil {
		return nil
	}
	ref := literal.Ref(a.Service.V, l.owner.Namespace)
	s := l.scope.Service(ref)
	if s == nil {
		panic("lower: intent was not checked: authorizer " + ref.String() + " does not exist")
	}
	out := &model.Authorizer{
		Service: ref, Port: uint16(scope.AskedPort(s, a).Number.V), Version: s.Versions[0].Name.V,
		Timeout: durationOr(a.Timeout, DefaultAuthorizerTimeout), FailOpen: scope.Or(a.FailOpen, false),
		On: l.public(a.On), Except: l.public(a.Except),
		MaxBody: uint32(scope.Or(a.MaxBody, 0)), Origin: a.At,
	}
	for _, h := range a.Headers {
		out.Headers = append(out.Headers, strings.ToLower(h.V))
	}
	slices.Sort(out.Headers)
	return out
}
