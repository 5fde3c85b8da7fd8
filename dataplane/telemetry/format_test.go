package telemetry

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
)

func sample() *Record {
	return &Record{
		Start: time.Date(2026, 11, 1, 2, 3, 4, 567_000_000, time.FixedZone("x", 3600)), Duration: 12345 * time.Microsecond,
		Request: &message.Request{Method: "GET", Scheme: "http", Authority: "a.b", Target: "/x?y", Fields: []message.Field{
			{Name: "user-agent", Value: "ua"}, {Name: "x-evil", Value: "a\r\n{\"b\":1}\x1b[31m\xff\u2028\u0085é\\"}}},
		Response: &message.Response{Status: 503, Fields: []message.Field{{Name: "server", Value: "s"}}}, Status: 503,
		Flags: "UF", Details: "d", BytesReceived: 1, BytesSent: 2, Protocol: message.HTTP11,
		Peer:            &filter.Peer{SPIFFEID: "spiffe://t/ns/n/sa/s", Remote: "[::1]:5", Local: "1.2.3.4:80"},
		Route:           &route.Entry{Name: "r", Metadata: map[string]string{"commit": "abc"}},
		UpstreamCluster: "c", UpstreamHost: "9.9.9.9:9", Audited: "audit-0007",
	}
}

func TestTextOperators(t *testing.T) {
	for format, want := range map[string]string{
		"plain 100%%": "plain 100%", "%START_TIME%": "2026-11-01T01:03:04.567Z", "%DURATION%": "12",
		"%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)% %REQ(Host)%":           "GET /x?y a.b a.b",
		"%REQ(X-NONE?USER-AGENT)% %REQ(X-NONE)% %REQ(:PATH):2%":               "ua - /x",
		"%RESP(SERVER)% %RESP(X)% %RESP(:STATUS)%":                            "s - 503",
		"%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%":            "503 UF d",
		"%BYTES_RECEIVED%/%BYTES_SENT% %PROTOCOL% %ROUTE_NAME%":               "1/2 HTTP/1.1 r",
		"%UPSTREAM_CLUSTER% %UPSTREAM_HOST%":                                  "c 9.9.9.9:9",
		"%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_REMOTE_ADDRESS%":               "spiffe://t/ns/n/sa/s [::1]:5",
		"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_ADDRESS%": "::1 1.2.3.4:80",
		"%METADATA(ROUTE:meshc.dev:commit)% %METADATA(ROUTE:meshc.dev:x)%":    "abc -",
		"%DYNAMIC_METADATA(envoy.filters.http.rbac:audit_shadow_effective_policy_id):7% %DYNAMIC_METADATA(envoy.filters.network.rbac:audit_shadow_effective_policy_id)%": "audit-0 -",
	} {
		f, err := CompileText(format)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		if got := string(f.Append(nil, sample())); got != want {
			t.Errorf("%s gives %q, want %q", format, got, want)
		}
	}
}

func TestUnknownOperatorsAreErrorsThatNameThem(t *testing.T) {
	for format, part := range map[string]string{
		"%NONSENSE%": "%NONSENSE%", "%REQ()%": "%REQ()%", "%REQ(x%": "closing parenthesis", "%DURATION": "closing %",
		"%REQ(x):y%": `":y"`, "%REQ(x)y%": `"y"`, "%START_TIME(%s)%": "START_TIME", "%METADATA(CLUSTER:a:b)%": "METADATA", "%DYNAMIC_METADATA(a:b)%": "DYNAMIC_METADATA", "%REQ(x):0%": `":0"`,
		"%RESPONSE_CODE(1)%": "RESPONSE_CODE",
	} {
		if _, err := CompileText(format); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %v, want one with %q", format, err, part)
		}
		if _, err := CompileJSON(map[string]string{"key": format}); err == nil || !strings.Contains(err.Error(), `"key"`) {
			t.Errorf("%s: error %v does not name the key", format, err)
		}
	}
}

func TestJSONKeepsTypes(t *testing.T) {
	f, err := CompileJSON(map[string]string{"n": "%RESPONSE_CODE%", "s": "%ROUTE_NAME%", "none": "%RESP(X)%", "mix": "a\"%DURATION%\n", "evil": "%REQ(X-EVIL)%", "lit": "x"})
	if err != nil {
		t.Fatal(err)
	}
	line := f.Append(nil, sample())
	var got map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if got["n"] != 503.0 || got["s"] != "r" || got["none"] != nil || got["mix"] != "a\"12\n" || got["lit"] != "x" {
		t.Errorf("%s", line)
	}
	if !strings.HasPrefix(got["evil"].(string), "a\r\n{\"b\":1}\x1b[31m") {
		t.Errorf("evil came back as %q", got["evil"])
	}
	if strings.Count(string(line), "\n") != 1 {
		t.Errorf("more than one line: %q", line)
	}
}

func TestCompileChoosesTheFormat(t *testing.T) {
	f, err := Compile(snapshot.AccessLog{})
	if err != nil {
		t.Fatal(err)
	}
	want := `[2026-11-01T01:03:04.567Z] "GET /x?y HTTP/1.1" 503 UF 1 2 12 - "-" "ua" "-" "a.b" "9.9.9.9:9"` + "\n"
	if got := string(f.Append(nil, sample())); got != want {
		t.Errorf("default gives %q, want %q", got, want)
	}
	if f, err = Compile(snapshot.AccessLog{JSONFormat: map[string]string{}}); err != nil || f.json {
		t.Errorf("empty JSON format: %v", err)
	}
}

// A request that could not be parsed still makes a record.
func TestRecordOfNoRequest(t *testing.T) {
	f, _ := CompileText(DefaultText)
	r := &Record{Request: &message.Request{}, Response: &message.Response{}, Peer: &filter.Peer{}}
	if got := string(f.Append(nil, r)); !strings.Contains(got, `"- - -" 0 -`) {
		t.Errorf("%q", got)
	}
}

// Whatever a peer sends, one record is one line of valid UTF-8, in text and JSON.
func FuzzFormat(f *testing.F) {
	f.Add("a\r\nb", "/x\x1b[0m")
	f.Add("\xff\xc2\x85\u2029\"", "\\")
	text, _ := CompileText(`"%REQ(A)%" %REQ(:PATH)%` + "\n")
	js, _ := CompileJSON(map[string]string{"a": "%REQ(A)%", "p": "x%REQ(:PATH)%"})
	f.Fuzz(func(t *testing.T, a, p string) {
		r := sample()
		r.Request.Fields = []message.Field{{Name: "a", Value: a}}
		r.Request.Target = p
		for _, format := range []*Format{text, js} {
			out := string(format.Append(nil, r))
			if strings.Count(out, "\n") != 1 || !utf8.ValidString(out) {
				t.Fatalf("%q", out)
			}
			for _, c := range out[:len(out)-1] {
				if c < 0x20 || c == 0x7f || c >= 0x80 && c < 0xa0 || c == 0x2028 || c == 0x2029 {
					t.Fatalf("%q holds %U", out, c)
				}
			}
		}
		var v map[string]any
		if err := json.Unmarshal(js.Append(nil, r), &v); err != nil {
			t.Fatal(err)
		}
		if utf8.ValidString(p) && v["p"] != "x"+p {
			t.Fatalf("%q came back as %q", p, v["p"])
		}
	})
}
