package interop

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
)

// toldMesh has gateways that believe nobody, one and two proxies in front, each
// with a listener that a load balancer announces connections to, and one that
// believes networks. Each rule is about a path of its own.
func toldMesh() string {
	rules := `{paths: [{exact: "/four"}], clientIPs: ["198.51.100.0/24"]}, {paths: [{exact: "/six"}], clientIPs: ["2001:db8:1::/48", "192.0.2.7"]},
		{paths: [{exact: "/not"}], notClientIPs: ["198.51.100.0/24", "127.0.0.0/8"]}, {paths: [{exact: "/every6"}], clientIPs: ["::/0"]},
		{paths: [{exact: "/both"}], clientIPs: ["198.51.100.0/24"], ips: ["127.0.0.9"]}`
	var out strings.Builder
	out.WriteString(`package mesh

service: shop: {ports: http: {number: 9080, protocol: "http"}, versions: v1: {}}
service: db: {ports: sql: {number: 9080, protocol: "tcp"}, versions: v1: {}, security: mtls: "disable", security: allow: [{from: ["*"]}]}
`)
	for hops := range 3 {
		fmt.Fprintf(&out, `gateway: edge%[1]d: {
	trustedHops: %[1]d
	listeners: {
		web: {port: 8080, protocol: "http"}
		lb: {port: 8081, protocol: "http", proxyProtocol: true}
		bytes: {port: 5432, protocol: "tcp", proxyProtocol: true}
	}
	routes: {all: to: "shop", bytes: {to: "db", listener: "bytes"}}
	security: deny: [%[2]s, {listeners: ["bytes"], clientIPs: ["2001:db8:1::/48", "192.0.2.0/24"]}]
}
`, hops, strings.ReplaceAll(rules, "{paths", `{listeners: ["web", "lb"], paths`))
	}
	fmt.Fprintf(&out, `gateway: nets: {
	trustedCIDRs: ["127.0.0.9", "203.0.113.0/24", "2001:db8:2::/48"]
	listeners: {web: {port: 8080, protocol: "http"}, lb: {port: 8081, protocol: "http", proxyProtocol: true}}
	routes: all: to: "shop"
	security: deny: [%s]
}
`, rules)
	return out.String()
}

// toldCase is a request by way of proxies in front of a gateway; what Envoy takes for
// the client's address is announced, or what x-forwarded-for comes to.
type toldCase struct {
	gateway  string
	from     string
	announce string // PROXY header; "" is the other listener
	fields   string // x-forwarded-for, the values of a field each
	client   string
}

