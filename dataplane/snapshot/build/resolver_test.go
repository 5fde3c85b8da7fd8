package build

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names is a DNS that a test changes.
type names struct {
	mu    sync.Mutex
	addrs []netip.Addr // nil: the lookup fails
}

func (n *names) set(addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs = nil
	for _, a := range addrs {
		n.addrs = append(n.addrs, netip.MustParseAddr(a))
	}
}

func (n *names) lookup(context.Context, string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addrs == nil {
		return nil, errors.New("no such host")
	}
	return append([]netip.Addr(nil), n.addrs...), nil
}

func dnsSet(t *testing.T, family string) *Set {
	t.Helper()
	m := new(clusterv3.Cluster)
	if err := protojson.Unmarshal(fmt.Appendf(nil, `{"name": "c", "type": "STRICT_DNS", "dns_lookup_family": %q, "load_assignment": {"cluster_name": "c",
 "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "h.example.com", "port_value": 80}}}}]}]}}`, family), m); err != nil {
		t.Fatal(err)
	}
	r, err := resource.FromProto(m)
	if err != nil {
		t.Fatal(err)
	}
	set := NewSet()
	set.Add(r)
	return set
}

func TestNamesAreFollowed(t *testing.T) {
	dns := new(names)
	dns.set("10.0.0.2", "::ffff:10.0.0.1", "2001:db8::1", "10.0.0.2")
	resolver := NewResolver(dns.lookup)
	resolver.every = time.Millisecond
	defer resolver.Close()
	builder, set := New(NewSecrets(nil), resolver), dnsSet(t, "V4_PREFERRED")
	expect := func(want string) {
		t.Helper()
		for deadline := time.After(20 * time.Second); ; {
			config, err := builder.Build(set)
			if err != nil {
				t.Fatal(err)
			}
			var got []netip.AddrPort
			for _, e := range config.Clusters["c"].Endpoints {
				got = append(got, e.Addr)
			}
			if fmt.Sprint(got) == want {
				return
			}
			select {
			case <-resolver.Changed():
			case <-deadline:
				t.Fatalf("got %v, want %s", got, want)
			}
		}
	}
	expect("[10.0.0.1:80 10.0.0.2:80]")
	dns.set("2001:db8::1")
	expect("[[2001:db8::1]:80]")
	dns.set() // a failure keeps what there was: lookups go on, once a millisecond
	expect("[[2001:db8::1]:80]")
	set.Clusters = nil
	if _, err := builder.Build(set); err != nil {
		t.Fatal(err)
	}
	resolver.mu.Lock()
	left := len(resolver.names)
	resolver.mu.Unlock()
	if left != 0 {
		t.Errorf("%d names are still followed", left)
	}
}

func TestFamilies(t *testing.T) {
	v4, v6 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")
	both := []netip.Addr{v4, v6}
	for family, want := range map[resource.Family]string{
		resource.Auto: "[2001:db8::1]", resource.V4Only: "[10.0.0.1]", resource.V6Only: "[2001:db8::1]",
		resource.V4Preferred: "[10.0.0.1]", resource.All: "[10.0.0.1 2001:db8::1]",
	} {
		if got := fmt.Sprint(choose(both, family)); got != want {
			t.Errorf("%d: got %s, want %s", family, got, want)
		}
	}
	if got := fmt.Sprint(choose(both[:1], resource.Auto), choose(both[1:], resource.V4Preferred)); got != "[10.0.0.1] [2001:db8::1]" {
		t.Errorf("the other family: %s", got)
	}
}
