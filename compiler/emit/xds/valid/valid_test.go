package valid_test

import (
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/emit/xds/valid"
	"github.com/meshc/meshc/test/stock"
)

// TestBroken: each rule finds what it is about, where it is.
func TestBroken(t *testing.T) {
	if err := valid.Deep(whole().assemble()); err != nil {
		t.Fatal(err)
	}
	for _, c := range broken {
		t.Run(c.name, func(t *testing.T) {
			p := whole()
			c.spoil(p)
			err := valid.Deep(p.assemble())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestEnvoySaysSo holds what the rules say of Envoy against Envoy itself.
func TestEnvoySaysSo(t *testing.T) {
	envoy := stock.Envoy(t)
	if out, err := validate(t, envoy, whole().assemble()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range broken {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := whole()
			c.spoil(p)
			out, err := validate(t, envoy, p.assemble())
			if refused := err != nil; refused != (c.envoy == refuses) {
				t.Errorf("envoy refuses it: %v\n%s", refused, out)
			}
		})
	}
}

func validate(t *testing.T, envoy string, m proto.Message) ([]byte, error) {
	t.Helper()
	config, err := protojson.Marshal(m)
	if err != nil {
		return nil, err // no process could be given it
	}
	return stock.Validate(t, envoy, config)
}

// TestSetNamesTheResource: what one proxy gets fits together, and what does
// not is named.
func TestSetNamesTheResource(t *testing.T) {
	p := whole()
	p.assemble()
	good := &valid.Resources{
		Listeners: []*listenerv3.Listener{p.listener}, Routes: []*routev3.RouteConfiguration{p.routes}, Clusters: []*clusterv3.Cluster{p.cluster},
	}
	if err := valid.Set(good); err != nil {
		t.Fatal(err)
	}
	good.Clusters = append(good.Clusters, p.cluster)
	expect(t, valid.Set(good), `cluster "to" is there twice`)
	good.Clusters = nil
	expect(t, valid.Set(good), `routes "in": there is no cluster "to"`)
	p.cluster.ConnectTimeout = nil
	p.cluster.LoadAssignment = nil
	expect(t, valid.Set(&valid.Resources{Clusters: []*clusterv3.Cluster{p.cluster}}), `cluster "to": a STATIC cluster has endpoints`)
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// TestDeepRefusesStrangers: what is packed and not known, or not what it says.
func TestDeepRefusesStrangers(t *testing.T) {
	for _, packed := range []*anypb.Any{
		{TypeUrl: "type.googleapis.com/nobody.knows.This"},
		{TypeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster", Value: []byte{0xff}},
	} {
		p := whole()
		p.listener.FilterChains = []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{
			{Name: "x", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed}},
		}}}
		if valid.Deep(p.listener) == nil {
			t.Errorf("%s is taken", packed.TypeUrl)
		}
	}
}

func BenchmarkCluster(b *testing.B) {
	p := whole()
	for b.Loop() {
		if err := valid.Message(p.cluster); err != nil {
			b.Fatal(err)
		}
	}
}
