package xds_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/stock"
)

// request is one try at a match: a target with headers, and whether it matches.
type request struct {
	target string
	header string // "name: value", or "" for none
	want   bool
}

// asked is the request as the model sees it.
func (r request) asked() *answer.Request {
	out := &answer.Request{Method: "GET", Host: "127.0.0.1", Target: r.target}
	if name, value, ok := strings.Cut(r.header, ": "); ok {
		out.Headers = []model.Header{{Name: name, Value: value}}
		if name == "host" {
			out.Host, _, _ = strings.Cut(value, ":")
		}
	}
	return out
}

func header(kind model.MatchKind, value string, not bool) model.Match {
	return model.Match{Headers: []model.NamedMatch{{Name: "x-h", Kind: kind, Value: value, Not: not}}}
}

func query(kind model.MatchKind, value string) model.Match {
	return model.Match{Query: []model.NamedMatch{{Name: "q", Kind: kind, Value: value}}}
}

func cookie(kind model.MatchKind, value string) model.Match {
	return model.Match{Cookies: []model.NamedMatch{{Name: "c", Kind: kind, Value: value}}}
}

func notQuery(kind model.MatchKind, value string) model.Match {
	return model.Match{Query: []model.NamedMatch{{Name: "q", Kind: kind, Value: value, Not: true}}}
}

func notCookie(kind model.MatchKind, value string) model.Match {
	return model.Match{Cookies: []model.NamedMatch{{Name: "c", Kind: kind, Value: value, Not: true}}}
}

func named(name string, kind model.MatchKind, value string, not bool) model.Match {
	return model.Match{Headers: []model.NamedMatch{{Name: name, Kind: kind, Value: value, Not: not}}}
}

func paths(list ...model.PathMatch) model.Match { return model.Match{Paths: list} }

func path(kind model.MatchKind, value string) model.PathMatch {
	return model.PathMatch{Kind: kind, Value: value}
}

