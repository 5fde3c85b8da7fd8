package rbac

import (
	"fmt"
	"strings"
	"testing"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

func decode(t *testing.T, text string) (*Config, error) {
	t.Helper()
	p := new(rbacv3.RBAC)
	if err := protojson.Unmarshal([]byte(text), p); err != nil {
		t.Fatal(err)
	}
	return Decode(p)
}

func stream(id, method, target string) *filter.Stream {
	return &filter.Stream{
		Request: &message.Request{Method: method, Target: target},
		Peer:    filter.Peer{TLS: id != "", SPIFFEID: id},
	}
}

// from is a request of a peer.
func from(remote string) *filter.Stream {
	s := stream("", "GET", "/")
	s.Peer.Remote = remote
	return s
}

// passedOn is a request of a peer by way of another.
func passedOn(remote, direct string) *filter.Stream {
	s := from(remote)
	s.Peer.Direct = direct
	return s
}

// policy allows everything to principals, or to anybody what permissions say.
func rules(permissions, principals string) string {
	return fmt.Sprintf(`{"rules": {"policies": {"a policy": {"permissions": [%s], "principals": [%s]}}}}`, permissions, principals)
}

const (
	all  = `{"any": true}`
	page = `{"authenticated": {"principal_name": {"exact": "spiffe://d/ns/a/sa/page"}}}`
)

func TestWhoAndWhat(t *testing.T) {
	const id = "spiffe://d/ns/a/sa/page"
	for _, c := range []struct {
		name, config string
		s            *filter.Stream
		want         bool
	}{
		{"named identity", rules(all, page), stream(id, "GET", "/"), true},
		{"other identity", rules(all, page), stream(id+"2", "GET", "/"), false},
		{"no identity", rules(all, page), stream("", "GET", "/"), false},
		{"prefix of the domain", rules(all, `{"authenticated": {"principal_name": {"prefix": "spiffe://d/"}}}`), stream(id, "GET", "/"), true},
		{"a matcher that takes the empty name takes nobody", rules(all, `{"authenticated": {"principal_name": {"safe_regex": {"regex": ".*"}}}}`), stream("", "GET", "/"), false},
		{"any authenticated", rules(all, `{"authenticated": {}}`), stream(id, "GET", "/"), true},
		{"any authenticated, plaintext", rules(all, `{"authenticated": {}}`), stream("", "GET", "/"), false},
		{"anybody", rules(all, all), stream("", "GET", "/"), true},
		{"not", rules(all, `{"not_id": `+page+`}`), stream(id, "GET", "/"), false},
		{"or", rules(all, `{"or_ids": {"ids": [{"authenticated": {"principal_name": {"exact": "spiffe://d/x"}}}, `+page+`]}}`), stream(id, "GET", "/"), true},
		{"and", rules(all, `{"and_ids": {"ids": [`+all+`, {"header": {"name": "x", "present_match": true}}]}}`), stream(id, "GET", "/"), false},
		{"in the network", rules(all, `{"direct_remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}`), from("10.1.2.3:4"), true},
		{"what is said of the client counts for nothing", rules(all, `{"direct_remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}`), passedOn("10.1.2.3:4", "192.0.2.1:5"), false},
		{"who passes it on counts", rules(all, `{"direct_remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}`), passedOn("192.0.2.1:5", "10.1.2.3:4"), true},
		{"an IPv4 peer in IPv6 form", rules(all, `{"direct_remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}`), from("[::ffff:10.1.2.3]:4"), true},
		{"the client is who is said", rules(all, `{"remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}`), passedOn("10.1.2.3:0", "192.0.2.1:5"), true},
		{"and not who passes it on", rules(all, `{"remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}`), passedOn("192.0.2.1:0", "10.1.2.3:4"), false},
		{"a client of whom nothing is said", rules(all, `{"remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}`), from("10.1.2.3:4"), true},
		{"a client in IPv6 form is another one", rules(all, `{"remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}`), passedOn("[::ffff:10.1.2.3]:0", "10.1.2.3:4"), false},
		{"and in the network in that form", rules(all, `{"remote_ip": {"address_prefix": "::ffff:10.0.0.0", "prefix_len": 104}}`), passedOn("[::ffff:10.1.2.3]:0", "10.1.2.3:4"), true},
		{"a client of a link", rules(all, `{"remote_ip": {"address_prefix": "fe80::", "prefix_len": 10}}`), passedOn("[fe80::1%eth0]:0", "10.1.2.3:4"), true},
		{"a client without an address", rules(all, `{"remote_ip": {"address_prefix": "::", "prefix_len": 0}}`), from("@"), false},
		{"outside the network", rules(all, `{"direct_remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}`), from("11.1.2.3:4"), false},
		{"bits after the prefix", rules(all, `{"direct_remote_ip": {"address_prefix": "10.9.9.9", "prefix_len": 8}}`), from("10.1.2.3:4"), true},
		{"no length is every address of the family", rules(all, `{"direct_remote_ip": {"address_prefix": "10.0.0.0"}}`), from("192.0.2.1:4"), true},
		{"IPv6", rules(all, `{"direct_remote_ip": {"address_prefix": "2001:db8::", "prefix_len": 32}}`), from("[2001:db8:1::1]:4"), true},
		{"a peer without an address", rules(all, `{"direct_remote_ip": {"address_prefix": "::", "prefix_len": 0}}`), from("@"), false},
		{"method", rules(`{"header": {"name": ":method", "string_match": {"exact": "GET"}}}`, all), stream(id, "POST", "/"), false},
		{"path without its query", rules(`{"url_path": {"path": {"exact": "/a"}}}`, all), stream(id, "GET", "/a?b"), true},
		{"path elsewhere", rules(`{"url_path": {"path": {"prefix": "/a"}}}`, all), stream(id, "GET", "/b?/a"), false},
		{"both of two rules", rules(`{"and_rules": {"rules": [`+all+`, {"not_rule": `+all+`}]}}`, all), stream(id, "GET", "/"), false},
		{"one of two rules", rules(`{"or_rules": {"rules": [{"not_rule": `+all+`}, `+all+`]}}`, all), stream(id, "GET", "/"), true},
		{"any that is false", rules(`{"not_rule": {"not_rule": `+all+`}}`, all), stream(id, "GET", "/"), true},
		{"no policy lets nobody in", `{"rules": {}}`, stream(id, "GET", "/"), false},
		{"no rules let everybody in", `{}`, stream("", "GET", "/"), true},
		{"deny that matches", `{"rules": {"action": "DENY", "policies": {"p": {"permissions": [` + all + `], "principals": [` + page + `]}}}}`, stream(id, "GET", "/"), false},
		{"deny that does not", `{"rules": {"action": "DENY", "policies": {"p": {"permissions": [` + all + `], "principals": [` + page + `]}}}}`, stream("", "GET", "/"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := decode(t, c.config)
			if err != nil {
				t.Fatal(err)
			}
			if v := New("rbac", config).OnRequest(c.s); (v.Status == 0) != c.want {
				t.Errorf("verdict %+v", v)
			}
		})
	}
}

func TestReplyIsEnvoys(t *testing.T) {
	config, err := decode(t, rules(all, page))
	if err != nil {
		t.Fatal(err)
	}
	v := New("rbac", config).OnRequest(stream("", "GET", "/"))
	if v.Status != 403 || v.Body != "RBAC: access denied" || v.Details != "rbac_access_denied_matched_policy[none]" || v.Flag != "" {
		t.Errorf("verdict %+v", v)
	}
	config, err = decode(t, `{"rules": {"action": "DENY", "policies": {"my policy": {"permissions": [`+all+`], "principals": [`+all+`]}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	if v := New("rbac", config).OnRequest(stream("", "GET", "/")); v.Details != "rbac_access_denied_matched_policy[my_policy]" {
		t.Errorf("verdict %+v", v)
	}
}

func TestRouteReplacesTheFiltersRules(t *testing.T) {
	closed, err := decode(t, `{"rules": {}}`)
	if err != nil {
		t.Fatal(err)
	}
	off, err := DecodePerRoute(new(rbacv3.RBACPerRoute))
	if err != nil {
		t.Fatal(err)
	}
	s := stream("", "GET", "/")
	s.Route = &route.Entry{PerFilter: map[string]any{"rbac": off}}
	if v := New("rbac", closed).OnRequest(s); v.Status != 0 {
		t.Errorf("verdict %+v", v)
	}
}

// Of shadow rules that hold the first by name is noted, whatever rules decide.
func TestShadowRulesAreNoted(t *testing.T) {
	const shadow = `"shadow_rules_stat_prefix": "audit_", "shadow_rules": {"policies": {
		"b": {"permissions": [` + all + `], "principals": [` + page + `]},
		"a": {"permissions": [{"header": {"name": ":method", "string_match": {"exact": "PUT"}}}], "principals": [` + all + `]}}}`
	for _, c := range []struct {
		config, id, method, want string
		status                   int
	}{
		{`{` + shadow + `}`, "spiffe://d/ns/a/sa/page", "GET", "b", 0},
		{`{` + shadow + `}`, "spiffe://d/ns/a/sa/page", "PUT", "a", 0},
		{`{` + shadow + `}`, "", "GET", "", 0},
		{`{` + shadow + `, "rules": {}}`, "", "PUT", "a", 403},
	} {
		config, err := decode(t, c.config)
		if err != nil {
			t.Fatal(err)
		}
		s := stream(c.id, c.method, "/")
		if v := New("rbac", config).OnRequest(s); s.Audited != c.want || v.Status != c.status {
			t.Errorf("%s by %q: noted %q, status %d; want %q, %d", c.method, c.id, s.Audited, v.Status, c.want, c.status)
		}
	}
}

func TestRefusals(t *testing.T) {
	for text, want := range map[string]string{
		`{"rules": {"action": "LOG"}}`: "LOG",
		`{"shadow_rules_stat_prefix": "audit_", "shadow_rules": {"action": "DENY"}}`: "shadow_rules: action DENY",
		`{"shadow_rules": {}}`:         "shadow_rules_stat_prefix",
		rules(`{"metadata": {}}`, all): "permissions[0]: rule is not supported",
		rules(all, `{"metadata": {}}`): "principals[0]: identifier is not supported",
		rules(all, `{"direct_remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 33}}`): "direct_remote_ip",
		rules(all, `{"direct_remote_ip": {"address_prefix": "a.example"}}`):                  "direct_remote_ip",
		rules("", all):                 "needs permissions",
		rules(`{"or_rules": {}}`, all): "empty set",
		rules(all, `{"authenticated": {"principal_name": {}}}`):              "principal_name",
		rules(`{"url_path": {"path": {"safe_regex": {"regex": "("}}}}`, all): "url_path",
	} {
		if _, err := decode(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

func TestJudgingDoesNotAllocate(t *testing.T) {
	config, err := decode(t, rules(`{"and_rules": {"rules": [{"header": {"name": ":method", "string_match": {"exact": "GET"}}}, {"url_path": {"path": {"prefix": "/"}}}]}}`, page))
	if err != nil {
		t.Fatal(err)
	}
	f, s := New("rbac", config), stream("spiffe://d/ns/a/sa/page", "GET", "/a?b")
	if n := testing.AllocsPerRun(100, func() { f.OnRequest(s) }); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}
