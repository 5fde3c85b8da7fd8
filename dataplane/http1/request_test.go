package http1

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/dataplane/message"
)

// parse runs a head through HeadEnd and ParseRequest as a connection does.
func parse(raw string) (*Request, error) {
	buf := []byte(raw)
	end, _, err := HeadEnd(buf, 0, DefaultLimits.HeadBytes)
	if err != nil {
		return nil, err
	}
	if end == 0 {
		return nil, nil
	}
	r := &Request{}
	return r, ParseRequest(buf[:end], "http", &DefaultLimits, r)
}

func TestParseRequestReadsAWholeHead(t *testing.T) {
	r, err := parse("\r\nPOST /a?b=c HTTP/1.1\r\nHost: Example.com:80\r\nContent-Length: 12\r\nX-A:  1 \t\r\nCookie: a=b\r\n" +
		"Connection: keep-alive, X-Gone, cookie\r\nX-Gone: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nExpect: 100-Continue\r\n\r\nrest")
	if err != nil {
		t.Fatal(err)
	}
	want := message.Request{
		Method: "POST", Scheme: "http", Authority: "Example.com:80", Target: "/a?b=c",
		Fields: []message.Field{{Name: "x-a", Value: "1"}, {Name: "cookie", Value: "a=b"}},
	}
	if d := cmp.Diff(want, r.Request); d != "" {
		t.Error(d)
	}
	if r.Framing != Length || r.Length != 12 || r.Close || !r.Continue || r.Minor != 1 {
		t.Errorf("framing %v length %d close %v continue %v minor %d", r.Framing, r.Length, r.Close, r.Continue, r.Minor)
	}
}

func TestParseRequestPersistence(t *testing.T) {
	for head, wantClose := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                       false,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n":               true,
		"GET / HTTP/1.0\r\nHost: a\r\n\r\n":                                       true,
		"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n":             false,
		"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nx: close\r\n\r\n": false,
	} {
		r, err := parse(head)
		if err != nil || r.Close != wantClose {
			t.Errorf("%q: close %v, %v; want %v", head, r.Close, err, wantClose)
		}
	}
}

