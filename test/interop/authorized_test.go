package interop

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/model"
)

// answers is an authorizer that answers a request with what it names.
type answers struct {
	guard
	list map[string]*authv3.CheckResponse
}

func (a *answers) Check(_ context.Context, q *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	a.last.Store(q.Attributes)
	return a.list[q.Attributes.Request.Http.Headers["x-say"]], nil
}

const (
	appendOrAdd = corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD
	addIfAbsent = corev3.HeaderValueOption_ADD_IF_ABSENT
	overwrite   = corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
	onlyIfThere = corev3.HeaderValueOption_OVERWRITE_IF_EXISTS
)

func changed(name, value string, how corev3.HeaderValueOption_HeaderAppendAction) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: value}, AppendAction: how}
}

// appended says it as authorizers did before there were actions.
func appended(name, value string, append bool) *corev3.HeaderValueOption {
	//lint:ignore SA1019 authorizers still say it
	return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: value}, Append: wrapperspb.Bool(append)}
}

func letsIn(how *authv3.OkHttpResponse) *authv3.CheckResponse {
	return &authv3.CheckResponse{Status: &rpcstatus.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: how}}
}

func refuses(code int, body string, headers ...*corev3.HeaderValueOption) *authv3.CheckResponse {
	return &authv3.CheckResponse{Status: &rpcstatus.Status{Code: 7}, HttpResponse: &authv3.CheckResponse_DeniedResponse{
		DeniedResponse: &authv3.DeniedHttpResponse{Status: &typev3.HttpStatus{Code: typev3.StatusCode(code)}, Body: body, Headers: headers},
	}}
}

func toRequest(headers ...*corev3.HeaderValueOption) *authv3.CheckResponse {
	return letsIn(&authv3.OkHttpResponse{Headers: headers})
}

func toResponse(headers ...*corev3.HeaderValueOption) *authv3.CheckResponse {
	return letsIn(&authv3.OkHttpResponse{ResponseHeadersToAdd: headers})
}