// meanings holds what each condition of the model means. Envoy is the judge.
var meanings = []struct {
	match model.Match
	tries []request
}{
	{paths(path(model.Exact, "/a")), []request{{"/a", "", true}, {"/a?x=1", "", true}, {"/a/", "", false}, {"/A", "", false}}},
	{paths(path(model.Prefix, "/a")), []request{{"/a", "", true}, {"/ab?x", "", true}, {"/b", "", false}}},
	{paths(path(model.SegmentPrefix, "/a")), []request{{"/a", "", true}, {"/a/b?x", "", true}, {"/a?x", "", true}, {"/ab", "", false}}},
	{paths(path(model.SegmentPrefix, "/")), []request{{"/", "", true}, {"/b", "", true}}},
	{paths(path(model.Regex, "/a.*b")), []request{{"/a-b", "", true}, {"/axb?y", "", true}, {"/a?b", "", false}, {"/a-bc", "", false}}},
	{paths(path(model.Regex, "/a.*b"), path(model.Regex, "/.*x.*")), []request{{"/axb", "", true}, {"/axb?q", "", true}, {"/a-b?x", "", false}, {"/xb", "", false}}},
	{paths(path(model.Prefix, "/a"), path(model.Regex, "/.*b")), []request{{"/ab", "", true}, {"/ab?c", "", true}, {"/b", "", false}, {"/a?b", "", false}}},
	{paths(path(model.SegmentPrefix, "/a"), path(model.Exact, "/a/b")), []request{{"/a/b", "", true}, {"/a/b?c", "", true}, {"/a", "", false}}},
	{header(model.Exact, "v", false), []request{{"/", "x-h: v", true}, {"/", "x-h: w", false}, {"/", "", false}}},
	{header(model.Exact, "v", true), []request{{"/", "x-h: v", false}, {"/", "x-h: w", true}, {"/", "", true}}},
	{header(model.Exact, "", true), []request{{"/", "x-h: w", true}, {"/", "", true}}},
	{header(model.Regex, ".*", true), []request{{"/", "x-h: w", false}, {"/", "", true}}},
	{header(model.Prefix, "v", false), []request{{"/", "x-h: vw", true}, {"/", "x-h: wv", false}}},
	{header(model.Suffix, "v", false), []request{{"/", "x-h: wv", true}, {"/", "x-h: vw", false}}},
	{header(model.Contains, "v", false), []request{{"/", "x-h: wvw", true}, {"/", "x-h: w", false}}},
	{header(model.Contains, "v", true), []request{{"/", "x-h: wvw", false}, {"/", "x-h: w", true}, {"/", "", true}}},
	{header(model.Regex, "[0-9]+", false), []request{{"/", "x-h: 12", true}, {"/", "x-h: 12a", false}}},
	{header(model.Present, "", false), []request{{"/", "x-h: v", true}, {"/", "", false}}},
	{header(model.Absent, "", false), []request{{"/", "x-h: v", false}, {"/", "", true}}},
	{query(model.Exact, "v"), []request{{"/?q=v", "", true}, {"/?q=w", "", false}, {"/", "", false}}},
	{query(model.Prefix, "v"), []request{{"/?a=1&q=vw", "", true}, {"/?q=wv", "", false}}},
	{query(model.Present, ""), []request{{"/?q=", "", true}, {"/?r=1", "", false}}},
	{query(model.Absent, ""), []request{{"/?q=1", "", false}, {"/?r=1", "", true}, {"/", "", true}}},
	{cookie(model.Exact, "v"), []request{{"/", "cookie: a=1; c=v", true}, {"/", "cookie: c=w", false}, {"/", "", false}}},
	{cookie(model.Suffix, "v"), []request{{"/", "cookie: c=wv", true}, {"/", "cookie: d=wv", false}}},
	{cookie(model.Present, ""), []request{{"/", "cookie: c=1", true}, {"/", "cookie: d=1", false}}},
	{cookie(model.Absent, ""), []request{{"/", "cookie: c=1", false}, {"/", "cookie: d=1", true}, {"/", "", true}}},
	{paths(model.PathMatch{Kind: model.Exact, Value: "/a", Not: true}), []request{{"/a", "", false}, {"/a?x", "", false}, {"/b", "", true}, {"/A", "", true}}},
	{paths(model.PathMatch{Kind: model.SegmentPrefix, Value: "/a", Not: true, IgnoreCase: true}, path(model.Prefix, "/")), []request{{"/a/b", "", false}, {"/A?x", "", false}, {"/ab", "", true}}},
	{paths(model.PathMatch{Kind: model.Regex, Value: "/a.*b", Not: true}), []request{{"/a-b?c", "", false}, {"/a?b", "", true}}},
	{paths(model.PathMatch{Kind: model.Exact, Value: "/aB", IgnoreCase: true}), []request{{"/Ab?x", "", true}, {"/ab/", "", false}}},
	{paths(model.PathMatch{Kind: model.Prefix, Value: "/aB", IgnoreCase: true}), []request{{"/Abc", "", true}, {"/a", "", false}}},
	{paths(model.PathMatch{Kind: model.SegmentPrefix, Value: "/aB", IgnoreCase: true}), []request{{"/Ab/c", "", true}, {"/ABc", "", false}}},
	{paths(model.PathMatch{Kind: model.Prefix, Value: "/A", IgnoreCase: true}, path(model.Regex, "/.*z")), []request{{"/az", "", true}, {"/Az?", "", true}, {"/bz", "", false}}},
	{header(model.Range, "[-5,10)", false), []request{{"/", "x-h: -5", true}, {"/", "x-h: 09", true}, {"/", "x-h: 10", false}, {"/", "x-h: a", false}, {"/", "", false}}},
	{header(model.Range, "[-5,10)", true), []request{{"/", "x-h: 5", false}, {"/", "x-h: 10", true}, {"/", "", true}}},
	{notQuery(model.Exact, "v"), []request{{"/?q=v", "", false}, {"/?a=1&q=v&q=w", "", false}, {"/?q=w&q=v", "", true}, {"/", "", true}, {"/?qq=v", "", true}, {"/q=v", "", true}}},
	{notQuery(model.Exact, ""), []request{{"/?q", "", false}, {"/?q=", "", false}, {"/?q=1", "", true}, {"/?", "", true}}},
	{notQuery(model.Regex, "a|.b"), []request{{"/?q=a", "", false}, {"/?x&q=xb", "", false}, {"/?q=ab&b", "", false}, {"/?q=b", "", true}}},
	{notCookie(model.Exact, "v"), []request{{"/", "cookie: c=v", false}, {"/", "cookie: c=w", true}, {"/", "", true}}},
	{named(model.HostHeader, model.Exact, "a.test", false), []request{{"/", "host: a.test", true}, {"/", "host: A.test:8080", true}, {"/", "host: b.a.test", false}}},
	{named(model.HostHeader, model.Suffix, ".test", true), []request{{"/", "host: a.test:80", false}, {"/", "host: a.tested", true}}},
	{named(model.SchemeHeader, model.Exact, "http", false), []request{{"/", "", true}, {"/", "x-forwarded-proto: https", false}, {"/", "x-forwarded-proto: ftp", true}}},
	{named(model.SchemeHeader, model.Exact, "https", true), []request{{"/", "", true}, {"/", "x-forwarded-proto: https", false}}},
	{model.Match{NotMethods: []string{"GET"}}, []request{{"/", "", false}}},
	{model.Match{NotMethods: []string{"POST", "PUT"}}, []request{{"/", "", true}}},
	{model.Match{Methods: []string{"GET"}}, []request{{"/", "", true}}},
	{model.Match{Methods: []string{"POST", "PUT"}}, []request{{"/", "", false}}},
	{model.Match{Methods: []string{"GET", "PUT"}}, []request{{"/", "", true}}},
}

