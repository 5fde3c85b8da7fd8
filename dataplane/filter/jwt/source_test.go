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

	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
)

// fetching gives a filter whose keys are fetched from a path.
func fetching(t *testing.T, path string) *Filter {
	t.Helper()
	p := new(jwtv3.JwtAuthentication)
	text := fmt.Sprintf(`{"providers": {"one": {"issuer": "i", "remote_jwks": {"http_uri": {"uri": "http://keys.example%s", "cluster": "keys", "timeout": "1s"}, "async_fetch": {"fast_listener": true}}}},
 "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "one"}}]}`, path)
	if err := protojson.Unmarshal([]byte(text), p); err != nil {
		t.Fatal(err)
	}
	f, err := New("jwt", p)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// runs lets f fetch for the length of the test, and waits for its first attempt.
func runs(t *testing.T, f *Filter, dial filter.Dial) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); f.Run(ctx, dial) }()
	t.Cleanup(func() { stop(); <-ended })
	for deadline := time.Now().Add(10 * time.Second); !f.providers[0].keys.asked.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is fetched")
		}
	}
}

// An update of a listener makes its filters anew: tokens are taken all the same
// while the server of the keys is away.
func TestKeysOutliveTheirFilter(t *testing.T) {
	s := signers(t)[0]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(s.jwks(t, "k", "")) }))
	t.Cleanup(server.Close)
	there := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
	away := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("away") }
	status := func(f *Filter) int {
		token := s.token(t, "k", map[string]any{"iss": "i", "exp": time.Now().Unix() + 60})
		req := &message.Request{Scheme: "http", Authority: "shop", Target: "/", Fields: []message.Field{{Name: "authorization", Value: "Bearer " + token}}}
		return f.OnRequest(&filter.Stream{Request: req}).Status
	}
	first := fetching(t, "/keys")
	runs(t, first, there)
	if got := status(first); got != 0 {
		t.Fatalf("with its keys: %d", got)
	}
	for name, c := range map[string]struct {
		path    string
		inherit bool
		want    int
	}{
		"of nobody":          {"/keys", false, http.StatusUnauthorized},
		"of the one before":  {"/keys", true, 0},
		"from another place": {"/others", true, http.StatusUnauthorized},
	} {
		f := fetching(t, c.path)
		if c.inherit {
			f.Inherit(first)
		}
		runs(t, f, away)
		if got := status(f); got != c.want {
			t.Errorf("keys %s: %d, want %d", name, got, c.want)
		}
	}
}
