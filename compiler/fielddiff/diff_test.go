package fielddiff_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/fielddiff"
	"github.com/meshc/meshc/compiler/model"
)

func line(n int) diag.Range {
	return diag.Range{File: "a.cue", Start: diag.NewPos(n, 1), End: diag.NewPos(n, 2)}
}

// denyRule has every condition.
func denyRule(m model.Match) model.Rule {
	return model.Rule{
		Principals: []string{"spiffe://td/b"}, NotPrincipals: []string{"spiffe://td/c"}, Namespaces: []string{"n"}, NotNamespaces: []string{"o"},
		IPs: []string{"10.0.0.0/8"}, NotIPs: []string{"10.1.0.0/16"}, ClientIPs: []string{"10.0.0.0/8"}, NotClientIPs: []string{"10.1.0.0/16"}, Ports: []uint16{80}, NotPorts: []uint16{81}, Hosts: m.Headers, NotHosts: m.Headers,
		Methods: []string{"GET"}, NotMethods: []string{"PUT"}, Paths: m.Paths, NotPaths: m.Paths, Headers: m.Headers, Origin: line(14),
	}
}

// full has every field of the model set.
func full() *model.Mesh {
	match := model.Match{
		Paths: []model.PathMatch{{Kind: model.Prefix, Value: "/a"}}, Methods: []string{"GET"},
		Headers: []model.NamedMatch{{Name: "x", Kind: model.Exact, Value: "1", Not: true}},
		Query:   []model.NamedMatch{{Name: "q", Kind: model.Exact, Value: "1"}},
		Cookies: []model.NamedMatch{{Name: "c", Kind: model.Exact, Value: "1"}}, Origin: line(5),
	}
	ops := model.HeaderOps{Set: []model.Header{{Name: "s", Value: "1"}}, Add: []model.Header{{Name: "a", Value: "1"}}, Remove: []string{"r"}}
	route := &model.Route{
		Name: "rest", Ports: []uint16{80}, Match: []model.Match{match},
		Split:  []model.Split{{Version: "v1", BasisPoints: 9000, Origin: line(6)}, {Version: "v2", BasisPoints: 1000, Origin: line(7)}},
		Sticky: &model.HashKey{From: model.HashHeader, Name: "u", Origin: line(9)}, Mirror: []model.Mirror{{Service: model.Ref{Namespace: "default", Name: "b"}, Host: "b", Port: 80, Version: "v2", BasisPoints: 100, Origin: line(9)}},
		Upgrades: []string{"websocket"},
		CORS: &model.CORS{
			Origins: []model.NamedMatch{{Kind: model.Exact, Value: "https://a"}}, Methods: []string{"GET"}, Headers: []string{"x"}, ExposeHeaders: []string{"y"},
			MaxAge: time.Minute, HasMaxAge: true, Credentials: true, Origin: line(9),
		},
		Timeout: time.Second, TimeoutOrigin: line(8), MaxDuration: time.Minute, IdleTimeout: time.Minute,
		Hash: []model.HashKey{{From: model.HashHeader, Name: "x", Terminal: true}},
		Retry: &model.Retry{Attempts: 2, On: []string{"5xx"}, Statuses: []uint32{503}, PerTry: time.Second, Methods: []string{"GET"}, PerTryIdle: time.Second, AvoidTried: true,
			Backoff: &model.Backoff{Base: time.Second, Max: time.Minute}, RateLimited: &model.RateLimited{Header: "h", UnixTime: true, Max: time.Minute}, Origin: line(9)},
		RequestHeaders: ops, ResponseHeaders: ops,
		Delay:  &model.Delay{Name: "slow", Fixed: time.Second, BasisPoints: 10, Until: time.Unix(1e9, 0).UTC(), Origin: line(10)},
		Abort:  &model.Abort{Name: "slow", Status: 500, BasisPoints: 10, Until: time.Unix(1e9, 0).UTC(), Origin: line(11)},
		Origin: line(4),
	}
	ports := []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP, MTLS: model.MTLSPermissive, Origin: line(2)}}
	a, b, g := model.Ref{Namespace: "n", Name: "a"}, model.Ref{Namespace: "n", Name: "b"}, model.Ref{Namespace: "n", Name: "g"}
	return &model.Mesh{
		Name: "mesh", TrustDomain: "td",
		Services: []*model.Service{{
			Ref: a, Owner: "o", Host: "a.n", ServiceAccount: "a", SPIFFEID: "spiffe://td/a", Ports: ports,
			Versions: []model.Version{{Name: "v1", Labels: map[string]string{"version": "v1"}, Traffic: traffic()}}, Uses: []model.Ref{b},
			Routes: []*model.Route{route}, MTLS: model.MTLSStrict, AccessLog: model.AccessLog{To: "stdout", Text: "x"},
			Allow:  []model.Rule{{Principals: []string{"spiffe://td/b"}, Methods: []string{"GET"}, Paths: match.Paths, Origin: line(12)}, {Any: true}, {Authenticated: true}},
			Deny:   []model.Rule{denyRule(match)},
			Origin: line(1),
		}},
		Gateways: []*model.Gateway{{
			Ref: g, ServiceAccount: "g", SPIFFEID: "spiffe://td/g", Origin: line(20),
			AllowOnly: true, Allow: []model.Rule{denyRule(match)}, Deny: []model.Rule{denyRule(match)},
			AccessLog: model.AccessLog{To: "stdout", Text: "x"},
			Timeouts:  model.GatewayTimeouts{RequestHeaders: time.Second, Idle: time.Minute, MaxConnection: time.Hour, Origin: line(22)},
			Listeners: []model.GatewayListener{{Name: "web", Port: 8080, Hosts: []model.GatewayHost{{
				Host: "*", Routes: []*model.GatewayRoute{{Name: "x/rest", Service: a, Port: 80, Route: &model.Route{Match: []model.Match{match}}, Origin: line(21),
					Rewrite:        &model.Rewrite{Host: "h", Path: &model.Substitution{Pattern: "x", Text: "y"}, Origin: line(23)},
					RequestHeaders: model.HeaderOps{Set: []model.Header{{Name: "a", Value: "b"}}}, ResponseHeaders: model.HeaderOps{Remove: []string{"c"}}}},
			}}}},
		}},
		Externals: []*model.External{{Ref: b, Host: "b.com", Ports: ports, Endpoints: []string{"1.2.3.4:80"}, Timeout: time.Second, Traffic: &model.Traffic{ConnectTimeout: time.Second}, Origin: line(30),
			TLS: &model.ExternalTLS{
				Ports: []uint16{443}, SNI: "b.com", SANs: []string{"b.com"}, Mode: model.TLSMutual, MinVersion: "1.3",
				CA: &model.Secret{Kind: model.FileSecret, Name: "ca", Origin: line(33)}, Certificate: &model.Secret{Kind: model.NamedSecret, Name: "c", Origin: line(34)},
				Insecure: &model.Insecure{Reason: "r", Until: time.Unix(1, 0), Origin: line(32)}, Origin: line(31),
			}}},
	}
}

