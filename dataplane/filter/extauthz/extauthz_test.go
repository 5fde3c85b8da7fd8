package extauthz

import (
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	servicev3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

func config(t testing.TB, more string) *authv3.ExtAuthz {
	t.Helper()
	p := new(authv3.ExtAuthz)
	text := `{"grpc_service": {"envoy_grpc": {"cluster_name": "guard", "authority": "guard.test"}}, "validate_mutations": true` + more + `}`
	if err := protojson.Unmarshal([]byte(text), p); err != nil {
		t.Fatal(err)
	}
	return p
}

func guarded(t testing.TB, more string) *Filter {
	t.Helper()
	f, err := New("authz", config(t, more))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func request(fields ...message.Field) *filter.Stream {
	return &filter.Stream{
		Request: &message.Request{Method: "GET", Scheme: "http", Authority: "shop", Target: "/a?b=1", Fields: fields},
		Route:   &route.Entry{}, Length: -1,
		Peer: filter.Peer{TLS: true, SPIFFEID: "spiffe://test/web", Identity: "spiffe://test/shop", Remote: "[2001:db8::1]:80", Local: "127.0.0.1:81"},
	}
}

func TestDefaults(t *testing.T) {
	f := guarded(t, "")
	if s := f.Service(); s.Route.Timeout != 200*time.Millisecond || s.Timeout != "200m" || s.Authority != "guard.test" || s.Path != method {
		t.Errorf("the service is %+v", s)
	}
	if f.Holds() != 0 {
		t.Errorf("%d bytes are held", f.Holds())
	}
}

func TestRefusedConfigurations(t *testing.T) {
	for more, why := range map[string]string{
		`, "validate_mutations": false`: "validate_mutations",
		`, "grpc_service": {}`:          "cluster_name",
		`, "grpc_service": {"envoy_grpc": {"cluster_name": "g"}, "timeout": "-1s"}`:                                                                                                            "negative",
		`, "with_request_body": {"max_request_bytes": 5}`:                                                                                                                                      "pack_as_bytes",
		`, "with_request_body": {"max_request_bytes": 16777217, "pack_as_bytes": true}`:                                                                                                        "16777216",
		`, "filter_enabled_metadata": {"filter": "x", "path": [{"key": "y"}], "value": {"string_match": {"exact": "allowed"}}}`:                                                                "asked_",
		`, "filter_enabled_metadata": {"filter": "envoy.filters.http.rbac", "path": [{"key": "asked_shadow_engine_result"}], "value": {"string_match": {"exact": "allowed"}}, "invert": true}`: "asked_",
		`, "allowed_headers": {"patterns": [{"safe_regex": {"regex": "("}}]}`:                                                                                                                  "allowed_headers",
	} {
		p := config(t, "")
		over := new(authv3.ExtAuthz)
		if err := protojson.Unmarshal([]byte("{"+strings.TrimPrefix(more, ", ")+"}"), over); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(more, "validate_mutations") {
			p.ValidateMutations = false
		}
		if over.GetGrpcService() != nil {
			p.Services = over.Services
		}
		over.Services = nil
		proto.Merge(p, over)
		if _, err := New("authz", p); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", more, err, why)
		}
	}
}

func TestWhoIsAskedAbout(t *testing.T) {
	all := guarded(t, "")
	some := guarded(t, `, "filter_enabled_metadata": {"filter": "envoy.filters.http.rbac", "path": [{"key": "asked_shadow_engine_result"}], "value": {"string_match": {"exact": "allowed"}}}`)
	for _, c := range []struct {
		f      *Filter
		route  *route.Entry
		asked  bool
		expect bool
	}{
		{all, &route.Entry{}, false, true},
		{all, nil, false, false},
		{some, &route.Entry{}, false, false},
		{some, &route.Entry{}, true, true},
	} {
		s := request()
		s.Route, s.Asked = c.route, c.asked
		if v := c.f.OnRequest(s); (v.Ask != nil) != c.expect || v.Status != 0 {
			t.Errorf("%+v: %+v", c, v)
		}
	}
}

func TestWhatTheServiceIsTold(t *testing.T) {
	f := guarded(t, `, "allowed_headers": {"patterns": [{"exact": "x-one"}, {"prefix": "x-envoy-"}]}`)
	s := request(message.Field{Name: "x-one", Value: "a\xff"}, message.Field{Name: "x-one", Value: "b"}, message.Field{Name: "x-two", Value: "2"},
		message.Field{Name: "x-envoy-auth-partial-body", Value: "true"})
	s.Request.Target, s.Peer.Direct = "/\xc3\x28", "192.0.2.1:1"
	raw, err := f.Message(s, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	var q servicev3.CheckRequest
	if err := proto.Unmarshal(raw, &q); err != nil {
		t.Fatal(err)
	}
	h := q.Attributes.Request.Http
	if len(h.Headers) != 2 || h.Headers["x-one"] != "a!,b" || h.Headers["x-envoy-auth-partial-body"] != "false" || h.Path != "/!(" || string(h.RawBody) != "hello" || h.Size != 5 {
		t.Errorf("told %v", h)
	}
	if from := q.Attributes.Source; from.Principal != "spiffe://test/web" || from.Address.GetSocketAddress().GetAddress() != "192.0.2.1" {
		t.Errorf("from %v", from)
	}
}

func answer(t testing.TB, r *servicev3.CheckResponse) *filter.Answer {
	t.Helper()
	raw, err := proto.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return &filter.Answer{Message: raw}
}

func TestNoAnswer(t *testing.T) {
	for _, a := range []*filter.Answer{
		{Code: -1}, {Code: 14}, {Message: []byte("\xff")},
		answer(t, &servicev3.CheckResponse{Status: &status.Status{Code: 13}, HttpResponse: &servicev3.CheckResponse_ErrorResponse{}}),
	} {
		if v := guarded(t, "").Judge(request(), a); v.Status != 403 || v.Flag != "UAEX" || v.Details != "ext_authz_error" {
			t.Errorf("%v: %+v", a, v)
		}
		if v := guarded(t, `, "failure_mode_allow": true`).Judge(request(), a); v.Status != 0 {
			t.Errorf("%v, open: %+v", a, v)
		}
	}
}

// What an answer must not touch stays, and the request with it.
func TestReserved(t *testing.T) {
	for _, name := range []string{":path", ":method", "Host", "content-length", "Transfer-Encoding", "connection", "x-forwarded-client-cert", "", "a b", "a:b"} {
		s := request(message.Field{Name: "x-forwarded-client-cert", Value: "URI=spiffe://test/web"})
		set := []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: name, Value: "5"}}}
		ok := &servicev3.OkHttpResponse{Headers: set}
		if v := guarded(t, "").Judge(s, answer(t, &servicev3.CheckResponse{HttpResponse: &servicev3.CheckResponse_OkResponse{OkResponse: ok}})); v.Status != 500 || len(s.Request.Fields) != 1 {
			t.Errorf("%q: %+v, %v", name, v, s.Request.Fields)
		}
		ok = &servicev3.OkHttpResponse{HeadersToRemove: []string{name}}
		if v := guarded(t, "").Judge(s, answer(t, &servicev3.CheckResponse{HttpResponse: &servicev3.CheckResponse_OkResponse{OkResponse: ok}})); v.Status != 0 || len(s.Request.Fields) != 1 {
			t.Errorf("%q removed: %+v, %v", name, v, s.Request.Fields)
		}
	}
}

