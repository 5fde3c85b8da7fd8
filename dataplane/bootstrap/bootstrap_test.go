package bootstrap

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/meshc/meshc/dataplane/resource"
)

const static = `node: {id: "sidecar~default/x"}
admin: {address: {pipe: {path: /run/admin.sock}}}
static_resources:
  clusters:
  - name: app
    type: STATIC
    connectTimeout: 1s
    load_assignment:
      cluster_name: app
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 80}}}
  listeners:
  - name: in
    address: {socket_address: {address: 127.0.0.1, port_value: 8080}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config: {name: r, virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app}}]}]}
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
`

const dynamic = `node: {id: "sidecar~default/x"}
static_resources:
  clusters:
  - name: meshc-controller
    type: STRICT_DNS
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: meshc-controller
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: controller, port_value: 15010}}}
dynamic_resources:
  ads_config: {api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: meshc-controller}}]}
  lds_config: {ads: {}, resource_api_version: V3}
  cds_config: {ads: {}, resource_api_version: V3}
`

func TestStatic(t *testing.T) {
	b, err := Parse("b.yaml", []byte(static))
	if err != nil {
		t.Fatal(err)
	}
	if b.Node.GetId() != "sidecar~default/x" || *b.Admin != (Admin{"unix", "/run/admin.sock"}) || b.ADS != nil || len(b.Static) != 2 {
		t.Errorf("%+v", b)
	}
	if c := b.Static[0].(*resource.Cluster); c.Endpoints.List[0].Addr.String() != "127.0.0.1:80" {
		t.Errorf("cluster %+v", c)
	}
}

func TestDynamic(t *testing.T) {
	b, err := Parse("b.yaml", []byte(dynamic))
	if err != nil {
		t.Fatal(err)
	}
	if b.ADS == nil || fmt.Sprint(b.ADS.Targets) != "[controller:15010]" || len(b.Static) != 0 {
		t.Errorf("%+v", b)
	}
}

// Each fault is told with its line and with the path of the field.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct{ from, old, new, want string }{
		"unknown field":        {static, "connectTimeout: 1s", "conect_timeout: 1s", "b.yaml:7:5: static_resources.clusters[0].conect_timeout: unknown field"},
		"unknown field in Any": {static, "stat_prefix: in", "stat_prefx: in", "b.yaml:21:11: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.stat_prefx: unknown field"},
		"field twice":          {static, "connectTimeout: 1s", "connectTimeout: 1s\n    connect_timeout: 2s", "b.yaml:8:5: static_resources.clusters[0].connect_timeout: field is there twice"},
		"bad enum":             {static, "type: STATIC", "type: STATTIC", "b.yaml:6:11: static_resources.clusters[0].type: invalid value for enum"},
		"bad duration":         {static, "connectTimeout: 1s", "connectTimeout: 1 s", "b.yaml:7:21: static_resources.clusters[0].connect_timeout:"},
		"bad duration in Any":  {static, "stat_prefix: in", "drain_timeout: soon", "b.yaml:21:26: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.drain_timeout:"},
		"list for object":      {static, `node: {id: "sidecar~default/x"}`, "node: []", "b.yaml:1:7: node: an object is needed here"},
		"unsupported":          {static, "connectTimeout: 1s", "alt_stat_name: x", "b.yaml:7:20: static_resources.clusters[0].alt_stat_name: field is not supported"},
		"unknown type":         {static, "filters.network.http_connection_manager.v3.HttpConnectionManager", "x", `b.yaml:20:20: static_resources.listeners[0].filter_chains[0].filters[0].typed_config: type "type.googleapis.com/envoy.extensions.x" is not supported`},
		"strange runtime key":  {static, "node:", "layered_runtime: {layers: [{name: x, static_layer: {a.b: 1}}]}\nnode:", `layered_runtime.layers[0].static_layer: runtime key "a.b" is not supported`},
		"decoder's refusal":    {static, "prefix: /}, route: {cluster: app}", "prefix: /}, route: {cluster: app, retry_policy: {retry_on: x}}", `b.yaml:14:5: static_resources.listeners[0]: listener "in"`},
		"same name":            {static, "  listeners:", "  - {name: app, type: STATIC}\n  listeners:", `"app" is there twice`},
		"proto's own rules":    {static, "stat_prefix: in", "codec_type: AUTO", "StatPrefix"},
		"not YAML":             {static, "node:", "node: {", "b.yaml: yaml: line"},
		"two documents":        {static, "node:", "a: 1\n---\nnode:", "more than one document"},
		"not an object":        {"- a", "", "", "b.yaml:1:1: a bootstrap is an object"},
		"nothing":              {"", "", "", "b.yaml: EOF"},
		"ADS without node":     {dynamic, `node: {id: "sidecar~default/x"}`, "", "node.id: is needed"},
		"ADS without LDS":      {dynamic, "  lds_config: {ads: {}, resource_api_version: V3}\n", "", "lds_config: must be ads"},
		"ADS to nowhere":       {dynamic, "envoy_grpc: {cluster_name: meshc-controller}", "envoy_grpc: {cluster_name: x}", `b.yaml:16:15: dynamic_resources.ads_config: cluster "x" is not in static_resources`},
		"SotW":                 {dynamic, "DELTA_GRPC", "GRPC", "only DELTA_GRPC"},
		"ADS over HTTP/1":      {dynamic, "http2_protocol_options", "http_protocol_options", "http2_protocol_options"},
		"static beside ADS":    {dynamic, "dynamic_resources:", "  listeners: [{name: l}]\ndynamic_resources:", "static_resources.listeners[0]: static resources beside"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(c.from, c.old, c.new, 1)
			_, err := Parse("b.yaml", []byte(text))
			refused := new(Error)
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAliasesAreFollowed(t *testing.T) {
	text := strings.Replace(static, "address: {socket_address: {address: 127.0.0.1, port_value: 8080}}", "address: &a {socket_address: {address: 127.0.0.1, port_value: 8080}}", 1)
	if _, err := Parse("b.yaml", []byte(text+"  secrets: []\n")); err != nil {
		t.Error(err)
	}
	if _, err := Parse("b.yaml", []byte("node: &n {metadata: {a: *n}}\n")); err == nil {
		t.Error("a value that holds itself was taken")
	}
}

func TestMissingFileIsNotAFaultInIt(t *testing.T) {
	_, err := Load(t.TempDir() + "/none")
	if refused := new(Error); err == nil || errors.As(err, &refused) {
		t.Errorf("error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(static))
	f.Add([]byte(dynamic))
	f.Add([]byte(`{"node":{"id":"x"},"admin":{"address":{"socket_address":{"address":"::1","port_value":1}}}}`))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if b, err := Parse("b", raw); (b == nil) == (err == nil) && err == nil {
			t.Error("neither a bootstrap nor an error")
		}
	})
}
