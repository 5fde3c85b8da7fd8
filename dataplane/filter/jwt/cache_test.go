package jwt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
)

// with asks f about a request with a token.
func with(f *Filter, token string) filter.Verdict {
	req := &message.Request{Scheme: "http", Authority: "shop", Target: "/", Fields: []message.Field{{Name: "authorization", Value: "Bearer " + token}}}
	return f.OnRequest(&filter.Stream{Request: req})
}

func known(f *Filter) (n int) {
	for i := range f.cache.parts {
		n += f.cache.parts[i].order.Len()
	}
	return n
}

// A token that is remembered is good as long as it would be good if it were not.
func TestRememberedTokens(t *testing.T) {
	s, other := signers(t)[0], signers(t)[0]
	p := new(jwtv3.JwtAuthentication)
	if err := protojson.Unmarshal([]byte(`{"providers": {"one": {"issuer": "i", "clock_skew_seconds": 1, "payload_in_metadata": "claims", "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
 "local_jwks": {"inline_string": "{\"keys\": []}"}}}, "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "one"}}]}`), p); err != nil {
		t.Fatal(err)
	}
	p.Providers["one"].GetLocalJwks().Specifier = &corev3.DataSource_InlineBytes{InlineBytes: s.jwks(t, "k", "")}
	f, err := New("jwt", p)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	f.now = func() time.Time { return now }
	token := s.token(t, "k", map[string]any{"iss": "i", "scope": "a b", "exp": now.Unix() + 60})
	for range 3 {
		req := &message.Request{Target: "/", Fields: []message.Field{{Name: "authorization", Value: "Bearer " + token}}}
		if v := f.OnRequest(&filter.Stream{Request: req}); v.Status != 0 {
			t.Fatalf("%+v", v)
		}
		scope := req.Metadata["jwt"].GetFields()["claims"].GetStructValue().GetFields()["scope"]
		if len(scope.GetListValue().GetValues()) != 2 {
			t.Errorf("the scope is %v", scope)
		}
	}
	if n := known(f); n != 1 {
		t.Errorf("%d tokens are remembered", n)
	}
	forged := token[:len(token)-4] + "AAAA"
	if v := with(f, forged); v.Status != 401 || known(f) != 1 {
		t.Errorf("with another signature: %+v, %d remembered", v, known(f))
	}
	if err := f.providers[0].keys.set(other.jwks(t, "k", "")); err != nil {
		t.Fatal(err)
	}
	if v := with(f, token); v.Status != 401 {
		t.Errorf("once the keys have changed: %+v", v)
	}
	if err := f.providers[0].keys.set(s.jwks(t, "k", "")); err != nil {
		t.Fatal(err)
	}
	if v := with(f, token); v.Status != 0 {
		t.Errorf("once they have come back: %+v", v)
	}
	now = now.Add(62 * time.Second)
	if v := with(f, token); v.Status != 401 || v.Body != string(expired) {
		t.Errorf("once it has expired: %+v", v)
	}
	if n := known(f); n != 0 {
		t.Errorf("%d tokens are remembered that are no more good", n)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(64)
	for i := range 5000 {
		name := nameOf(fmt.Sprint(i))
		c.put(name, vouched{token: new(token)})
		if c.get(name).token == nil {
			t.Fatal("what was put last is not there")
		}
	}
	total := 0
	for i := range c.parts {
		p := &c.parts[i]
		if total += p.order.Len(); p.order.Len() != len(p.byName) {
			t.Errorf("%d in order, %d by name", p.order.Len(), len(p.byName))
		}
	}
	if total > 64 {
		t.Errorf("%d tokens", total)
	}
}

// Requests that come before the keys wait for them, and for the filter that goes on
// when a configuration changes meanwhile.
func TestWaitingForKeys(t *testing.T) {
	s := signers(t)[0]
	gate := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-gate
		_, _ = w.Write(s.jwks(t, "k", ""))
	}))
	t.Cleanup(server.Close)
	there := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
	token := s.token(t, "k", map[string]any{"iss": "i", "exp": time.Now().Unix() + 60})
	first := fetching(t, "/keys")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		first.Run(ctx, func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, errors.New("away") })
	}()
	waits := with(first, token).Until
	if waits == nil {
		t.Fatal("a request does not wait")
	}
	woken := make(chan struct{})
	waits.Then(func() { close(woken) })
	second := fetching(t, "/keys")
	second.Inherit(first)
	stop()
	<-ended
	select {
	case <-woken:
		t.Fatal("woken before there are keys")
	default:
	}
	close(gate)
	runs(t, second, there)
	<-woken
	if v := with(first, token); v.Status != 0 || v.Until != nil {
		t.Errorf("once the keys have come: %+v", v)
	}
	alone := fetching(t, "/keys")
	gone, leave := context.WithCancel(t.Context())
	leave()
	alone.Run(gone, there)
	if v := with(alone, token); v.Status != 401 {
		t.Errorf("of a filter that has gone without another: %+v", v)
	}
}
