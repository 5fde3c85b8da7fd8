package interop

import (
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
)

// visit is one request to a service with a proxy on the server's side.
type visit struct {
	service, method, target string
	status                  int
}

var visits = []visit{
	{"vault", "GET", "/x", 200}, {"vault", "POST", "/x", 200}, {"vault", "PUT", "/x", 403}, {"vault", "PUT", "/any", 200},
	{"vault", "PUT", "/any?q", 200}, {"vault", "PUT", "/any/x", 403}, {"vault", "PUT", "/prefixed", 200}, {"vault", "PUT", "/seg/x", 200},
	{"vault", "PUT", "/segment", 403}, {"vault", "PUT", "/rx/12?x", 200}, {"vault", "PUT", "/rx/12/x", 403}, {"vault", "DELETE", "/other", 403},
	{"perm", "GET", "/x", 200}, {"perm", "DELETE", "/public/x", 200},
	{"open", "GET", "/x", 200}, {"open", "POST", "/x", 403},
}

// servers asks every service with a proxy through both data planes as client,
// and both as server: all four pairs agree, and with the model.
func (b *bed) servers(t *testing.T) {
	var all []*crossing
	for _, v := range visits {
		for _, client := range kinds {
			for _, server := range kinds {
				all = append(all, &crossing{visit: v, client: client, server: server, id: key(client, 20000+len(all))})
			}
		}
	}
	together(4, len(all), func(i int) { b.cross(all[i]) })
	for _, a := range all {
		t.Run(fmt.Sprintf("%s %s %s from %s to %s", a.method, a.service, a.target, a.client, a.server), func(t *testing.T) { b.arrived(t, a) })
	}
}

// crossing is a visit through a pair of data planes, and what came of it.
type crossing struct {
	visit
	client, server kind
	id             string
	request        request
	seen           *observation
	line           entry // of the server's side
}

func (b *bed) cross(a *crossing) {
	side := b.proxies[a.service+"-"+string(a.server)]
	mark := side.log.mark()
	a.request = request{method: a.method, target: a.target, headers: []string{"x-to: " + string(a.server), "x-request-id: " + a.id, "x-forwarded-client-cert: By=forged"}}
	a.seen = b.observe(b.proxies["web-"+string(a.client)], b.client(a.client, a.service), &a.request, a.id)
	a.line = side.log.find(mark, "", a.id)
}

func (b *bed) arrived(t *testing.T, a *crossing) {
	v, line := a.visit, a.line
	b.outcome(t, v, &a.seen.Response, a.server, a.id)
	caller := b.mesh.Service(ref("web")).SPIFFEID
	if v.service == "open" {
		caller = ""
	}
	if got := line.text("peer_id"); got != caller || line.text("status") != fmt.Sprint(v.status) {
		t.Errorf("the server's log says %v, want the caller %q and status %d", line, caller, v.status)
	}
	want := facts{"route_name": "inbound", "upstream_cluster": "inbound|9080", "flags": "-", "details": "via_upstream"}
	if v.status == 403 {
		want["details"] = "rbac_access_denied_matched_policy[none]"
	}
	for field, value := range want {
		if got := line.text(field); got != value {
			t.Errorf("the server's log has %s %q, want %q", field, got, value)
		}
	}
	said, _ := answer.Ask(b.mesh, ref("web"), asked(&a.request, v.service, meshPort), now)
	if (said.Outcome == answer.Allowed) != (v.status == 200) {
		t.Errorf("the model says %s", said.Outcome)
	}
}

// outcome holds what the client and the application saw to what has to be.
func (b *bed) outcome(t *testing.T, v visit, res *response, server kind, id string) {
	t.Helper()
	if res.Status != v.status {
		t.Errorf("status %d (%s), want %d", res.Status, res.Err, v.status)
	}
	got := b.backends.got(id)
	if v.status == 403 {
		if res.Body != "RBAC: access denied" || len(got) != 0 {
			t.Errorf("refused with %q, and %d requests went through", res.Body, len(got))
		}
		return
	}
	if len(got) != 1 || got[0].Backend != v.service+"/"+string(server) {
		t.Errorf("the applications got %+v", got)
	}
}

// stranger is a client that is no proxy of the mesh.
type stranger struct {
	name   string
	visit  visit
	client *tls.Config // nil: plaintext
	peer   string      // in the server's log
	err    bool        // the connection does not come to an answer
}

func (b *bed) strange(t *testing.T) []stranger {
	web, other := b.mesh.Service(ref("web")).SPIFFEID, b.mesh.Service(ref("other")).SPIFFEID
	foreign := startPlane(t).as(model.SPIFFEID(domain, "default", "web")) // of another authority
	return []stranger{
		{name: "plaintext to strict", visit: visit{"vault", "GET", "/x", 0}, err: true},
		{name: "no certificate to strict", visit: visit{"vault", "GET", "/x", 0}, client: b.plane.as(""), err: true},
		{name: "certificate of another authority to strict", visit: visit{"vault", "GET", "/x", 0}, client: foreign, err: true},
		{name: "a name that is not allowed", visit: visit{"vault", "GET", "/x", 403}, client: b.plane.as(other), peer: other},
		{name: "a name that is allowed this", visit: visit{"vault", "DELETE", "/other", 200}, client: b.plane.as(other), peer: other},
		{name: "the allowed name", visit: visit{"vault", "GET", "/x", 200}, client: b.plane.as(web), peer: web},
		{name: "plaintext to permissive", visit: visit{"perm", "GET", "/public/x", 200}},
		{name: "plaintext to permissive, where a name is needed", visit: visit{"perm", "GET", "/x", 403}},
		{name: "another name to permissive", visit: visit{"perm", "GET", "/x", 403}, client: b.plane.as(other), peer: other},
		{name: "the allowed name to permissive", visit: visit{"perm", "GET", "/x", 200}, client: b.plane.as(web), peer: web},
		{name: "no certificate to permissive", visit: visit{"perm", "GET", "/public/x", 0}, client: b.plane.as(""), err: true},
		{name: "plaintext to disabled", visit: visit{"open", "GET", "/x", 200}},
		{name: "TLS to disabled", visit: visit{"open", "GET", "/x", 0}, client: b.plane.as(web), err: true},
	}
}

// strangers are answered the same by the servers' sides of both data planes.
func (b *bed) strangers(t *testing.T) {
	for i, c := range b.strange(t) {
		for _, server := range kinds {
			t.Run(c.name+" of "+string(server), func(t *testing.T) {
				t.Parallel()
				b.knock(t, &c, server, key(server, 30000+i))
			})
		}
	}
}

func (b *bed) knock(t *testing.T, c *stranger, server kind, id string) {
	side := b.proxies[c.visit.service+"-"+string(server)]
	mark := side.log.mark()
	r := &request{method: c.visit.method, target: c.visit.target, headers: []string{"x-request-id: " + id}}
	res := send(b.placed[c.visit.service+"-"+string(server)].Inbound[meshPort], c.client, r, id)
	if c.err {
		if res.Err == "" && res.Status != 400 || len(b.backends.got(id)) > 0 {
			t.Errorf("got through: %+v", res)
		}
		return
	}
	b.outcome(t, c.visit, &res, server, id)
	if line := side.log.find(mark, res.local, id); line.text("peer_id") != c.peer {
		t.Errorf("the log says %v, want the peer %q", line, c.peer)
	}
}