// traffic has every field set, so that each is a leaf.
func traffic() *model.Traffic {
	return &model.Traffic{
		ConnectTimeout: time.Second,
		Connections: &model.Connections{
			Max: 1, MaxPending: 2, MaxRequests: 3, MaxRetries: 4, Clients: 1, RequestsPerConnection: 5, Idle: time.Minute, MaxAge: time.Hour,
			Keepalive: &model.Keepalive{Time: time.Minute, Interval: time.Second, Probes: 6},
		},
		RetryBudget: &model.RetryBudget{BasisPoints: 2000, MinConcurrency: 3},
		Outliers: &model.Outliers{
			Consecutive5xx: 5, ConsecutiveGateway: 4, ConsecutiveLocal: 3, Interval: time.Second, Ejection: time.Minute, MaxEjection: time.Hour, MaxPercent: 10, AtLeastOne: true,
			SuccessRate:    &model.SuccessRate{MinHosts: 5, MinRequests: 100, StdevHundredths: 190},
			FailurePercent: &model.FailurePercent{Threshold: 50, MinHosts: 5, MinRequests: 50},
		},
		Health: &model.Health{
			HTTP: &model.HealthHTTP{Path: "/h", Host: "h", Statuses: []uint32{200}}, TCP: &model.HealthTCP{Send: "a", Receive: []string{"b"}},
			Interval: time.Second, Timeout: time.Second, HealthyAfter: 2, UnhealthyAfter: 3, Port: 81,
		},
		Balance: &model.Balance{
			Policy: model.LeastRequest, Choices: 2, RingMin: 1, RingMax: 2, Table: 3, PanicBasisPoints: 5000,
			SlowStart: &model.SlowStart{Window: time.Minute, MinBasisPoints: 1000, AggressionHundredths: 100},
		},
		Locality: &model.LocalityPolicy{
			Mode: model.LocalityFailover, MinCluster: 6,
			Failover:   []model.Failover{{From: model.PlaceOf("eu/a/1"), To: []model.Locality{model.PlaceOf("us/b/2")}}},
			Distribute: []model.Distribution{{From: model.PlaceOf("eu/a/1"), To: []model.PlaceShare{{Place: model.PlaceOf("us/b/2"), BasisPoints: 10_000}}}},
		},
	}
}

