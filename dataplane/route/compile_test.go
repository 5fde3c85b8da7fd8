package route

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/dataplane/message"
)

func config(t testing.TB, text string) *routev3.RouteConfiguration {
	t.Helper()
	rc := new(routev3.RouteConfiguration)
	if err := protojson.Unmarshal([]byte(text), rc); err != nil {
		t.Fatal(err)
	}
	return rc
}

// named decodes a per-route config to the text it was packed from.
func named(name string, packed *anypb.Any) (any, error) {
	if len(packed.GetValue()) == 0 {
		return name, nil
	}
	return nil, errors.New("not empty")
}

// compileMatches gives the table whose routes, one per match, are named 0, 1, ….
func compileMatches(t testing.TB, matches ...string) *Table {
	t.Helper()
	var routes []string
	for i, m := range matches {
		routes = append(routes, fmt.Sprintf(`{"name": "%d", "match": %s, "route": {"cluster": "c"}}`, i, m))
	}
	table, err := Compile(config(t, `{"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [`+strings.Join(routes, ",")+`]}]}`), named)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func request(method, target string, fields ...string) *message.Request {
	req := &message.Request{Method: method, Target: target, Authority: "svc:80", Scheme: "http"}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Fields = append(req.Fields, message.Field{Name: fields[i], Value: fields[i+1]})
	}
	return req
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		name  string
		match string
		req   *message.Request
		want  bool
	}{
		{"prefix", `{"prefix": "/a"}`, request("GET", "/ab?x"), true},
		{"prefix differs in case", `{"prefix": "/a"}`, request("GET", "/Ab"), false},
		{"prefix without case", `{"prefix": "/a", "case_sensitive": false}`, request("GET", "/Ab"), true},
		{"prefix does not look at the query", `{"prefix": "/a?x"}`, request("GET", "/a?x"), false},
		{"path without its query", `{"path": "/a"}`, request("GET", "/a?x=1"), true},
		{"path is whole", `{"path": "/a"}`, request("GET", "/a/"), false},
		{"path without case", `{"path": "/aB", "case_sensitive": false}`, request("GET", "/Ab"), true},
		{"segment prefix itself", `{"path_separated_prefix": "/a"}`, request("GET", "/a?x"), true},
		{"segment prefix below", `{"path_separated_prefix": "/a"}`, request("GET", "/a/b"), true},
		{"segment prefix is not a string prefix", `{"path_separated_prefix": "/a"}`, request("GET", "/ab"), false},
		{"regex is whole", `{"safe_regex": {"regex": "/a|/b"}}`, request("GET", "/bx"), false},
		{"regex", `{"safe_regex": {"regex": "/[0-9]+"}}`, request("GET", "/12?q"), true},
		{"regex and newline", `{"safe_regex": {"regex": "/a"}}`, request("GET", "/a\n"), false},

		{"header exact", `{"prefix": "/", "headers": [{"name": "End-User", "string_match": {"exact": "jason"}}]}`, request("GET", "/", "end-user", "jason"), true},
		{"header values are not joined", `{"prefix": "/", "headers": [{"name": "x", "string_match": {"exact": "a,b"}}]}`, request("GET", "/", "x", "a", "y", "-", "x", "b"), false},
		{"one of several header values is enough", `{"prefix": "/", "headers": [{"name": "x", "string_match": {"exact": "b"}}]}`, request("GET", "/", "x", "a", "x", "b"), true},
		{"one of several header values, inverted", `{"prefix": "/", "headers": [{"name": "x", "string_match": {"exact": "b"}, "invert_match": true}]}`, request("GET", "/", "x", "a", "x", "b"), false},
		{"ignore case", `{"prefix": "/", "headers": [{"name": "x", "string_match": {"suffix": "CD", "ignore_case": true}}]}`, request("GET", "/", "x", "abcd"), true},
		{"contains ignore case", `{"prefix": "/", "headers": [{"name": "x", "string_match": {"contains": "bC", "ignore_case": true}}]}`, request("GET", "/", "x", "aBcd"), true},
		{"header regex", `{"prefix": "/", "headers": [{"name": "x", "string_match": {"safe_regex": {"regex": "a.c"}}}]}`, request("GET", "/", "x", "abcd"), false},
		{"missing header", `{"prefix": "/", "headers": [{"name": "x", "string_match": {"exact": ""}}]}`, request("GET", "/"), false},
		{"missing header, inverted", `{"prefix": "/", "headers": [{"name": "x", "string_match": {"exact": "a"}, "invert_match": true}]}`, request("GET", "/"), false},
		{"missing header as empty, inverted", `{"prefix": "/", "headers": [{"name": "x", "string_match": {"exact": "a"}, "invert_match": true, "treat_missing_header_as_empty": true}]}`, request("GET", "/"), true},
		{"present", `{"prefix": "/", "headers": [{"name": "x", "present_match": true}]}`, request("GET", "/", "x", ""), true},
		{"absent", `{"prefix": "/", "headers": [{"name": "x", "present_match": true, "invert_match": true}]}`, request("GET", "/"), true},
		{"absent by present_match false", `{"prefix": "/", "headers": [{"name": "x", "present_match": false}]}`, request("GET", "/", "x", "1"), false},
		{"no specifier is presence", `{"prefix": "/", "headers": [{"name": "x"}]}`, request("GET", "/", "x", "1"), true},
		{"range", `{"prefix": "/", "headers": [{"name": "x", "range_match": {"start": "-1", "end": "5"}}]}`, request("GET", "/", "x", "4"), true},
		{"range end is out", `{"prefix": "/", "headers": [{"name": "x", "range_match": {"start": "-1", "end": "5"}}]}`, request("GET", "/", "x", "5"), false},
		{"range of no number", `{"prefix": "/", "headers": [{"name": "x", "range_match": {"start": "-1", "end": "5"}}]}`, request("GET", "/", "x", "4x"), false},
		{"method", `{"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}`, request("POST", "/"), false},
		{"path header has the query", `{"prefix": "/", "headers": [{"name": ":path", "string_match": {"exact": "/a?b"}}]}`, request("GET", "/a?b"), true},
		{"authority", `{"prefix": "/", "headers": [{"name": ":authority", "string_match": {"exact": "svc:80"}}]}`, request("GET", "/"), true},
		{"host is the authority", `{"prefix": "/", "headers": [{"name": "host", "string_match": {"exact": "svc:80"}}]}`, request("GET", "/"), true},
		{"scheme", `{"prefix": "/", "headers": [{"name": ":scheme", "string_match": {"exact": "http"}}]}`, request("GET", "/"), true},

		{"query", `{"prefix": "/", "query_parameters": [{"name": "q", "string_match": {"exact": "1"}}]}`, request("GET", "/?a=b&q=1"), true},
		{"first query value counts", `{"prefix": "/", "query_parameters": [{"name": "q", "string_match": {"exact": "1"}}]}`, request("GET", "/?q=2&q=1"), false},
		{"query is not decoded", `{"prefix": "/", "query_parameters": [{"name": "q", "string_match": {"exact": "a b"}}]}`, request("GET", "/?q=a%20b"), false},
		{"query present", `{"prefix": "/", "query_parameters": [{"name": "q", "present_match": true}]}`, request("GET", "/?q"), true},
		{"query absent", `{"prefix": "/", "query_parameters": [{"name": "q", "present_match": false}]}`, request("GET", "/?qq=1"), true},
		{"query without specifier", `{"prefix": "/", "query_parameters": [{"name": "q"}]}`, request("GET", "/"), false},

		{"cookie", `{"prefix": "/", "cookies": [{"name": "u", "string_match": {"exact": "j"}}]}`, request("GET", "/", "cookie", "a=b; u=j"), true},
		{"quoted cookie", `{"prefix": "/", "cookies": [{"name": "u", "string_match": {"exact": "j"}}]}`, request("GET", "/", "cookie", `u="j"`), true},
		{"missing cookie", `{"prefix": "/", "cookies": [{"name": "u", "string_match": {"exact": "j"}}]}`, request("GET", "/", "cookie", "uu=j"), false},
		{"missing cookie, inverted", `{"prefix": "/", "cookies": [{"name": "u", "string_match": {"exact": "j"}, "invert_match": true}]}`, request("GET", "/"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := compileMatches(t, c.match).Route(c.req, 0) != nil; got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestFirstRouteThatMatchesIsTaken(t *testing.T) {
	table := compileMatches(t, `{"prefix": "/a"}`, `{"path": "/a"}`, `{"prefix": "/"}`)
	for target, want := range map[string]string{"/a": "0", "/b": "2"} {
		if got := table.Route(request("GET", target), 0); got.Name != want {
			t.Errorf("%s: got %s", target, got.Name)
		}
	}
}

func TestRuntimeFraction(t *testing.T) {
	table := compileMatches(t, `{"prefix": "/", "runtime_fraction": {"default_value": {"numerator": 25, "denominator": "HUNDRED"}}}`)
	taken := 0
	for i := range uint64(1000) {
		if table.Route(request("GET", "/"), i) != nil {
			taken++
		}
	}
	if taken != 250 {
		t.Errorf("%d of 1000 taken", taken)
	}
}

const full = `{"name": "r", "most_specific_header_mutations_wins": %v,
 "request_headers_to_add": [{"header": {"key": "x", "value": "global"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
 "typed_per_filter_config": {"f": {"@type": "type.googleapis.com/google.protobuf.Empty"}},
 "virtual_hosts": [{"name": "v", "domains": ["*"],
  "request_headers_to_add": [{"header": {"key": "x", "value": "vhost"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
  "routes": [{"name": "one", "match": {"prefix": "/"},
   "metadata": {"filter_metadata": {"meshc.dev": {"source": "a.cue:3"}}},
   "request_headers_to_add": [{"header": {"key": "X", "value": "100%%%%"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}, {"header": {"key": "empty"}}],
   "request_headers_to_remove": ["Gone"],
   "route": {"timeout": "3s", "idle_timeout": "7s",
    "retry_policy": {"retry_on": "5xx, connect-failure", "num_retries": 2, "per_try_timeout": "1s", "retriable_status_codes": [409],
     "retriable_request_headers": [{"name": ":method", "string_match": {"exact": "GET"}}], "retry_back_off": {"base_interval": "0.010s"}},
    "weighted_clusters": {"clusters": [{"name": "a", "weight": 1}, {"name": "b", "weight": 3, "request_headers_to_remove": ["y"]}]}}}]}]}`

func TestRouteIsDecodedWhole(t *testing.T) {
	table, err := Compile(config(t, fmt.Sprintf(full, false)), named)
	if err != nil {
		t.Fatal(err)
	}
	e := table.Route(request("GET", "/"), 0)
	if e.Name != "one" || e.Timeout != 3*time.Second || e.Idle != 7*time.Second || e.Total != 4 || e.Clusters[1].Request.Remove[0] != "y" {
		t.Errorf("entry %+v", e)
	}
	r := e.Retry
	if r.On != Retry5xx|RetryConnectFailure || r.Attempts != 2 || r.PerTry != time.Second || r.Statuses[0] != 409 ||
		r.BackoffBase != 10*time.Millisecond || r.BackoffMax != 100*time.Millisecond || !r.RequestMatches("GET") || r.RequestMatches("POST") {
		t.Errorf("retry %+v", r)
	}
	if e.Metadata["source"] != "a.cue:3" || e.PerFilter["f"] != "f" {
		t.Errorf("metadata %v, per filter %v", e.Metadata, e.PerFilter)
	}
	if got := fmt.Sprint(e.Request.Apply([]message.Field{{Name: "gone"}})); got != "[{x global false}]" {
		t.Errorf("least specific must win: %s", got)
	}
}

func TestMostSpecificMutationsWinWhenAsked(t *testing.T) {
	table, err := Compile(config(t, fmt.Sprintf(full, true)), named)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(table.Route(request("GET", "/"), 0).Request.Apply(nil)); got != "[{x 100% false}]" {
		t.Errorf("got %s", got)
	}
}

func TestDefaultsAreEnvoys(t *testing.T) {
	table, err := Compile(config(t, `{"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "c", "retry_policy": {"retry_on": "reset"}}}]}]}`), named)
	if err != nil {
		t.Fatal(err)
	}
	e := table.Route(request("GET", "/"), 0)
	if e.Timeout != 15*time.Second || e.Retry.Attempts != 1 || e.Retry.BackoffBase != 25*time.Millisecond || e.Retry.BackoffMax != 250*time.Millisecond {
		t.Errorf("entry %+v, retry %+v", e, e.Retry)
	}
}

func TestRefusals(t *testing.T) {
	for name, r := range map[string]string{
		"no action":               `{"match": {"prefix": "/"}}`,
		"no path":                 `{"match": {}, "route": {"cluster": "c"}}`,
		"bad regex":               `{"match": {"safe_regex": {"regex": "("}}, "route": {"cluster": "c"}}`,
		"regex that only groups":  `{"match": {"safe_regex": {"regex": "a)(b"}}, "route": {"cluster": "c"}}`,
		"ignore case on regex":    `{"match": {"prefix": "/", "headers": [{"name": "x", "string_match": {"safe_regex": {"regex": "a"}, "ignore_case": true}}]}, "route": {"cluster": "c"}}`,
		"present as empty":        `{"match": {"prefix": "/", "headers": [{"name": "x", "present_match": true, "treat_missing_header_as_empty": true}]}, "route": {"cluster": "c"}}`,
		"no weight":               `{"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [{"name": "a"}]}}}`,
		"weights of 0":            `{"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [{"name": "a", "weight": 0}]}}}`,
		"weights overflow":        `{"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [{"name": "a", "weight": 4294967295}, {"name": "b", "weight": 1}]}}}`,
		"retry on a typo":         `{"match": {"prefix": "/"}, "route": {"cluster": "c", "retry_policy": {"retry_on": "5xxx"}}}`,
		"retry on other headers":  `{"match": {"prefix": "/"}, "route": {"cluster": "c", "retry_policy": {"retriable_request_headers": [{"name": "x"}]}}}`,
		"backoff upside down":     `{"match": {"prefix": "/"}, "route": {"cluster": "c", "retry_policy": {"retry_back_off": {"base_interval": "1s", "max_interval": "0.5s"}}}}`,
		"command operator":        `{"match": {"prefix": "/"}, "route": {"cluster": "c"}, "request_headers_to_add": [{"header": {"key": "x", "value": "%REQ(y)%"}}]}`,
		"host":                    `{"match": {"prefix": "/"}, "route": {"cluster": "c"}, "request_headers_to_add": [{"header": {"key": "Host", "value": "y"}}]}`,
		"framing":                 `{"match": {"prefix": "/"}, "route": {"cluster": "c"}, "response_headers_to_remove": ["Transfer-Encoding"]}`,
		"line break":              `{"match": {"prefix": "/"}, "route": {"cluster": "c"}, "request_headers_to_add": [{"header": {"key": "x", "value": "a\r\nb: c"}}]}`,
		"conditional and another": `{"match": {"prefix": "/"}, "route": {"cluster": "c"}, "request_headers_to_add": [{"header": {"key": "x", "value": "a"}}, {"header": {"key": "X", "value": "b"}, "append_action": "ADD_IF_ABSENT"}]}`,
		"metadata":                `{"match": {"prefix": "/"}, "route": {"cluster": "c"}, "metadata": {"filter_metadata": {"envoy.lb": {}}}}`,
		"idle timeout off":        `{"match": {"prefix": "/"}, "route": {"cluster": "c", "idle_timeout": "0s"}}`,
		"per filter":              `{"match": {"prefix": "/"}, "route": {"cluster": "c"}, "typed_per_filter_config": {"f": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}}`,
		"long direct response":    `{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "` + strings.Repeat("x", 4097) + `"}}}`,
	} {
		rc := config(t, `{"virtual_hosts": [{"name": "vh", "domains": ["*"], "routes": [`+r+`]}]}`)
		_, err := Compile(rc, named)
		if err == nil || !strings.Contains(err.Error(), `"vh"`) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestDirectResponse(t *testing.T) {
	table, err := Compile(config(t, `{"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 418, "body": {"inline_string": "tea"}}}]}]}`), named)
	if err != nil {
		t.Fatal(err)
	}
	if e := table.Route(request("GET", "/"), 0); e.Direct.Status != 418 || e.Direct.Body != "tea" {
		t.Errorf("entry %+v", e)
	}
}

// everyKind has a condition of each kind, so that a request passes them all.
const everyKind = `{"safe_regex": {"regex": "/api/[a-z0-9]+"}, "runtime_fraction": {"default_value": {"numerator": 1000000, "denominator": "MILLION"}},
 "headers": [{"name": ":method", "string_match": {"exact": "GET"}}, {"name": "multi", "string_match": {"contains": "c"}}, {"name": "gone", "present_match": true, "invert_match": true}],
 "query_parameters": [{"name": "q", "string_match": {"prefix": "v"}}], "cookies": [{"name": "user", "string_match": {"exact": "jason"}}]}`

func everyKindRequest() *message.Request {
	req := request("GET", "/api/reviews1?x=1&q=value", "accept", "*/*", "multi", "a", "user-agent", "curl", "multi", "b", "multi", "c", "cookie", "a=b; user=jason")
	req.Authority = "Reviews.Example.com:9080"
	return req
}

func TestRouteDoesNotAllocate(t *testing.T) {
	table := compileMatches(t, everyKind)
	table.NormalizePath, table.RejectEscapedSlashes = true, true
	req := everyKindRequest()
	if table.Route(req, 1) == nil {
		t.Fatal("no route")
	}
	if n := testing.AllocsPerRun(1000, func() { table.Route(req, 1) }); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}

func BenchmarkRoute(b *testing.B) {
	for name, matches := range map[string][]string{
		"prefix":    {`{"prefix": "/"}`},
		"everyKind": {everyKind},
		"tenth": {`{"path": "/1"}`, `{"path": "/2"}`, `{"path": "/3"}`, `{"path": "/4"}`, `{"path": "/5"}`, `{"path": "/6"}`,
			`{"path": "/7"}`, `{"path": "/8"}`, `{"prefix": "/x", "headers": [{"name": "end-user", "string_match": {"exact": "jason"}}]}`, `{"prefix": "/"}`},
	} {
		b.Run(name, func(b *testing.B) {
			table, req := compileMatches(b, matches...), everyKindRequest()
			b.ReportAllocs()
			for b.Loop() {
				table.Route(req, 1)
			}
		})
	}
}
