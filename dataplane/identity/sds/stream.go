package sds

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strconv"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secretv3 "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// StreamSecrets is the state-of-the-world protocol. That protocol has no way to
// say that a name does not exist, so a request for an unknown one ends the
// stream with NOT_FOUND.
func (s *Server) StreamSecrets(stream secretv3.SecretDiscoveryService_StreamSecretsServer) error {
	ctx := stream.Context()
	changed := s.watch(ctx)
	reqs, end := receive(ctx, stream.Recv)
	st := &sotw{server: s, send: stream.Send}
	for {
		var err error
		select {
		case req, ok := <-reqs:
			if !ok {
				return closed(<-end)
			}
			err = st.request(req)
		case _, ok := <-changed:
			if !ok {
				return ctx.Err()
			}
			err = st.push()
		}
		if err != nil {
			return err
		}
	}
}

// sotw is the state of one stream.
type sotw struct {
	server *Server
	send   func(*discoveryv3.DiscoveryResponse) error

	names   []string // subscribed
	sent    string   // version last sent, "" after a change of names
	nonce   string   // of the last response
	counter int
}

func (t *sotw) request(req *discoveryv3.DiscoveryRequest) error {
	if err := checkType(req.GetTypeUrl()); err != nil {
		return err
	}
	if n := req.GetResponseNonce(); n != "" && n != t.nonce {
		return nil // answers an older response
	}
	if d := req.GetErrorDetail(); d != nil {
		t.server.log.Warn("secrets refused by the proxy", "names", t.names, "error", d.GetMessage())
	}
	names := slices.Clone(req.GetResourceNames())
	slices.Sort(names)
	names = slices.Compact(names)
	for _, n := range names {
		if !t.server.known(n) {
			return status.Errorf(codes.NotFound, "no secret %q here, only %q and %q", n, CertificateName, BundleName)
		}
	}
	if !slices.Equal(names, t.names) {
		t.names, t.sent = names, ""
	}
	return t.push()
}

// push sends the subscribed secrets unless that is what the peer has.
func (t *sotw) push() error {
	secrets, err := t.server.render(slices.Values(t.names))
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	if len(secrets) == 0 || len(t.names) == 0 {
		return nil
	}
	resp := &discoveryv3.DiscoveryResponse{TypeUrl: secretType}
	sum := sha256.New()
	for _, n := range t.names {
		if s, ok := secrets[n]; ok {
			resp.Resources = append(resp.Resources, s.body)
			sum.Write([]byte(s.name + s.version))
		}
	}
	resp.VersionInfo = hex.EncodeToString(sum.Sum(nil)[:16])
	if resp.VersionInfo == t.sent {
		return nil
	}
	t.counter++
	t.sent, t.nonce = resp.VersionInfo, strconv.Itoa(t.counter)
	resp.Nonce = t.nonce
	return t.send(resp)
}

func checkType(url string) error {
	if url != "" && url != secretType {
		return status.Errorf(codes.InvalidArgument, "type %q is not served here, only %s", url, secretType)
	}
	return nil
}

// closed is how a stream ends when the peer has ended it.
func closed(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
