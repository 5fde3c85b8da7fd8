package engine

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// asker asks a service about each request that says what, and tells the
// application what came back.
type asker struct {
	to   *filter.Service
	hold int
}

func (a *asker) Name() string { return "asker" }

func (a *asker) OnRequest(s *filter.Stream) filter.Verdict {
	if _, asks := message.Get(s.Request.Fields, "x-say"); !asks {
		return filter.Verdict{}
	}
	return filter.Verdict{Ask: a}
}

func (a *asker) Service() *filter.Service { return a.to }
func (a *asker) Holds() int               { return a.hold }

func (a *asker) Message(s *filter.Stream, body []byte) ([]byte, error) {
	say, _ := message.Get(s.Request.Fields, "x-say")
	return proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
		Http: &authv3.AttributeContext_HttpRequest{Method: say, RawBody: body},
	}}})
}

func (a *asker) Judge(s *filter.Stream, got *filter.Answer) filter.Verdict {
	var r authv3.CheckResponse
	switch {
	case got.Code < 0:
		return filter.Verdict{Status: 500, Body: "no answer"}
	case got.Code > 0:
		return filter.Verdict{Status: 403, Body: codes.Code(got.Code).String()}
	case proto.Unmarshal(got.Message, &r) != nil:
		return filter.Verdict{Status: 500, Body: "malformed"}
	}
	s.Request.Fields = append(s.Request.Fields, message.Field{Name: "x-told", Value: r.GetDeniedResponse().GetBody()})
	return filter.Verdict{}
}

// oracle is the service. What it is told to wait for it waits for until the caller
// has gone, or it is let go.
type oracle struct {
	authv3.UnimplementedAuthorizationServer
	waiting atomic.Int64
	left    atomic.Int64
	letGo   chan struct{}
}

func (o *oracle) Check(ctx context.Context, q *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	http := q.Attributes.Request.Http
	answer := string(http.RawBody)
	switch http.Method {
	case "no":
		return nil, status.Error(codes.PermissionDenied, "no")
	case "much":
		answer = strings.Repeat("x", maxAnswer)
	case "wait":
		o.waiting.Add(1)
		select {
		case <-ctx.Done():
			o.left.Add(1)
			return nil, ctx.Err()
		case <-o.letGo:
		}
	}
	return &authv3.CheckResponse{HttpResponse: &authv3.CheckResponse_DeniedResponse{
		DeniedResponse: &authv3.DeniedHttpResponse{Body: answer},
	}}, nil
}

const oracleCluster = "outbound|90|v1|oracle"

// askingMesh has an asker before an application that says what it got.
func askingMesh(t *testing.T, hold int, limit time.Duration) (*mesh, *oracle) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o, s := &oracle{letGo: make(chan struct{})}, grpc.NewServer(grpc.MaxSendMsgSize(2*maxAnswer))
	authv3.RegisterAuthorizationServer(s, o)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	m := newMesh(backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Header.Get("x-told")+"|"+string(body))
	}))
	m.withOracle(l.Addr().String(), hold, limit)
	return m, o
}

func (m *mesh) withOracle(at string, hold int, limit time.Duration) {
	m.config.Clusters[oracleCluster] = &snapshot.Cluster{
		Name: oracleCluster, Digest: "1", Protocol: snapshot.UpstreamHTTP2,
		Endpoints: []snapshot.Endpoint{{Addr: netip.MustParseAddrPort(at), Weight: 1, Healthy: true}},
	}
	m.chain.HTTP.Filters = []filter.HTTP{&asker{hold: hold, to: &filter.Service{
		Route:     &route.Entry{Clusters: []route.WeightedCluster{{Name: oracleCluster, Weight: 1}}, Total: 1, Timeout: limit},
		Authority: "oracle", Path: authv3.Authorization_Check_FullMethodName, Timeout: "9S",
	}}}
}