// Whatever a service answers, what goes on is a request that a proxy may send.
func FuzzAnswers(f *testing.F) {
	for _, r := range []*servicev3.CheckResponse{
		{HttpResponse: &servicev3.CheckResponse_OkResponse{OkResponse: &servicev3.OkHttpResponse{
			Headers:              []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "X-A", Value: "1"}}},
			ResponseHeadersToAdd: []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "X-B", Value: "1"}}},
			HeadersToRemove:      []string{"x-one"}, QueryParametersToSet: []*corev3.QueryParameter{{Key: "b", Value: "2"}},
		}}},
		{Status: &status.Status{Code: 7}, HttpResponse: &servicev3.CheckResponse_DeniedResponse{DeniedResponse: &servicev3.DeniedHttpResponse{Body: "no"}}},
	} {
		f.Add(answer(f, r).Message)
	}
	guard := guarded(f, "")
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := request(message.Field{Name: "x-one", Value: "1"}, message.Field{Name: "x-forwarded-client-cert", Value: "c"})
		v := guard.Judge(s, &filter.Answer{Message: raw})
		if v.Status != 0 && (v.Status < 200 || v.Status > 599 || v.Flag != "UAEX") {
			t.Fatalf("%+v", v)
		}
		if v.Status == 0 {
			if path, _, _ := strings.Cut(s.Request.Target, "?"); path != "/a" || s.Request.Method != "GET" || s.Request.Authority != "shop" || strings.ContainsAny(s.Request.Target, " \r\n#") {
				t.Fatalf("%+v", s.Request)
			}
			if cert, _ := message.Get(s.Request.Fields, "x-forwarded-client-cert"); cert != "c" {
				t.Fatalf("%+v", s.Request)
			}
		}
		for _, h := range append(s.Change.Apply(nil), s.Request.Fields...) {
			if _, ok := filter.AnsweredField(h.Name, h.Value); !ok && h.Name != "x-forwarded-client-cert" {
				t.Fatalf("%q: %q", h.Name, h.Value)
			}
		}
	})
}
