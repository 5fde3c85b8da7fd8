package lower

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// accessLog gives the block that counts: the owner's own, else the mesh's, else
// the zero value, which stands for the built-in default.
func (l *lowering) accessLog(own *intent.Telemetry, owner model.Ref) model.AccessLog {
	if own != nil && own.AccessLog != nil {
		return l.accessLogOf(own.AccessLog, owner.Namespace)
	}
	mesh := l.intent.Config.Telemetry
	if mesh == nil || mesh.AccessLog == nil || mesh.AccessLog.OTLP != nil && l.scope.Collects(owner) {
		return model.AccessLog{}
	}
	return l.accessLogOf(mesh.AccessLog, scope.DefaultNamespace)
}

// metrics gives the block that counts: the owner's own, else the mesh's.
func (l *lowering) metrics(own *intent.Telemetry) *model.Metrics {
	for _, t := range []*intent.Telemetry{own, l.intent.Config.Telemetry} {
		if t != nil && t.Metrics != nil {
			m := t.Metrics
			return &model.Metrics{Profile: model.MetricsProfile(scope.Or(m.Profile, string(model.StandardMetrics))), Drop: sortedTexts(m.Drop), Origin: m.At}
		}
	}
	return nil
}

func (l *lowering) accessLogOf(a *intent.AccessLog, namespace string) model.AccessLog {
	if a.Off != nil && a.Off.V {
		return model.AccessLog{Off: true, Origin: a.At}
	}
	out := model.AccessLog{To: model.DefaultLogPlace, Filter: mapped(a.Filter, logFilter), Origin: a.At}
	switch {
	case a.OTLP != nil:
		c := l.collector(a.OTLP, namespace, model.GRPC)
		out.To, out.OTLP = "", &c
	case a.To == nil:
	case strings.HasPrefix(a.To.V, "/"):
		out.To = a.To.V
	default:
		out.To = "/dev/" + a.To.V
	}
	switch {
	case a.Text != nil && a.OTLP != nil:
		out.Text = a.Text.V
	case a.Text != nil:
		out.Text = a.Text.V + "\n"
	case a.Fields != nil:
		out.Fields = logFields(a.Fields)
	default:
		out.Fields = model.DefaultLogFields
	}
	return out
}

func logFields(fields []*intent.KV) []model.Header {
	var out []model.Header
	for _, kv := range fields {
		out = append(out, model.Header{Name: kv.Key.V, Value: kv.Value.V})
	}
	slices.SortFunc(out, func(a, b model.Header) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func logFilter(f *intent.LogFilter) *model.LogFilter {
	out := &model.LogFilter{
		MinStatus:   numberOr(f.MinStatus, 0),
		MinDuration: durationOr(f.MinDuration, 0),
		ErrorsOnly:  f.ErrorsOnly != nil && f.ErrorsOnly.V,
		BasisPoints: model.BasisPointsWhole,
		Headers:     named(f.Headers, strings.ToLower),
	}
	if f.Percent != nil {
		out.BasisPoints = percent(*f.Percent)
	}
	return out
}