// say asks about a request with this body; chunked, if length is below 0.
func say(t *testing.T, c *http.Client, url, what, body string, length int64) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("x-say", what)
	req.ContentLength = length
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestServicesAreAsked(t *testing.T) {
	m, _ := askingMesh(t, 1000, 5*time.Second)
	e := start(t, m)
	for name, c := range map[string]*http.Client{"HTTP/1.1": client(t), "HTTP/2": h2Client(t)} {
		for _, x := range []struct {
			say, body string
			length    int64
			status    int
			text      string
		}{
			{"yes", "", 0, 200, "|"},
			{"yes", "hello", 5, 200, "hello|hello"},
			{"yes", "hello", -1, 200, "hello|hello"},
			{"yes", strings.Repeat("a", 1000), 1000, 200, strings.Repeat("a", 1000) + "|" + strings.Repeat("a", 1000)},
			{"yes", strings.Repeat("a", 1001), 1001, 413, "Payload Too Large"},
			{"yes", strings.Repeat("a", 1001), -1, 413, "Payload Too Large"},
			{"no", "hello", 5, 403, "PermissionDenied"},
			{"much", "", 0, 500, "no answer"},
		} {
			if code, text := say(t, c, "http://"+addrOf(t, e, "in")+"/", x.say, x.body, x.length); code != x.status || text != x.text {
				t.Errorf("%s: %s about %d bytes: %d %q", name, x.say, len(x.body), code, text)
			}
		}
	}
	if n := metric(t, e, "envoy_cluster_upstream_rq_total"); n < 16 {
		t.Errorf("%v requests are counted, of the services' clusters too", n)
	}
}

// A request that waits for an answer holds up nobody, on one loop.
func TestAskingHoldsNobodyUp(t *testing.T) {
	m, o := askingMesh(t, 0, 30*time.Second)
	e := start(t, m, oneLoop)
	url := "http://" + addrOf(t, e, "in") + "/"
	waits := make(chan string, 1)
	go func() {
		_, text := say(t, client(t), url, "wait", "later", 5)
		waits <- text
	}()
	eventually(t, "the service is asked", func() bool { return o.waiting.Load() == 1 })
	for range 100 {
		if code, _ := get(t, client(t), url); code != 200 {
			t.Fatal(code)
		}
	}
	close(o.letGo)
	if text := <-waits; text != "|later" {
		t.Errorf("the request that waited: %q", text)
	}
}

// When a client goes, so does the question that is asked for it.
func TestQuestionsEndWithTheirClient(t *testing.T) {
	m, o := askingMesh(t, 0, 30*time.Second)
	e := start(t, m, oneLoop)
	ctx, cancel := context.WithCancel(t.Context())
	for name, c := range map[string]*http.Client{"HTTP/1.1": client(t), "HTTP/2": h2Client(t)} {
		before := o.left.Load()
		gone, leave := context.WithCancel(ctx)
		req, err := http.NewRequestWithContext(gone, http.MethodGet, "http://"+addrOf(t, e, "in")+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("x-say", "wait")
		done := make(chan error, 1)
		go func() { _, err := c.Do(req); done <- err }()
		eventually(t, "the service is asked", func() bool { return o.waiting.Load() > before })
		leave()
		if err := <-done; err == nil {
			t.Error("there is an answer")
		}
		eventually(t, "the service hears that nobody waits: "+name, func() bool { return o.left.Load() > before })
	}
	cancel()
	eventually(t, "no request is active", func() bool {
		return metric(t, e, "envoy_cluster_upstream_rq_active") == 0 && metric(t, e, "envoy_http_downstream_rq_active") == 0
	})
}

func TestQuestionsHaveTheirTime(t *testing.T) {
	m, _ := askingMesh(t, 0, 50*time.Millisecond)
	e := start(t, m)
	code, text := say(t, client(t), "http://"+addrOf(t, e, "in")+"/", "wait", "", 0)
	if code != 403 || text != codes.Unavailable.String() {
		t.Errorf("%d %q", code, text)
	}
	if n := metric(t, e, "envoy_cluster_upstream_rq_timeout"); n != 1 {
		t.Errorf("%v timeouts are counted", n)
	}
}

// Nobody answers: there is no cluster, no endpoint, no listener, no gRPC.
func TestNobodyAnswers(t *testing.T) {
	for name, change := range map[string]func(*mesh){
		"no cluster":   func(m *mesh) { delete(m.config.Clusters, oracleCluster) },
		"no endpoint":  func(m *mesh) { m.config.Clusters[oracleCluster].Endpoints = nil },
		"nobody there": func(m *mesh) { m.withOracle(closedPort(t), 0, time.Second) },
		"no gRPC": func(m *mesh) {
			m.config.Clusters[oracleCluster].Endpoints = m.cluster().Endpoints
			m.config.Clusters[oracleCluster].Protocol = snapshot.UpstreamHTTP1
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := askingMesh(t, 0, 5*time.Second)
			change(m)
			e := start(t, m)
			code, text := say(t, client(t), "http://"+addrOf(t, e, "in")+"/", "yes", "", 0)
			if code == 200 {
				t.Errorf("%d %q", code, text)
			}
		})
	}
}

