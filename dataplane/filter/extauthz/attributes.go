package extauthz

import (
	"cmp"
	"net/netip"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	servicev3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
)

// Message implements filter.Question: what the service is told, as Envoy tells it.
func (f *Filter) Message(s *filter.Stream, body []byte) ([]byte, error) {
	req := s.Request
	caller, _ := message.Get(req.Fields, "x-envoy-downstream-service-cluster")
	http := &servicev3.AttributeContext_HttpRequest{
		Id: strconv.FormatUint(s.Random, 10), Method: req.Method, Path: filter.Text(req.Target), Host: filter.Text(req.Authority),
		Scheme: req.Scheme, Protocol: s.Protocol.String(), Size: int64(len(body)), RawBody: body, Headers: f.headers(s),
	}
	if body != nil {
		http.Headers["x-envoy-auth-partial-body"] = "false"
	}
	return proto.Marshal(&servicev3.CheckRequest{Attributes: &servicev3.AttributeContext{
		Source:               &servicev3.AttributeContext_Peer{Address: address(cmp.Or(s.Peer.Direct, s.Peer.Remote)), Principal: s.Peer.SPIFFEID, Service: filter.Text(caller)},
		Destination:          &servicev3.AttributeContext_Peer{Address: address(s.Peer.Local), Principal: s.Peer.Identity},
		Request:              &servicev3.AttributeContext_Request{Time: timestamppb.Now(), Http: http},
		MetadataContext:      f.metadata(req),
		RouteMetadataContext: &corev3.Metadata{},
	}})
}

// headers are those that the service hears of; several of one name are one.
func (f *Filter) headers(s *filter.Stream) map[string]string {
	req := s.Request
	out := make(map[string]string, len(req.Fields)+4)
	add := func(name, value string) {
		if !f.hears(name) {
			return
		}
		value = filter.Text(value)
		if before, ok := out[name]; ok {
			value = before + "," + value
		}
		out[name] = value
	}
	add(":authority", req.Authority)
	add(":method", req.Method)
	add(":path", req.Target)
	add(":scheme", req.Scheme)
	if s.Length >= 0 {
		add("content-length", strconv.FormatInt(s.Length, 10))
	}
	for i := range req.Fields {
		add(req.Fields[i].Name, req.Fields[i].Value)
	}
	return out
}

func (f *Filter) hears(name string) bool {
	if name == "x-envoy-auth-partial-body" {
		return false // only we say it
	}
	if len(f.told) == 0 {
		return true
	}
	for _, matches := range f.told {
		if matches(name) {
			return true
		}
	}
	return false
}

func (f *Filter) metadata(req *message.Request) *corev3.Metadata {
	out := &corev3.Metadata{}
	for _, space := range f.spaces {
		if known := req.Metadata[space]; known != nil {
			if out.FilterMetadata == nil {
				out.FilterMetadata = map[string]*structpb.Struct{}
			}
			out.FilterMetadata[space] = known
		}
	}
	return out
}

func address(text string) *corev3.Address {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return nil
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: at.Addr().String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(at.Port())},
	}}}
}