// answerCases are what authorizers may answer; a request has x-one: 1 and two
// x-two, a response x-served.
var answerCases = map[string]*authv3.CheckResponse{
	"nothing":                      letsIn(nil),
	"no detail":                    {Status: &rpcstatus.Status{}},
	"no status":                    {},
	"refused":                      {Status: &rpcstatus.Status{Code: 16}},
	"refused with ok":              {Status: &rpcstatus.Status{Code: 7}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}}},
	"request append or add":        toRequest(changed("x-one", "2", appendOrAdd), changed("X-New", "2", appendOrAdd), changed("x-two", "c", appendOrAdd)),
	"request add if absent":        toRequest(changed("x-one", "2", addIfAbsent), changed("X-New", "2", addIfAbsent)),
	"request overwrite":            toRequest(changed("x-one", "2", overwrite), changed("X-New", "2", overwrite), changed("x-two", "c", overwrite)),
	"request overwrite if there":   toRequest(changed("x-one", "2", onlyIfThere), changed("X-New", "2", onlyIfThere)),
	"request appended":             toRequest(appended("x-one", "2", true), appended("X-New", "2", true), appended("x-two", "c", true)),
	"request not appended":         toRequest(appended("x-one", "2", false), appended("X-New", "2", false), appended("x-two", "c", false)),
	"request one after the other":  toRequest(changed("x-new", "1", overwrite), changed("x-new", "2", appendOrAdd), appended("x-new", "3", true)),
	"request empty value":          toRequest(changed("x-one", "", overwrite)),
	"request bad name":             toRequest(changed("x one", "2", overwrite)),
	"request bad value":            toRequest(changed("x-one", "2\r\nx-evil: 1", overwrite)),
	"request removed":              letsIn(&authv3.OkHttpResponse{HeadersToRemove: []string{"X-One", "x-none", ":path", "host", "x bad"}}),
	"request added and removed":    letsIn(&authv3.OkHttpResponse{Headers: []*corev3.HeaderValueOption{changed("x-new", "1", overwrite)}, HeadersToRemove: []string{"x-new"}}),
	"response append or add":       toResponse(changed("x-served", "2", appendOrAdd), changed("X-New", "2", appendOrAdd)),
	"response add if absent":       toResponse(changed("x-served", "2", addIfAbsent), changed("X-New", "2", addIfAbsent)),
	"response overwrite":           toResponse(changed("x-served", "2", overwrite), changed("X-New", "2", overwrite)),
	"response overwrite if there":  toResponse(changed("x-served", "2", onlyIfThere), changed("X-New", "2", onlyIfThere)),
	"response appended":            toResponse(appended("x-served", "2", true), appended("X-New", "2", true)),
	"response not appended":        toResponse(appended("x-served", "2", false), appended("X-New", "2", false)),
	"response bad value":           toResponse(changed("x-new", "2\n", overwrite)),
	"query":                        letsIn(&authv3.OkHttpResponse{QueryParametersToSet: []*corev3.QueryParameter{{Key: "n", Value: "2"}, {Key: "m", Value: "a.b-c_d"}}}),
	"query encoded":                letsIn(&authv3.OkHttpResponse{QueryParametersToSet: []*corev3.QueryParameter{{Key: "m", Value: "%20"}}}),
	"query with a tilde":           letsIn(&authv3.OkHttpResponse{QueryParametersToSet: []*corev3.QueryParameter{{Key: "m", Value: "a~b"}}}),
	"query with a plus":            letsIn(&authv3.OkHttpResponse{QueryParametersToSet: []*corev3.QueryParameter{{Key: "m", Value: "a+b"}}}),
	"query with a star":            letsIn(&authv3.OkHttpResponse{QueryParametersToSet: []*corev3.QueryParameter{{Key: "m", Value: "a*b"}}}),
	"query empty":                  letsIn(&authv3.OkHttpResponse{QueryParametersToSet: []*corev3.QueryParameter{{Key: "m", Value: ""}}}),
	"query removed":                letsIn(&authv3.OkHttpResponse{QueryParametersToRemove: []string{"n", "z"}}),
	"query removed, some":          letsIn(&authv3.OkHttpResponse{QueryParametersToRemove: []string{"a"}}),
	"query bad":                    letsIn(&authv3.OkHttpResponse{QueryParametersToSet: []*corev3.QueryParameter{{Key: "n", Value: "a b"}}}),
	"denied":                       refuses(0, ""),
	"denied with status":           refuses(401, "who are you"),
	"denied with headers":          refuses(302, "", changed("location", "/login", overwrite), changed("Set-Cookie", "a=1", appendOrAdd), changed("set-cookie", "b=2", appendOrAdd)),
	"denied in another type":       refuses(403, "{}", changed("content-type", "application/json", overwrite)),
	"denied, headers not appended": refuses(403, "x", appended("x-a", "1", false), appended("x-a", "2", false)),
	"denied, headers appended":     refuses(403, "x", appended("x-a", "1", true), appended("x-a", "2", true), appended("content-type", "a/b", true)),
	"denied, headers if absent":    refuses(403, "x", changed("x-a", "1", addIfAbsent), changed("content-type", "a/b", addIfAbsent)),
	"denied, headers if there":     refuses(403, "x", changed("x-a", "1", onlyIfThere), changed("content-type", "a/b", onlyIfThere)),
	"denied with a bad header":     refuses(401, "x", changed("x-a", "a\nb", overwrite)),
	"error": {Status: &rpcstatus.Status{Code: 13}, HttpResponse: &authv3.CheckResponse_ErrorResponse{
		ErrorResponse: &authv3.DeniedHttpResponse{Status: &typev3.HttpStatus{Code: 503}, Body: "later", Headers: []*corev3.HeaderValueOption{changed("retry-after", "1", overwrite)}},
	}},
	"error without detail": {Status: &rpcstatus.Status{Code: 13}, HttpResponse: &authv3.CheckResponse_ErrorResponse{ErrorResponse: &authv3.DeniedHttpResponse{}}},
}

// stricter are answers that meshc-proxy refuses, though Envoy does what they say:
// what was judged before the service was asked, and what says who the client is,
// is not for an answer to change.
var stricter = map[string]*authv3.CheckResponse{
	"no name":        toRequest(changed("", "2", overwrite)),
	"another path":   toRequest(changed(":path", "/other", overwrite)),
	"another method": toRequest(changed(":method", "PUT", overwrite)),
	"another host":   toRequest(changed("host", "other", overwrite)),
	"another client": toRequest(changed("x-forwarded-client-cert", "URI=spiffe://evil", overwrite)),
	"framing":        toRequest(changed("content-length", "5", overwrite)),
}

const answersMesh = `package mesh

mesh: proxy: "envoy"
service: web: {
	versions: v1: {}
	uses: {envoy: {}, meshc: {}}
}
service: guard: {
	ports: rpc: {number: 9080, protocol: "grpc"}
	versions: v1: {}
}
#Guarded: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	uses: guard: {}
	security: authorizer: {service: "guard", timeout: "5s", maxBody: 16}
}
service: envoy: #Guarded
service: meshc: #Guarded
`