// A client that waits to be told to send its body is told, for the question.
func TestHeldBodiesAreAskedFor(t *testing.T) {
	m, _ := askingMesh(t, 10, 5*time.Second)
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "POST / HTTP/1.1\r\nHost: a\r\nx-say: yes\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	r := bufio.NewReader(c)
	if head, err := readRequestHead(r); err != nil || !strings.HasPrefix(head, "HTTP/1.1 100") {
		t.Fatalf("%q, %v", head, err)
	}
	send(t, c, "hello")
	if resp, text := readResponse(t, r, "POST"); resp.StatusCode != 200 || text != "hello|hello" {
		t.Errorf("%d %q", resp.StatusCode, text)
	}
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, text := readResponse(t, r, "GET"); resp.StatusCode != 200 || text != "|" {
		t.Errorf("the next on the connection: %d %q", resp.StatusCode, text)
	}
}

// A configuration that takes filter and service away, and a drain, let what waits
// come to its end.
func TestQuestionsOutliveTheirConfiguration(t *testing.T) {
	m, o := askingMesh(t, 0, 30*time.Second)
	e := start(t, m, oneLoop)
	at := addrOf(t, e, "in")
	waits := make(chan string, 1)
	go func() {
		_, text := say(t, client(t), "http://"+at+"/", "wait", "later", 5)
		waits <- text
	}()
	eventually(t, "the service is asked", func() bool { return o.waiting.Load() == 1 })
	next := newMesh()
	next.cluster().Endpoints = m.cluster().Endpoints
	if err := e.Apply(next.config); err != nil {
		t.Fatal(err)
	}
	drained := make(chan error, 1)
	go func() { drained <- e.Drain(t.Context()) }()
	eventually(t, "nothing is accepted any more", func() bool {
		c, err := net.Dial("tcp", at)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(o.letGo)
	if text := <-waits; text != "|later" {
		t.Errorf("the request that waited: %q", text)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// waiter lets requests wait for an event.
type waiter struct{ event filter.Event }

func (f *waiter) Name() string { return "waiter" }

func (f *waiter) OnRequest(s *filter.Stream) filter.Verdict {
	var happened atomic.Bool // also set by who makes it happen, later
	f.event.Then(func() { happened.Store(true) })
	if happened.Load() {
		return filter.Verdict{}
	}
	return filter.Verdict{Until: &f.event}
}

func TestRequestsWaitForEvents(t *testing.T) {
	m := newMesh(backend(t, func(http.ResponseWriter, *http.Request) {}))
	f := &waiter{}
	m.chain.HTTP.Filters = []filter.HTTP{f}
	e := start(t, m)
	url := "http://" + addrOf(t, e, "in") + "/"
	const n = 20
	done := make(chan int, n)
	for i := range n {
		c := client(t)
		if i%2 == 0 {
			c = h2Client(t)
		}
		go func() { code, _ := get(t, c, url); done <- code }()
	}
	gone := dial(t, addrOf(t, e, "in"))
	send(t, gone, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "all wait", func() bool { return metric(t, e, "envoy_http_downstream_rq_active") == n+1 })
	gone.Close()
	eventually(t, "the one that has gone is no more", func() bool { return metric(t, e, "envoy_http_downstream_rq_active") == n })
	f.event.Happen()
	for range n {
		if code := <-done; code != 200 {
			t.Errorf("%d", code)
		}
	}
	for _, w := range e.workers {
		left := make(chan int)
		w.do(func() { left <- len(w.awaiting) })
		if k := <-left; k != 0 {
			t.Errorf("%d events are waited for", k)
		}
	}
}

// askingTwice has two questions before an application that says what both were told.
func askingTwice(t *testing.T, first, second int) *Engine {
	t.Helper()
	m, _ := askingMesh(t, first, 5*time.Second)
	m.cluster().Endpoints = endpointsOf(backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, strings.Join(r.Header.Values("x-told"), ",")+"|"+string(body))
	}))
	filters := m.chain.HTTP.Filters
	m.chain.HTTP.Filters = append(filters, &asker{hold: second, to: filters[0].(*asker).to})
	return start(t, m)
}

// A question is about as much of the body as it says, whatever was held before.
func TestEachQuestionHasItsBody(t *testing.T) {
	for _, x := range []struct {
		first, second int
		body          string
		status        int
		text          string
	}{
		{1000, 0, "hello", 200, "hello,|hello"},
		{0, 1000, "hello", 200, ",hello|hello"},
		{1000, 5, "hello", 200, "hello,hello|hello"},
		{1000, 4, "hello", 413, "Payload Too Large"},
	} {
		e := askingTwice(t, x.first, x.second)
		for name, c := range map[string]*http.Client{"HTTP/1.1": client(t), "HTTP/2": h2Client(t)} {
			if code, text := say(t, c, "http://"+addrOf(t, e, "in")+"/", "yes", x.body, int64(len(x.body))); code != x.status || text != x.text {
				t.Errorf("%s: %d, then %d bytes: %d %q", name, x.first, x.second, code, text)
			}
		}
	}
}

// A body that was held is let go of when the response has begun and it is sent, and
// not with the stream.
func TestHeldBodiesAreLetGo(t *testing.T) {
	m, _ := askingMesh(t, 1000, 5*time.Second)
	end := make(chan struct{})
	m.cluster().Endpoints = endpointsOf(backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
		_ = http.NewResponseController(w).Flush()
		<-end
	}))
	e := start(t, m, oneLoop)
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "POST / HTTP/1.1\r\nHost: a\r\nx-say: yes\r\nContent-Length: 5\r\n\r\nhello")
	r := bufio.NewReader(c)
	if head, err := readRequestHead(r); err != nil || !strings.HasPrefix(head, "HTTP/1.1 200") {
		t.Fatalf("%q, %v", head, err)
	}
	held := make(chan int)
	e.workers[0].do(func() { held <- cap(e.workers[0].conns.first.stream.retry.body) })
	if n := <-held; n != 0 {
		t.Errorf("%d bytes are held", n)
	}
	close(end)
}

