package telemetry

import (
	"io"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
)

type nowhere struct{ io.Writer }

func (nowhere) Close() error { return nil }

// BenchmarkLine measures what an event loop does for one line of an access log.
func BenchmarkLine(b *testing.B) {
	f, err := CompileJSON(map[string]string{"time": "%START_TIME%", "method": "%REQ(:METHOD)%", "path": "%REQ(:PATH)%", "authority": "%REQ(:AUTHORITY)%",
		"protocol": "%PROTOCOL%", "status": "%RESPONSE_CODE%", "flags": "%RESPONSE_FLAGS%", "duration": "%DURATION%", "cluster": "%UPSTREAM_CLUSTER%", "id": "%REQ(X-REQUEST-ID)%"})
	if err != nil {
		b.Fatal(err)
	}
	text, err := CompileText(DefaultText)
	if err != nil {
		b.Fatal(err)
	}
	for name, f := range map[string]*Format{"json": f, "text": text} {
		b.Run(name, func(b *testing.B) {
			r := New(1)
			s := NewSink(nowhere{io.Discard}, nil, SinkStats{Sent: r.Counter("a"), Dropped: r.Counter("b"), Failed: r.Counter("c")})
			defer s.Close()
			batch := s.NewBatch()
			record := Record{
				Start: time.Now(), Duration: 3 * time.Millisecond, Peer: &filter.Peer{Remote: "127.0.0.1:4711", Local: "127.0.0.1:80"}, Status: 200,
				Request: &message.Request{Method: "GET", Target: "/", Authority: "127.0.0.1:38785", Scheme: "http", Fields: []message.Field{
					{Name: "x-forwarded-for", Value: "127.0.0.1"}, {Name: "x-forwarded-proto", Value: "http"}, {Name: "x-request-id", Value: "a7d3b5a2-5ef0-4d4f-a1b0-5f0f7c3c1b7e"}}},
				Response: &message.Response{Status: 200}, UpstreamCluster: "outbound|80||shop.default.svc.cluster.local", UpstreamHost: "127.0.0.1:8080", BytesSent: 43,
			}
			b.ReportAllocs()
			for b.Loop() {
				record.Start = record.Start.Add(70 * time.Microsecond)
				batch.Add(f, &record)
			}
		})
	}
}
