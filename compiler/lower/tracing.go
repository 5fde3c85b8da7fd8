package lower

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// tracing gives the block that counts: the owner's own, else the mesh's. What
// collects the mesh's telemetry would make spans of spans.
func (l *lowering) tracing(own *intent.Telemetry, owner model.Ref) *model.Tracing {
	if own != nil && own.Tracing != nil {
		return l.tracingOf(own.Tracing, owner.Namespace)
	}
	mesh := l.intent.Config.Telemetry
	if mesh == nil || mesh.Tracing == nil || l.scope.Collects(owner) {
		return nil
	}
	return l.tracingOf(mesh.Tracing, scope.DefaultNamespace)
}

func (l *lowering) tracingOf(t *intent.Tracing, namespace string) *model.Tracing {
	if scope.Or(t.Off, false) {
		return nil
	}
	out := &model.Tracing{Format: model.OTLP, BasisPoints: model.DefaultSampleBasisPoints, Tags: traceTags(t.Tags), Origin: t.At}
	if z := t.Zipkin; z != nil {
		out.Format, out.Path, out.W3C = model.Zipkin, scope.Or(z.Path, model.DefaultZipkinPath), scope.Or(z.W3C, false)
		out.Collector = l.collector(z, namespace, model.HTTP)
	} else {
		out.Collector = l.collector(t.OTLP, namespace, model.GRPC)
	}
	if t.Sample != nil {
		out.BasisPoints = percent(*t.Sample)
	}
	return out
}

// collector resolves where telemetry goes; check has seen that it is there.
func (l *lowering) collector(c *intent.Collector, namespace string, speaks model.Protocol) model.Collector {
	ref := literal.Ref(c.To.V, namespace)
	out := model.Collector{To: ref, Origin: c.At}
	var ports []*intent.Port
	if s := l.scope.Service(ref); s != nil {
		ports, out.Version = s.Ports, s.Versions[0].Name.V
	} else {
		ports = l.scope.External(ref).Ports
	}
	out.Port = uint16(scope.CollectorPort(ports, c, speaks).Number.V)
	return out
}

func traceTags(tags []*intent.TraceTag) []model.TraceTag {
	var out []model.TraceTag
	for _, t := range tags {
		tag := model.TraceTag{Name: t.Name.V, Default: scope.Or(t.Default, "")}
		switch {
		case t.Literal != nil:
			tag.From, tag.Value = model.TagLiteral, t.Literal.V
		case t.Header != nil:
			tag.From, tag.Value = model.TagHeader, strings.ToLower(t.Header.V)
		default:
			tag.From, tag.Value = model.TagEnv, t.Env.V
		}
		out = append(out, tag)
	}
	slices.SortFunc(out, func(a, b model.TraceTag) int { return strings.Compare(a.Name, b.Name) })
	return out
}