// mute cannot say what it asks.
type mute struct{ asker }

func (*mute) Message(*filter.Stream, []byte) ([]byte, error) { return nil, errors.New("no words") }

func (f *mute) OnRequest(*filter.Stream) filter.Verdict { return filter.Verdict{Ask: f} }

// lines counts what is logged.
type lines struct{ n atomic.Int64 }

func (l *lines) Write(p []byte) (int, error) { l.n.Add(1); return len(p), nil }

func TestWhatCannotBeAskedFillsNoLog(t *testing.T) {
	m, _ := askingMesh(t, 0, 5*time.Second)
	m.chain.HTTP.Filters = []filter.HTTP{&mute{*m.chain.HTTP.Filters[0].(*asker)}}
	var log lines
	e := start(t, m, oneLoop, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for range 5 {
		if code, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); code != 500 {
			t.Fatal(code)
		}
	}
	if n := log.n.Load(); n != 1 {
		t.Errorf("%d lines are logged", n)
	}
	var s seldom
	for _, x := range []struct {
		now    int64
		unsaid int
		ok     bool
	}{{0, 0, true}, {1, 0, false}, {2, 0, false}, {int64(seldomly), 2, true}, {int64(seldomly) + 1, 0, false}} {
		if unsaid, ok := s.say(x.now); unsaid != x.unsaid || ok != x.ok {
			t.Errorf("at %d: %d, %v", x.now, unsaid, ok)
		}
	}
}