// TestEveryFieldOfTheModelShows changes each leaf by itself: a field of the
// model that the diff forgets fails here.
func TestEveryFieldOfTheModelShows(t *testing.T) {
	var leaves [][]any
	collect(reflect.ValueOf(full()), nil, &leaves)
	for _, leaf := range leaves {
		if name := text(leaf); strings.Contains(name, "Origin") || strings.HasSuffix(name, ".Yields") || // follows from the providers
			strings.Contains(name, "Hosts.Routes.Route.") && !strings.Contains(name, "Match") { // taken over from the service
			continue
		}
		changed := full()
		mutate(follow(reflect.ValueOf(changed), leaf))
		if fielddiff.Compute(full(), changed).Same() {
			t.Errorf("%s changed, and the diff is silent", text(leaf))
		}
	}
	if len(leaves) < 70 {
		t.Errorf("only %d leaves visited", len(leaves))
	}
}

func collect(v reflect.Value, at []any, out *[][]any) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			collect(v.Elem(), at, out)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			*out = append(*out, at)
			return
		}
		for i := range v.NumField() {
			collect(v.Field(i), append(at[:len(at):len(at)], v.Type().Field(i).Name), out)
		}
	case reflect.Slice:
		for i := range v.Len() {
			collect(v.Index(i), append(at[:len(at):len(at)], i), out)
		}
	default:
		if v.Kind() != reflect.Bool || v.Bool() {
			*out = append(*out, at)
		}
	}
}

func follow(v reflect.Value, path []any) reflect.Value {
	for _, step := range path {
		for v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		switch s := step.(type) {
		case string:
			v = v.FieldByName(s)
		case int:
			v = v.Index(s)
		}
	}
	return v
}

func text(path []any) string {
	var b strings.Builder
	for _, p := range path {
		if s, ok := p.(string); ok {
			b.WriteString("." + s)
		}
	}
	return b.String()
}

func mutate(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(2e9, 0).UTC()))
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "x")
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.Kind() == reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"other": "label"}))
	case v.CanUint():
		v.SetUint(v.Uint() + 1)
	case v.CanInt():
		v.SetInt(v.Int() + 1_000_000)
	}
}

func TestEqualModelsHaveNoDiff(t *testing.T) {
	moved := full()
	moved.Services[0].Origin = line(99)
	if d := fielddiff.Compute(full(), moved); !d.Same() {
		t.Errorf("only a line moved: %+v", d.Changes)
	}
	var out strings.Builder
	_ = fielddiff.Compute(full(), full()).Text(&out)
	if out.String() != "no differences\n" {
		t.Error(out.String())
	}
}

func TestModelSurvivesJSON(t *testing.T) {
	data, err := json.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	var back model.Mesh
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if d := fielddiff.Compute(full(), &back); !d.Same() {
		t.Errorf("%+v", d.Changes)
	}
}

func TestTextShowsBeforeAfterAndLines(t *testing.T) {
	after := full()
	after.Services[0].Routes[0].Split[0].BasisPoints = 8000
	after.Services[0].Routes[0].Split[0].Origin = line(66)
	after.Services[0].Routes[0].RequestHeaders.Remove = nil
	after.Externals = nil
	var out strings.Builder
	if err := fielddiff.Compute(full(), after).Text(&out); err != nil {
		t.Fatal(err)
	}
	want := `- external n/b
  - endpoints: 1.2.3.4:80  [a.cue:30:1]
  - host: b.com  [a.cue:30:1]
  - ports[http]: 80 http  [a.cue:2:1]
  - ports[http].mtls: permissive  [a.cue:2:1]
  - timeout: 1s  [a.cue:30:1]
  - tls.ca: file ca  [a.cue:33:1]
  - tls.certificate: secret c  [a.cue:34:1]
  - tls.insecure: until 1970-01-01T00:00:01Z: r  [a.cue:32:1]
  - tls.minVersion: 1.3  [a.cue:31:1]
  - tls.mode: mutual  [a.cue:31:1]
  - tls.ports: [443]  [a.cue:31:1]
  - tls.sans: b.com  [a.cue:31:1]
  - tls.sni: b.com  [a.cue:31:1]
  - traffic.connectTimeout: 1s  [a.cue:30:1]
~ service n/a
  - routes[rest].requestHeaders.remove[r]: removed  [a.cue:4:1]
  ~ routes[rest].to[v1]: 90 % → 80 %  [a.cue:66:1]
0 added, 1 changed, 1 removed; 16 fields differ
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}