func TestParseRequestForms(t *testing.T) {
	for _, c := range []struct{ line, host, target string }{
		{"GET http://a.b/x HTTP/1.1", "a.b", "/x"},
		{"GET HTTP://A.b HTTP/1.1", "a.B", "/"},
		{"OPTIONS * HTTP/1.1", "a", "*"},
		{"OPTIONS http://a HTTP/1.1", "a", "*"},
		{"GET /a..b/..c/.d/e.?q=/../ HTTP/1.1", "[::1]:80", "/a..b/..c/.d/e.?q=/../"},
		{"PURGE //x/%2e%2Fa HTTP/1.1", "a-b_c.d", ""},
		{"GET /%41%zz%2 HTTP/1.1", "a", "/%41%zz%2"},
		{`GET /a?b\c\..\ HTTP/1.1`, "a", `/a?b\c\..\`},
	} {
		r, err := parse(c.line + "\r\nHost: " + c.host + "\r\n\r\n")
		if c.target == "" {
			if err == nil {
				t.Errorf("%s: accepted as %q", c.line, r.Target)
			}
			continue
		}
		if err != nil || r.Target != c.target {
			t.Errorf("%s: %v, target %q, want %q", c.line, err, r.Target, c.target)
		}
	}
}

// Every head here is read differently by some implementation, or is how one was
// attacked. The detail is asserted, so that a case cannot pass for another's reason.
var refused = map[string]string{
	"GET / HTTP/1.1\nHost: a\n\n":                                                                     "line_feed_without_carriage_return",
	"GET / HTTP/1.1\r\nHost: a\n\r\n":                                                                 "line_feed_without_carriage_return",
	"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n":                                                         "carriage_return_in_line",
	"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n":                                                 "obsolete_line_folding",
	"GET / HTTP/1.1\r\nHost: a\r\n\tX: b\r\n\r\n":                                                     "obsolete_line_folding",
	"GET / HTTP/1.1\r\n Host: a\r\n\r\n":                                                              "obsolete_line_folding",
	"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n":                                                    "invalid_header_value",
	"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[31m\r\n\r\n":                                                "invalid_header_value",
	"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n":                                                    "invalid_header_value",
	"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n":                                                      "invalid_header_name",
	"GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\nx":                                        "invalid_header_name",
	"GET / HTTP/1.1\r\nHost: a\r\nContent-Length\x0b: 1\r\n\r\nx":                                     "invalid_header_name",
	"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n":                                                          "invalid_header_name",
	"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n":                                                        "invalid_header_name",
	"GET / HTTP/1.1\r\nHost: a\r\nX(y): x\r\n\r\n":                                                    "invalid_header_name",
	"GET / HTTP/1.1\r\nHost: a\r\nX\x80: x\r\n\r\n":                                                   "invalid_header_name",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx":                   "duplicate_content_length",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx":                   "duplicate_content_length",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx":                                     "invalid_content_length",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx":                                       "invalid_content_length",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx":                                       "invalid_content_length",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx":                                      "invalid_content_length",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\nx":                                      "invalid_content_length",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nx":                                         "invalid_content_length",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\nx":                     "invalid_content_length",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nx":                                      "invalid_content_length",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n":           "content_length_and_transfer_encoding",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n":           "content_length_and_transfer_encoding",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n":                          "transfer_encoding_not_supported",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n":                      "transfer_encoding_not_supported",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n":                               "transfer_encoding_not_supported",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n":                               "transfer_encoding_not_supported",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n":                                        "transfer_encoding_not_supported",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n":                            "transfer_encoding_not_supported",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n":                            "transfer_encoding_not_supported",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n":                            "invalid_header_value",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n":  "transfer_encoding_not_supported",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n": "transfer_encoding_not_supported",
	"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n":                                "transfer_encoding_not_supported",
	"GET / HTTP/1.1\r\n\r\n":                                                                          "missing_host",
	"GET / HTTP/1.0\r\n\r\n":                                                                          "missing_host",
	"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":                                                    "duplicate_host",
	"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n":                                                    "duplicate_host",
	"GET / HTTP/1.1\r\nHost:\r\n\r\n":                                                                 "invalid_host",
	"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n":                                                             "invalid_host",
	"GET / HTTP/1.1\r\nHost: a b\r\n\r\n":                                                             "invalid_host",
	"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n":                                                             "invalid_host",
	"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n":                                                             "invalid_host",
	"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n":                                                             "invalid_host",
	"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n":                                                         "invalid_host",
	"GET / HTTP/1.1\r\nHost: a:\r\n\r\n":                                                              "invalid_host",
	"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n":                                                            "invalid_host",
	"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n":                                                          "invalid_host",
	"GET / HTTP/1.1\r\nHost: a%00\r\n\r\n":                                                            "invalid_host",
	"get / HTTP/1.1\r\nHost: a\r\n\r\n":                                                               "invalid_method",
	"G\x00T / HTTP/1.1\r\nHost: a\r\n\r\n":                                                            "invalid_method",
	"G:T / HTTP/1.1\r\nHost: a\r\n\r\n":                                                               "invalid_method",
	" GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                                              "invalid_request_line",
	"GET  / HTTP/1.1\r\nHost: a\r\n\r\n":                                                              "invalid_request_line",
	"GET / HTTP/1.1 \r\nHost: a\r\n\r\n":                                                              "invalid_request_line",
	"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n":                                                              "invalid_method",
	"GET /\r\nHost: a\r\n\r\n":                                                                        "invalid_request_line",
	"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n":                                                            "invalid_request_line",
	"GET / HTTP/2.0\r\nHost: a\r\n\r\n":                                                               "http_version_not_supported",
	"GET / HTTP/1.2\r\nHost: a\r\n\r\n":                                                               "http_version_not_supported",
	"GET / http/1.1\r\nHost: a\r\n\r\n":                                                               "invalid_request_line",
	"GET / HTTP/1.1x\r\nHost: a\r\n\r\n":                                                              "invalid_request_line",
	"GET / HTTP/11\r\nHost: a\r\n\r\n":                                                                "invalid_request_line",
	"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n":                                                             "invalid_request_target",
	"GET a HTTP/1.1\r\nHost: a\r\n\r\n":                                                               "invalid_request_target",
	"GET * HTTP/1.1\r\nHost: a\r\n\r\n":                                                               "invalid_request_target",
	"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n":                                                              "invalid_request_target",
	"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n":                                                           "invalid_request_target",
	"GET /\\ HTTP/1.1\r\nHost: a\r\n\r\n":                                                             "ambiguous_path",
	"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n":                                                       "absolute_form_does_not_match_host",
	"GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n":                                                    "absolute_form_does_not_match_host",
	"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n":                                                     "absolute_form_does_not_match_host",
	"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n":                                                      "invalid_request_target",
	"GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n":                                                      "invalid_request_target",
	"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n":                                                         "ambiguous_path",
	"GET /a/./b HTTP/1.1\r\nHost: a\r\n\r\n":                                                          "ambiguous_path",
	"GET /.. HTTP/1.1\r\nHost: a\r\n\r\n":                                                             "ambiguous_path",
	"GET /a/%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n":                                                     "ambiguous_path",
	"GET /a/..%2fb HTTP/1.1\r\nHost: a\r\n\r\n":                                                       "ambiguous_path",
	"GET /a/..;x/b HTTP/1.1\r\nHost: a\r\n\r\n":                                                       "ambiguous_path",
	"GET /a%5cb HTTP/1.1\r\nHost: a\r\n\r\n":                                                          "ambiguous_path",
	"GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n":                                                           "ambiguous_path",
	"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n":                                                       "connect_not_supported",
	"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n":                                                             "trace_not_allowed",
	"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n":                                             "expectation_failed",
	"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n":                                                       "invalid_request_line",
	"\x16\x03\x01\x00\r\n\r\n":                                                                        "invalid_request_line",
}

func TestParseRequestRefuses(t *testing.T) {
	if len(refused) < 60 {
		t.Fatalf("only %d cases", len(refused))
	}
	for raw, want := range refused {
		r, err := parse(raw)
		if err == nil {
			t.Errorf("%q: accepted as %+v", raw, r)
		} else if got := err.(*Error).Detail; got != want {
			t.Errorf("%q: refused for %s, want %s", raw, got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		head   string
		status int
	}{
		"61 KiB of head":           {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 61<<10) + "\r\n\r\n", 431},
		"61 KiB without an end":    {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 61<<10), 431},
		"101 fields":               {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("x: y\r\n", 100) + "\r\n", 431},
		"100 fields":               {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("x: y\r\n", 99) + "\r\n", 0},
		"101 fields that all fall": {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("te: y\r\n", 100) + "\r\n", 431},
		"a target of 33 KiB":       {"GET /" + strings.Repeat("x", 33<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
	} {
		_, err := parse(c.head)
		if c.status == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if err == nil || err.(*Error).Status != c.status {
			t.Errorf("%s: %v, want status %d", name, err, c.status)
		}
	}
}

func TestConnectionCannotNameWhatCarriesTrust(t *testing.T) {
	r, err := parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For, x-request-id, cookie, x-other, host\r\n" +
		"X-Forwarded-For: 1\r\nX-Request-Id: 2\r\nCookie: 3\r\nX-Other: 4\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range r.Fields {
		names = append(names, f.Name)
	}
	if d := cmp.Diff([]string{"x-forwarded-for", "x-request-id", "cookie"}, names); d != "" || r.Authority != "a" {
		t.Error(d, r.Authority)
	}
}

func TestHeadEndFindsTheEndHoweverTheBytesCome(t *testing.T) {
	head := "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
	for step := 1; step <= len(head); step++ {
		from, end := 0, 0
		for n := step; end == 0; n += step {
			var err error
			if end, from, err = HeadEnd([]byte(head[:min(n, len(head))]), from, 1<<16); err != nil {
				t.Fatal(err)
			}
		}
		if end != len(head) {
			t.Fatalf("in steps of %d: end %d, want %d", step, end, len(head))
		}
	}
}