var toldCases = []toldCase{
	{"edge0", "127.0.0.9", "", "", "127.0.0.9"},
	{"edge0", "127.0.0.9", "", "198.51.100.1", "127.0.0.9"}, // forged
	{"edge0", "127.0.0.9", "TCP4 198.51.100.7 203.0.113.1", "", "198.51.100.7"},
	{"edge0", "127.0.0.9", "TCP4 192.0.2.7 203.0.113.1", "198.51.100.1", "192.0.2.7"},
	{"edge0", "127.0.0.9", "TCP6 2001:db8:1::7 2001:db8::1", "", "2001:db8:1::7"},
	{"edge0", "127.0.0.9", "UNKNOWN", "198.51.100.1", "127.0.0.9"},
	{"edge1", "127.0.0.9", "", "198.51.100.1", "198.51.100.1"},
	{"edge1", "127.0.0.9", "", "198.51.100.1, 192.0.2.7", "192.0.2.7"}, // the client has forged the first
	{"edge1", "127.0.0.9", "", "192.0.2.9|198.51.100.2", "198.51.100.2"},
	{"edge1", "127.0.0.9", "", "2001:db8:1::9", "2001:db8:1::9"},
	{"edge1", "127.0.0.9", "", "::ffff:198.51.100.4", "198.51.100.4"},
	{"edge1", "127.0.0.9", "", "nonsense", "127.0.0.9"},
	{"edge1", "127.0.0.9", "", "198.51.100.1:4711", "127.0.0.9"},
	{"edge1", "127.0.0.8", "", "198.51.100.1", "198.51.100.1"},
	{"edge1", "127.0.0.9", "", "", "127.0.0.9"},
	{"edge1", "127.0.0.9", "TCP4 192.0.2.7 203.0.113.1", "198.51.100.1", "198.51.100.1"},
	{"edge1", "127.0.0.9", "TCP4 198.51.100.7 203.0.113.1", "", "198.51.100.7"},
	{"edge2", "127.0.0.9", "", "198.51.100.1, 192.0.2.7", "198.51.100.1"},
	{"edge2", "127.0.0.9", "", "2001:db8:1::1,198.51.100.1|192.0.2.7", "198.51.100.1"},
	{"edge2", "127.0.0.9", "", "198.51.100.1", "127.0.0.9"}, // one hop of two
	{"edge2", "127.0.0.9", "TCP6 2001:db8:1::7 2001:db8::1", "198.51.100.1", "2001:db8:1::7"},
	{"nets", "127.0.0.9", "", "198.51.100.1, 203.0.113.4", "198.51.100.1"},
	{"nets", "127.0.0.9", "", "192.0.2.7, 198.51.100.1", "198.51.100.1"},
	{"nets", "127.0.0.9", "", "203.0.113.5, 203.0.113.4", "203.0.113.5"},
	{"nets", "127.0.0.9", "", "", "127.0.0.9"},
	{"nets", "127.0.0.9", "", "198.51.100.1, nonsense, 203.0.113.4", "127.0.0.9"},
	{"nets", "127.0.0.9", "", "198.51.100.1, nonsense", "127.0.0.9"},
	{"nets", "127.0.0.9", "", "198.51.100.1,, 203.0.113.4", "127.0.0.9"},
	{"nets", "127.0.0.9", "", "198.51.100.1, 203.0.113.4,", "127.0.0.9"},
	{"nets", "127.0.0.9", "", ",", "127.0.0.9"},
	{"nets", "127.0.0.9", "", "192.0.2.9, 198.51.100.1|203.0.113.4", "198.51.100.1"},
	{"nets", "127.0.0.9", "", "198.51.100.1, ::ffff:203.0.113.4", "::ffff:203.0.113.4"},
	{"nets", "127.0.0.9", "", "2001:db8:1::9,203.0.113.4", "2001:db8:1::9"},
	{"nets", "127.0.0.9", "", "198.51.100.1" + strings.Repeat(", 203.0.113.4", 19), "198.51.100.1"},
	{"nets", "127.0.0.9", "", "198.51.100.1" + strings.Repeat(", 203.0.113.4", 20), "198.51.100.1"},            // many-hops
	{"nets", "127.0.0.9", "", strings.Repeat("192.0.2.7, ", 30) + "198.51.100.1, 203.0.113.4", "198.51.100.1"}, // many-hops
	{"edge1", "127.0.0.9", "", strings.Repeat("203.0.113.4, ", 30) + "198.51.100.1", "198.51.100.1"},
	{"edge1", "127.0.0.9", "", "2001:db8:1::9%1", "2001:db8:1::9"},
	{"edge1", "127.0.0.9", "", "2001:db8:1::9%lo", "127.0.0.9"},
	{"edge1", "127.0.0.9", "", "2001:db8:1::9%nowhere", "127.0.0.9"},
	{"edge1", "127.0.0.9", "", "2001:db8:1::9%", "127.0.0.9"},
	{"edge1", "127.0.0.9", "", "::ffff:198.51.100.4%1", "198.51.100.4"},
	{"edge1", "127.0.0.9", "", "[2001:db8:1::9]:80", "127.0.0.9"},
	{"edge1", "127.0.0.9", "", "[2001:db8:1::9]", "127.0.0.9"},
	{"nets", "127.0.0.9", "", "198.51.100.1, 2001:db8:2::1%1", "198.51.100.1"},
	{"nets", "127.0.0.9", "", "198.51.100.1, 2001:db8:2::1%nowhere", "127.0.0.9"},
	{"nets", "127.0.0.9", "", "2001:db8:1::9%1, 2001:db8:2::1%1", "2001:db8:1::9"},
	{"nets", "127.0.0.9", "", "192.0.2.7, 198.51.100.1:4711", "127.0.0.9"},
	{"nets", "127.0.0.8", "", "198.51.100.1", "127.0.0.8"}, // nobody who is believed
	{"nets", "127.0.0.8", "TCP4 203.0.113.9 203.0.113.1", "198.51.100.1", "198.51.100.1"},
	{"nets", "127.0.0.9", "TCP4 192.0.2.7 203.0.113.1", "198.51.100.1", "192.0.2.7"},
}

