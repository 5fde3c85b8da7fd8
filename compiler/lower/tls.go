package lower

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// DefaultMinTLS is the lowest version of TLS that is spoken to an external.
const DefaultMinTLS = "1.2"

func externalTLS(e *intent.External) *model.ExternalTLS {
	t := e.TLS
	if t == nil {
		return nil
	}
	out := &model.ExternalTLS{
		SNI: strings.ToLower(scope.Or(t.SNI, e.Host.V)), SANs: sortedTexts(t.SANs),
		Mode: model.TLSMode(scope.Or(t.Mode, string(model.TLSSimple))), CA: secret(t.CA), Certificate: secret(t.Certificate), MinVersion: scope.Or(t.MinVersion, DefaultMinTLS), Origin: t.At,
	}
	if len(out.SANs) == 0 {
		out.SANs = []string{out.SNI}
	}
	for _, p := range e.Ports {
		if t.Ports == nil && p.Protocol.V != string(model.TLS) || slices.ContainsFunc(t.Ports, func(v intent.Value[string]) bool { return v.V == p.Name.V }) {
			out.Ports = append(out.Ports, uint16(p.Number.V))
		}
	}
	slices.Sort(out.Ports)
	if i := t.Insecure; i != nil {
		until, err := literal.Time(i.Until.V)
		if err != nil {
			panic("lower: intent was not checked: " + err.Error())
		}
		out.Insecure = &model.Insecure{Reason: i.Reason.V, Until: until, Origin: i.At}
	}
	return out
}
