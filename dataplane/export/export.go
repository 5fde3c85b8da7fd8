// Package export sends telemetry to collectors, by OTLP over gRPC or as JSON of
// Zipkin over HTTP, through the proxy's own clusters. Records come encoded, in
// batches; what a collector does not take is lost and counted, and never waited for.
package export

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// Methods of OTLP's collectors.
const (
	Traces  = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
	Logs    = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
	Metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
)

// Writer sends each Write as one request. Abort makes the one under way fail, and
// all that come.
type Writer struct {
	timeout time.Duration
	ctx     context.Context
	Abort   func()
	send    func(context.Context, []byte) error
	close   func() error
}

// Write implements io.Writer: a request is taken whole, or not, but for the records
// that a telemetry.Rejection tells of.
func (w *Writer) Write(batch []byte) (int, error) {
	ctx, cancel := context.WithTimeout(w.ctx, w.timeout)
	defer cancel()
	err := w.send(ctx, batch)
	if err != nil && !errors.As(err, new(telemetry.Rejection)) {
		return 0, err
	}
	return len(batch), err
}

// Close implements io.Closer.
func (w *Writer) Close() error {
	w.Abort()
	return w.close()
}

// defaultTimeout of a request is what exporters of OTLP have.
const defaultTimeout = 10 * time.Second

func newWriter(c snapshot.Collector) *Writer {
	w := &Writer{timeout: c.Timeout}
	if w.timeout <= 0 {
		w.timeout = defaultTimeout
	}
	w.ctx, w.Abort = context.WithCancel(context.Background())
	return w
}

// OTLP makes a Writer of one method of a collector. Records are put into envelopes;
// of those that the collector rejects, Write's telemetry.Rejection tells.
func OTLP(dial filter.Dial, c snapshot.Collector, method string, envelope *telemetry.Envelope) (*Writer, error) {
	authority := c.Authority
	if authority == "" {
		authority = c.Cluster
	}
	conn, err := grpc.NewClient("passthrough:///collector",
		grpc.WithTransportCredentials(insecure.NewCredentials()), // what dial gives has done TLS where the cluster has it
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx, c.Cluster, "h2") }),
		grpc.WithAuthority(authority),
		grpc.WithDisableServiceConfig(), grpc.WithNoProxy(),
	)
	if err != nil {
		return nil, fmt.Errorf("collector %q: %w", c.Cluster, err)
	}
	w := newWriter(c)
	w.send = func(ctx context.Context, batch []byte) error {
		request := envelope.Append(nil, batch) // grpc may read it still when Invoke has returned
		var answer []byte
		if err := conn.Invoke(ctx, method, &request, &answer, grpc.ForceCodec(asIs{})); err != nil {
			return fmt.Errorf("collector %q: %w", c.Cluster, err)
		}
		if n := telemetry.Rejected(answer); n > 0 {
			return fmt.Errorf("collector %q: %w", c.Cluster, telemetry.Rejection{Records: n})
		}
		return nil
	}
	w.close = conn.Close
	return w, nil
}

// asIs is the codec of messages that are encoded already.
type asIs struct{}

func (asIs) Name() string { return "proto" }

func (asIs) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, errors.New("not bytes")
	}
	return *b, nil
}

func (asIs) Unmarshal(raw []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return errors.New("not bytes")
	}
	*b = append((*b)[:0], raw...)
	return nil
}

// Zipkin makes a Writer of spans in JSON, each of which comes with a comma before it.
func Zipkin(dial filter.Dial, c snapshot.Collector) *Writer {
	w := newWriter(c)
	connect := func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, c.Cluster, "http/1.1") }
	transport := &http.Transport{
		DialContext: connect, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	host := c.Authority
	if host == "" {
		host = c.Cluster
	}
	w.send = func(ctx context.Context, batch []byte) error {
		body := append(append([]byte{'['}, bytes.TrimPrefix(batch, []byte{','})...), ']')
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://collector"+c.Path, bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("collector %q: %w", c.Cluster, err)
		}
		req.Host = host
		req.Header.Set("Content-Type", "application/json")
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return fmt.Errorf("collector %q: %w", c.Cluster, err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
			return fmt.Errorf("collector %q: %w", c.Cluster, err)
		}
		if resp.StatusCode < 200 || resp.StatusCode > 299 {
			return fmt.Errorf("collector %q answers %s", c.Cluster, resp.Status)
		}
		return nil
	}
	w.close = func() error { transport.CloseIdleConnections(); return nil }
	return w
}