var toldPaths = []string{"/four", "/six", "/not", "/every6", "/both"}

// TestClientAddresses: both data planes, and the model, take the same for the
// address of a client, however it is told and forged.
func TestClientAddresses(t *testing.T) {
	m := compileFS(t, fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.test\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways\nexternal: m.#Externals\n")},
		"a.cue":              {Data: []byte(toldMesh())},
	})
	b := newBed(t, m)
	b.sidecar(ref("shop"), "v1", envoy, b.backends.start(t, "shop", nil))
	b.sidecar(ref("db"), "v1", meshc, echo(t, nil))
	for _, k := range kinds {
		for _, g := range []string{"edge0", "edge1", "edge2", "nets"} {
			b.gateway(ref(g), k)
		}
	}
	b.run()
	for _, c := range toldCases {
		for _, k := range kinds {
			for _, path := range toldPaths {
				got, want := b.asksTold(t, c, k, path), c.allowed(t, m, path)
				if k == envoy && c.gateway == "nets" && strings.Count(c.fields, ",") >= 20 { // the row many-hops of docs/envoy-differences.md
					c := c
					c.gateway, c.client = "edge0", c.from
					want = c.allowed(t, m, path)
				}
				if got != want {
					t.Errorf("%+v, %s by %s: let in %v, the model says %v", c, path, k, got, want)
				}
			}
		}
	}
	for client, want := range map[string]bool{"TCP4 192.0.2.7 203.0.113.1": false, "TCP4 198.51.100.7 203.0.113.1": true, "TCP6 2001:db8:1::7 2001:db8::1": false} {
		for _, k := range kinds {
			conn := dialFrom(t, "127.0.0.9", b.placed["edge1-"+string(k)].Inbound[5432])
			_, _ = fmt.Fprintf(conn, "PROXY %s 4711 5432\r\nhello", client)
			got := make([]byte, 5)
			_, err := io.ReadFull(conn, got)
			if in := err == nil && string(got) == "hello"; in != want {
				t.Errorf("a connection of %s by %s: let in %v, %v", client, k, in, err)
			}
		}
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

func (b *bed) asksTold(t *testing.T, c toldCase, k kind, path string) bool {
	t.Helper()
	port, begin, fields := uint16(8080), "", ""
	if c.announce != "" {
		port, begin = 8081, "PROXY "+c.announce+" 4711 443\r\n"
		if c.announce == "UNKNOWN" {
			begin = "PROXY UNKNOWN\r\n"
		}
	}
	for _, f := range c.forwarded() {
		fields += f.Name + ": " + f.Value + "\r\n"
	}
	conn := dialFrom(t, c.from, b.placed[c.gateway+"-"+string(k)].Inbound[port])
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, "%sGET %s HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n%s\r\n", begin, path, fields)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%+v by %s: %v", c, k, err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusForbidden {
		t.Fatalf("%+v by %s: %s", c, k, res.Status)
	}
	return res.StatusCode == http.StatusOK
}

func (c toldCase) forwarded() []model.Header {
	var out []model.Header
	for value := range strings.SplitSeq(c.fields, "|") {
		if value != "" {
			out = append(out, model.Header{Name: "x-forwarded-for", Value: value})
		}
	}
	return out
}

// allowed asks the model, once told who the client is and, where no connection is
// announced, once by what the request says.
func (c toldCase) allowed(t *testing.T, m *model.Mesh, path string) bool {
	t.Helper()
	req := answer.Request{Method: "GET", Host: "shop", Port: 8080, Target: path, Headers: c.forwarded(), Source: netip.MustParseAddr(c.from)}
	if c.announce != "" {
		req.Port = 8081
	}
	ask := func(req answer.Request) bool {
		got, ok := answer.Ask(m, ref(c.gateway), &req, time.Now())
		if !ok || got.Outcome != answer.Allowed && got.Outcome != answer.Denied {
			t.Fatalf("%+v: %+v", c, got)
		}
		return got.Outcome == answer.Allowed
	}
	given := req
	given.Client = netip.MustParseAddr(c.client)
	want := ask(given)
	if c.announce == "" && ask(req) != want {
		t.Errorf("%+v, %s: the model takes another client from the request than %s", c, path, c.client)
	}
	return want
}
