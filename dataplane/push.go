package dataplane

import (
	"context"
	"fmt"
	"time"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"

	"github.com/meshc/meshc/dataplane/export"
	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/resource"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// pushInterval is Envoy's stats_flush_interval where the bootstrap does not say one.
const pushInterval = 5 * time.Second

// pushMetrics sends all metrics to the collectors that the bootstrap names, with the
// values that a scrape would see at that moment.
func (p *proxy) pushMetrics(dial filter.Dial) error {
	b := p.opts.Bootstrap.Proto
	every := pushInterval
	if d := b.GetStatsFlushInterval(); d != nil {
		every = d.AsDuration()
	}
	for i, s := range b.GetStatsSinks() {
		sink, err := p.metricsSink(s, dial)
		if err != nil {
			return fmt.Errorf("stats_sinks[%d]: %w", i, err)
		}
		p.background(func(ctx context.Context) error {
			defer context.AfterFunc(ctx, sink.to.Abort)() // a collector that hangs keeps nobody
			sink.run(ctx, every)
			return sink.to.Close()
		})
	}
	return nil
}

type metricsSink struct {
	from    *telemetry.Registry
	to      *export.Writer
	stats   telemetry.SinkStats
	started time.Time
	age     func(now time.Time)
}

func (p *proxy) metricsSink(s *metricsv3.StatsSink, dial filter.Dial) (*metricsSink, error) {
	at, err := resource.DecodeStatsSink(s)
	if err != nil {
		return nil, err
	}
	reg := p.metrics.registry
	const prefix = "meshc_metrics_push_points_"
	stats := telemetry.SinkStats{Sent: reg.Counter(prefix + "sent"), Dropped: reg.Counter(prefix + "dropped"), Failed: reg.Counter("meshc_metrics_push_failed")}
	self := selfOf(p.opts.Bootstrap.Proto.GetNode(), "")
	who := []telemetry.Attribute{{Name: "service.name", Value: self.Service + "." + self.Namespace}, {Name: "service.instance.id", Value: p.opts.Bootstrap.Proto.GetNode().GetId()}}
	if self.Service == "" {
		who = who[1:]
	}
	w, err := export.OTLP(dial, at, export.Metrics, telemetry.NewEnvelope(who, "meshc-proxy"))
	if err != nil {
		return nil, err
	}
	return &metricsSink{from: reg, to: w, stats: stats, started: p.started, age: p.age}, nil
}

// run pushes until ctx ends.
func (s *metricsSink) run(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			s.push(now)
		}
	}
}

// push sends everything, or as much as is taken: what comes after a failure would
// fail too.
func (s *metricsSink) push(now time.Time) {
	s.age(now)
	err := s.from.EachOTLP(s.started, now, func(batch []byte, points int64) error {
		if _, err := s.to.Write(batch); !s.stats.Wrote(points, err) {
			return err
		}
		return nil
	})
	if err != nil {
		s.stats.Failed.Inc()
	}
}
