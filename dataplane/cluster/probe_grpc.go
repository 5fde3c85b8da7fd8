package cluster

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// askGRPC calls grpc.health.v1.Health.Check. Like Envoy's checker, it takes any
// answer but SERVING for one that says no.
func (p *prober) askGRPC(ctx context.Context, s *State, h *snapshot.HealthGRPC) Outcome {
	if p.calls == nil {
		p.calls = p.channel(s)
	}
	req, err := healthCall(ctx, cmp.Or(h.Authority, s.snap.Name), h.Service)
	if err != nil {
		return Silence
	}
	resp, err := p.calls.RoundTrip(req)
	if err != nil {
		return Silence
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil || len(raw) > maxAnswer:
		return Silence
	case serving(resp, raw):
		return Good
	}
	return Bad
}

// channel makes connections as they are needed, which end with the endpoint.
func (p *prober) channel(s *State) *http.Transport {
	var only http.Protocols
	only.SetUnencryptedHTTP2(true) // the connection brings its own TLS
	target, life := p.target, p.ctx
	return &http.Transport{
		Protocols:          &only,
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := s.connect(ctx, target)
			if err != nil {
				return nil, err
			}
			return mortal{conn, context.AfterFunc(life, func() { _ = conn.Close() })}, nil
		},
	}
}

// mortal is a connection that ends with its endpoint, if not before.
type mortal struct {
	net.Conn
	unhook func() bool
}

func (m mortal) Close() error {
	m.unhook()
	return m.Conn.Close()
}

func healthCall(ctx context.Context, authority, service string) (*http.Request, error) {
	message, err := proto.Marshal(&healthpb.HealthCheckRequest{Service: service})
	if err != nil {
		return nil, err
	}
	body := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))) // not compressed
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://endpoint"+healthpb.Health_Check_FullMethodName, bytes.NewReader(append(body, message...)))
	if err != nil {
		return nil, err
	}
	req.Host = authority
	req.Header.Set("content-type", "application/grpc")
	req.Header.Set("te", "trailers")
	req.Header.Set("user-agent", "Envoy/HC")
	return req, nil
}

// serving reads an answer; the status of a call without a message is among the
// headers.
func serving(resp *http.Response, raw []byte) bool {
	if resp.StatusCode != http.StatusOK || cmp.Or(resp.Trailer.Get("grpc-status"), resp.Header.Get("grpc-status")) != "0" {
		return false
	}
	const prefix = 5
	if len(raw) < prefix || raw[0] != 0 || uint64(binary.BigEndian.Uint32(raw[1:])) != uint64(len(raw)-prefix) {
		return false
	}
	var answer healthpb.HealthCheckResponse
	return proto.Unmarshal(raw[prefix:], &answer) == nil && answer.GetStatus() == healthpb.HealthCheckResponse_SERVING
}
