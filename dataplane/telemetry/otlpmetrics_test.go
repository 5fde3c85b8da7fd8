package telemetry

import (
	"fmt"
	"testing"
	"time"

	metricsv1 "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// pushed is what a collector gets.
func pushed(t *testing.T, r *Registry) []*metricsv1.Metric {
	t.Helper()
	envelope := NewEnvelope([]Attribute{{"service.name", "a"}}, "scope")
	var out []*metricsv1.Metric
	err := r.EachOTLP(time.Unix(1, 0), time.Unix(2, 0), func(batch []byte, _ int64) error {
		var data metricsv1.MetricsData
		if err := proto.Unmarshal(envelope.Append(nil, batch), &data); err != nil {
			return err
		}
		in := data.ResourceMetrics[0]
		if in.Resource.Attributes[0].Value.GetStringValue() != "a" || in.ScopeMetrics[0].Scope.Name != "scope" {
			return fmt.Errorf("%v", in)
		}
		out = append(out, in.ScopeMetrics[0].Metrics...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPushedIsScraped: both ways tell the same.
func TestPushedIsScraped(t *testing.T) {
	r := New(2)
	r.Counter("requests", Label{"to", `q"\` + "\n,x=\"y\""}, Label{"from", "b"}).Shard(0).Add(3)
	r.Counter("requests", Label{"to", "c"}).Shard(1).Add(4)
	r.Gauge("active").Set(-2)
	h := r.Histogram("took", Label{"to", "c"})
	h.Shard(0).Observe(700 * time.Microsecond)
	h.Shard(1).Observe(2 * time.Second)
	h.Shard(1).ObserveSize(1 << 40)
	again := ""
	for _, m := range pushed(t, r) {
		kind, body := "", ""
		number := func(points []*metricsv1.NumberDataPoint) {
			for _, p := range points {
				var labels []Label
				for _, a := range p.Attributes {
					labels = append(labels, Label{a.Key, a.Value.GetStringValue()})
				}
				body += string(appendSample(nil, m.Name, "", renderLabels(labels), "")) + fmt.Sprintln(p.GetAsInt())
				if p.TimeUnixNano != 2e9 {
					t.Errorf("%s: %v", m.Name, p)
				}
			}
		}
		switch {
		case m.GetSum() != nil:
			kind = "counter"
			number(m.GetSum().DataPoints)
			if !m.GetSum().IsMonotonic || m.GetSum().AggregationTemporality != metricsv1.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE {
				t.Errorf("%v", m)
			}
		case m.GetGauge() != nil:
			kind = "gauge"
			number(m.GetGauge().DataPoints)
		case m.GetHistogram() != nil:
			kind = "histogram"
			p := m.GetHistogram().DataPoints[0]
			var sum uint64
			for i, n := range p.BucketCounts {
				sum += n
				le := "+Inf"
				if i < len(p.ExplicitBounds) {
					le = fmt.Sprint(p.ExplicitBounds[i])
				}
				body += fmt.Sprintf("%s_bucket{to=\"c\",le=\"%s\"} %d\n", m.Name, le, sum)
			}
			body += fmt.Sprintf("%s_sum{to=\"c\"} %.1f\n%s_count{to=\"c\"} %d\n", m.Name, p.GetSum(), m.Name, p.Count)
		}
		again += "# TYPE " + m.Name + " " + kind + "\n" + body
	}
	if want := exposed(t, r); again != want {
		t.Errorf("pushed:\n%s\nscraped:\n%s", again, want)
	}
}

func TestManyMetricsAreManyRequests(t *testing.T) {
	r := New(1)
	for i := range 30_000 {
		r.Counter("requests", Label{"to", fmt.Sprint("somebody whose name is not short", i)})
	}
	n, requests := int64(0), 0
	err := r.EachOTLP(time.Unix(1, 0), time.Unix(2, 0), func(batch []byte, points int64) error {
		if len(batch) > 2*maxMetrics {
			t.Errorf("%d bytes", len(batch))
		}
		n, requests = n+points, requests+1
		return nil
	})
	if err != nil || n != 30_000 || requests < 2 {
		t.Errorf("%d points in %d requests, %v", n, requests, err)
	}
}
