package export

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector runs export for every request until the test ends, and gives a writer to it.
func collector(t *testing.T, export grpc.StreamHandler) *Writer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.ForceServerCodec(asIs{}), grpc.UnknownServiceHandler(export))
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}
	w, err := OTLP(dial, snapshot.Collector{Cluster: "otel", Timeout: 10 * time.Second}, Logs, telemetry.NewEnvelope(nil, "test"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		s.Stop()
		<-done
	})
	return w
}

// What a collector does not take is told, and no failure.
func TestRejectedRecords(t *testing.T) {
	partial := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 3)
	answer := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial)
	w := collector(t, func(_ any, s grpc.ServerStream) error {
		var raw []byte
		if err := s.RecvMsg(&raw); err != nil {
			return err
		}
		return s.SendMsg(&answer)
	})
	batch := []byte{0x12, 0}
	n, err := w.Write(batch)
	var rejected telemetry.Rejection
	if n != len(batch) || !errors.As(err, &rejected) || rejected.Records != 3 {
		t.Errorf("%d, %v", n, err)
	}
}

// A collector may answer before it has read: what grpc still holds of a request is
// not written to by the next. It is the race detector that would see it.
func TestACollectorThatAnswersEarly(t *testing.T) {
	w := collector(t, func(_ any, s grpc.ServerStream) error { return s.SendMsg(&[]byte{}) })
	batch := bytes.Repeat([]byte{0x12, 0}, 512<<10)
	for range 50 {
		if _, err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
}