// oracleMesh has one plaintext service per meaning, whose only route is the
// match. Its name makes its address on this machine.
func oracleMesh(upstream string) (*model.Mesh, []*model.Workload, *model.Workload) {
	m := &model.Mesh{TrustDomain: domain}
	caller := newService(fmt.Sprintf("a%08x", rand.Uint32()), "v1")
	m.Services = append(m.Services, caller)
	for i, c := range meanings {
		s := newService(fmt.Sprintf("t%03d", i), "v1")
		s.MTLS = model.MTLSDisable
		s.Routes[0].Match = []model.Match{c.match}
		s.Routes[0].RequestHeaders.Set = []model.Header{{Name: "x-literal", Value: "100% %REQ(:path)%"}}
		m.Services = append(m.Services, s)
		caller.Uses = append(caller.Uses, s.Ref)
	}
	caller.MTLS = model.MTLSDisable
	all := xds.DefaultWorkloads(m)
	var self *model.Workload
	for _, w := range all {
		if w.Service == caller.Ref {
			self = w
			continue
		}
		w.Inbound[9080] = upstream
	}
	return m, all, self
}

// TestEnvoyAgreesOnMeaning sends real requests through Envoy.
func TestEnvoyAgreesOnMeaning(t *testing.T) {
	envoy := stock.Envoy(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("x-literal"))
	}))
	defer upstream.Close()
	m, all, self := oracleMesh(strings.TrimPrefix(upstream.URL, "http://"))
	runEnvoy(t, envoy, m, self, all)
	for i, c := range meanings {
		at := self.Outbound[model.OutboundKey(shop(fmt.Sprintf("t%03d", i)), 9080)]
		waitFor(t, at)
		for _, r := range c.tries {
			status, body := get(t, at, r)
			if want := map[bool]int{true: 200, false: 404}[r.want]; status != want {
				t.Errorf("%+v on %s %q: status %d, want %d", c.match, r.target, r.header, status, want)
			}
			// "/" as segment prefix is refused before it could be asked.
			if got := answer.Accepts(&c.match, r.asked()); got != r.want && !strings.HasSuffix(fmt.Sprint(c.match.Paths), `segmentPrefix "/"]`) {
				t.Errorf("%+v on %s %q: the model says %v", c.match, r.target, r.header, got)
			}
			if status == 200 && body != "100% %REQ(:path)%" {
				t.Errorf("a header value came out as %q", body)
			}
		}
	}
}

func runEnvoy(t *testing.T, envoy string, m *model.Mesh, self *model.Workload, all []*model.Workload) {
	t.Helper()
	boot, err := xds.StaticBootstrap(m, self, all, xds.BootstrapOptions{AgentSocket: filepath.Join(t.TempDir(), "agent"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	config, err := xds.JSON(boot)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bootstrap.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(envoy, "-c", file, "--use-dynamic-base-id", "--concurrency", "1", "-l", "warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("envoy:\n%.4000s", log.Bytes())
		}
	})
}

// waitFor returns when something listens at addr.
func waitFor(t *testing.T, addr string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		<-tick.C
	}
	t.Fatalf("nothing listens at %s", addr)
}

func get(t *testing.T, addr string, r request) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+r.target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if name, value, ok := strings.Cut(r.header, ": "); ok {
		req.Header.Set(name, value)
		if name == "host" {
			req.Host = value
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
