package compiler_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
)

// rawMesh has two callers of one service and of one external.
func rawMesh(extra, raw string) map[string]string {
	return map[string]string{"a.cue": fmt.Sprintf(`package mesh

mesh: {proxy: "envoy", raw: x: %s}
service: web: {ports: http: {number: 80, protocol: "http"}, versions: v1: {}, uses: {shop: {}, bank: {}}}
service: shop: {ports: http: {number: 80, protocol: "http"}, versions: v1: {}, uses: bank: {}, %s}
external: bank: {host: "bank.example", ports: http: {number: 80, protocol: "http"}}
gateway: edge: {listeners: web: {port: 8080, protocol: "http"}, routes: all: to: "web"}
`, raw, extra)}
}

func of(res *compiler.Result, code diag.Code) []diag.Diagnostic {
	var out []diag.Diagnostic
	for _, d := range res.Diags {
		if d.Code == code {
			out = append(out, d)
		}
	}
	return out
}

var writeHash = regexp.MustCompile(`write hash: "([^"]+)"`)

// pinned is a patch with the hash that vet prints for it.
func pinned(t *testing.T, extra, raw string) string {
	t.Helper()
	found := of(compile(t, rawMesh(extra, raw+`, hash: ""}`)), diag.RawChanged)
	if len(found) != 1 {
		t.Fatal(raw, found)
	}
	hash := writeHash.FindStringSubmatch(found[0].Help)
	if hash == nil {
		t.Fatal(found[0].Help)
	}
	return raw + fmt.Sprintf(`, hash: %q}`, hash[1])
}

// TestRawPatchesArePinned: the hash that vet prints is taken, by every kind of
// resource; it stands while the resource does, and when that changes the
// diagnostic names the fields.
func TestRawPatchesArePinned(t *testing.T) {
	for _, raw := range []string{
		`{resource: "cluster", name: "outbound|80||bank.example", patch: "{\"alt_stat_name\": \"x\"}"`,
		`{resource: "routes", name: "outbound|80||shop.default.svc.cluster.local", proxies: ["web"], patch: "{\"response_headers_to_remove\": [\"x\"]}"`,
		`{resource: "listener", name: "inbound|80", proxies: ["default/shop"], patch: "{\"tcp_backlog_size\": 7}"`,
		`{resource: "routes", name: "gateway|8080", patch: "{\"response_headers_to_remove\": [\"x\"]}"`,
	} {
		whole := pinned(t, "", raw)
		for name, extra := range map[string]string{
			"the same":          "",
			"an unrelated word": `owner: "somebody"`,
		} {
			if res := compile(t, rawMesh(extra, whole)); res.Model == nil {
				t.Errorf("%s: %s: %v", raw, name, res.Diags)
			}
		}
	}
	whole := pinned(t, "", `{resource: "cluster", name: "outbound|80|v1|shop.default.svc.cluster.local", patch: "{\"alt_stat_name\": \"x\"}"`)
	found := of(compile(t, rawMesh(`traffic: connectTimeout: "9s"`, whole)), diag.RawChanged)
	if len(found) != 1 || !strings.Contains(found[0].Message, "has changed, in connect_timeout") || found[0].Range.Start.Line != 3 {
		t.Errorf("a changed resource: %v", found)
	}
	if old := of(compile(t, rawMesh("", strings.Replace(whole, `hash: "`, `hash: "0`, 1))), diag.RawChanged); len(old) != 1 {
		t.Errorf("another hash: %v", old)
	}
	found = of(compile(t, rawMesh("", `{resource: "listener", name: "inbound|80", patch: "{\"tcp_backlog_size\": 7}", hash: "x"}`)), diag.RawChanged)
	if len(found) != 1 || !strings.Contains(found[0].Help, "name the `proxies`") {
		t.Errorf("resources that differ from proxy to proxy: %v", found)
	}
}

// TestRawPatchesThatDoNotFit: what cannot be merged, what Envoy would refuse and
// what nobody gets.
func TestRawPatchesThatDoNotFit(t *testing.T) {
	const cluster = `resource: "cluster", name: "outbound|80||bank.example"`
	for raw, want := range map[string]struct {
		code diag.Code
		text string
	}{
		cluster + `, patch: "{"`:               {diag.BadRaw, "the patch is no Cluster"},
		cluster + `, patch: "{}"`:              {diag.BadRaw, "sets nothing"},
		cluster + `, patch: "{\"nosuch\": 1}"`: {diag.BadRaw, `unknown field "nosuch"`},
		cluster + `, patch: "{\"alt_stat_name\": \"x\", \"respect_dns_ttl\": false}"`: {diag.BadRaw, "respect_dns_ttl is set to its default"},
		cluster + `, patch: "{\"connect_timeout\": \"-1s\"}"`:                         {diag.BadRaw, "ConnectTimeout"},
		`resource: "routes", name: "outbound|80||bank.example", patch: "{\"virtual_hosts\": [{\"name\": \"v\", \"domains\": [\"a.example\"], \"routes\": [{\"match\": {\"prefix\": \"/\"}, \"route\": {\"cluster\": \"nosuch\"}}]}]}"`: {diag.BadRaw, `there is no cluster "nosuch"`},
		`resource: "cluster", name: "outbound|80||bonk.example", patch: "{\"alt_stat_name\": \"x\"}"`:                                                                                                                                  {diag.RawNowhere, "no proxy that it is for has cluster"},
		cluster + `, proxies: ["edge"], patch: "{\"alt_stat_name\": \"x\"}"`:                                                                                                                                                           {diag.RawNowhere, "no proxy that it is for has cluster"},
		cluster + `, proxies: ["wep"], patch: "{\"alt_stat_name\": \"x\"}"`:                                                                                                                                                            {diag.RawNowhere, "which is no service and no gateway"},
		cluster + `, proxies: [], patch: "{\"alt_stat_name\": \"x\"}"`:                                                                                                                                                                 {diag.RawNowhere, "is for no proxies"},
	} {
		res := compile(t, rawMesh("", "{"+raw+`, hash: ""}`))
		found := of(res, want.code)
		if len(found) != 1 || len(res.Diags) != 1 || !strings.Contains(found[0].Message, want.text) {
			t.Errorf("%s: %v, want %s %q", raw, res.Diags, want.code, want.text)
		}
	}
	if d := of(compile(t, rawMesh("", `{resource: "cluster", name: "outbound|80||bonk.example", patch: "{\"alt_stat_name\": \"x\"}", hash: ""}`)), diag.RawNowhere); !strings.Contains(d[0].Help, "outbound|80||bank.example") {
		t.Error(d[0].Help)
	}
}