func TestAuthorizerAnswers(t *testing.T) {
	b := newBed(t, compileFS(t, fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.test\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways\nexternal: m.#Externals\n")},
		"a.cue":              {Data: []byte(answersMesh)},
	}))
	g := &answers{list: maps.Clone(answerCases)}
	maps.Copy(g.list, stricter)
	b.sidecar(ref("guard"), "v1", envoy, serveGuard(t, g))
	web := b.sidecar(ref("web"), "v1", envoy, "")
	b.sidecar(ref("envoy"), "v1", envoy, b.backends.start(t, "envoy", nil))
	b.sidecar(ref("meshc"), "v1", meshc, b.backends.start(t, "meshc", nil))
	b.run()
	at := func(k kind) string { return web.Outbound[model.OutboundKey(ref(string(k)), meshPort)] }
	for _, name := range slices.Sorted(maps.Keys(answerCases)) {
		for _, body := range []string{"", "0123456789abcdef", "0123456789abcdefg"} {
			want, _ := b.answered(t, at(envoy), "envoy", name, body)
			got, _ := b.answered(t, at(meshc), "meshc", name, body)
			if got != want {
				t.Errorf("%s, about %d bytes:\n%s\nEnvoy:\n%s", name, len(body), got, want)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(stricter)) {
		if _, status := b.answered(t, at(meshc), "meshc", name, ""); status != 500 {
			t.Errorf("%s: %d", name, status)
		}
	}
	for _, body := range []string{"", "0123"} {
		b.answered(t, at(envoy), "envoy", "nothing", body)
		want := told(t, g.last.Load(), "envoy")
		b.answered(t, at(meshc), "meshc", "nothing", body)
		if got := told(t, g.last.Load(), "meshc"); got != want {
			t.Errorf("the service is told\n%s\nof Envoy\n%s", got, want)
		}
	}
	for _, p := range b.all() {
		p.refusedNothing()
	}
}

// answered is what became of a request, in words.
func (b *bed) answered(t *testing.T, at, host, say, body string) (string, int) {
	t.Helper()
	b.asks++
	id := b.lastAsk()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+at+"/a?z=1&n=1&n=3&a", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	req.Header = http.Header{"X-Say": {say}, "X-One": {"1"}, "X-Two": {"a", "b"}}
	req.Header.Set(caseHeader, id)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%d %q\n", resp.StatusCode, strings.ReplaceAll(string(text), host, "HOST"))
	for _, name := range []string{"Content-Type", "Location", "Retry-After", "Set-Cookie", "X-A", "X-New", "X-Served"} {
		fmt.Fprintf(&out, "  %s: %q\n", name, strings.ReplaceAll(strings.Join(resp.Header.Values(name), "|"), host, "HOST"))
	}
	for _, a := range b.backends.got(id) {
		fmt.Fprintf(&out, "%s %s %d bytes\n", a.Method, a.URI, len(a.Body))
		for _, name := range slices.Sorted(maps.Keys(a.Header)) {
			if strings.HasPrefix(name, "X-") && name != "X-Request-Id" && name != "X-Forwarded-Client-Cert" {
				fmt.Fprintf(&out, "  %s: %q\n", name, strings.ReplaceAll(strings.Join(a.Header[name], "|"), id, "ID"))
			}
		}
	}
	return out.String(), resp.StatusCode
}

// told is what the service was told, but for what is another for each request.
func told(t *testing.T, a *authv3.AttributeContext, host string) string {
	t.Helper()
	a = proto.Clone(a).(*authv3.AttributeContext)
	h := a.Request.Http
	if h.Id == "" || a.Request.Time == nil || a.Destination.Address.GetSocketAddress().GetPortValue() == 0 || a.Source.Address.GetSocketAddress().GetPortValue() == 0 {
		t.Errorf("%s tells %v", host, a)
	}
	h.Id, a.Request.Time, a.Destination.Address, a.Source.Address = "", nil, nil, nil
	delete(h.Headers, "x-request-id")
	delete(h.Headers, "x-forwarded-client-cert")
	delete(h.Headers, caseHeader)
	delete(h.Headers, "x-envoy-expected-rq-timeout-ms") // of the caller's proxy; Envoy puts its own in its place, later
	raw, err := protojson.MarshalOptions{Multiline: true}.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(raw)), " ")
	for _, as := range []string{`: "%s"`, `/sa/%s"`} {
		text = strings.ReplaceAll(text, fmt.Sprintf(as, host), fmt.Sprintf(as, "HOST"))
	}
	return text
}
