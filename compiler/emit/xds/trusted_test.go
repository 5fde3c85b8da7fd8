package xds_test

import (
	"slices"
	"strings"
	"testing"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// Roots that say no trust domain vouch for every one: it is by the matchers that a
// peer of the mesh is of the mesh's, or of an alias. A name that only begins like
// one is not.
func TestPeersAreOfATrustDomain(t *testing.T) {
	judged := 0
	for seed := range meshes() {
		m := compiled(t, seed)
		if seed%2 == 0 {
			m.Aliases = []string{"old.example"}
		}
		all := xds.DefaultWorkloads(m)
		for _, w := range all {
			res, err := xds.Emit(m, w, all, xds.Options{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range messages(res) {
				eachMatched(t, v.(proto.Message), func(peers []*tlsv3.SubjectAltNameMatcher) {
					judged++
					if len(peers) == 0 {
						t.Errorf("seed %d: %s: everybody is a peer: %v", seed, w.NodeID(), v)
					}
					for _, p := range peers {
						if !ofTheMesh(m, p) {
							t.Errorf("seed %d: %s: %v is a peer", seed, w.NodeID(), p)
						}
					}
				})
			}
		}
	}
	if judged == 0 {
		t.Error("no context was judged")
	}
}

func ofTheMesh(m *model.Mesh, p *tlsv3.SubjectAltNameMatcher) bool {
	if p.GetSanType() != tlsv3.SubjectAltNameMatcher_URI || p.GetMatcher().GetIgnoreCase() {
		return false
	}
	switch by := p.GetMatcher().GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		return by.Exact == "spiffe://" || inDomain(m, by.Exact) // which is nobody's, or one's
	case *matcherv3.StringMatcher_Prefix:
		return inDomain(m, by.Prefix)
	}
	return false
}

func inDomain(m *model.Mesh, id string) bool {
	return slices.ContainsFunc(append([]string{m.TrustDomain}, m.Aliases...), func(td string) bool {
		return strings.HasPrefix(id, "spiffe://"+td+"/")
	})
}

// eachMatched gives the matchers of every context whose roots are the mesh's.
func eachMatched(t *testing.T, m proto.Message, found func([]*tlsv3.SubjectAltNameMatcher)) {
	t.Helper()
	err := protorange.Range(m.ProtoReflect(), func(p protopath.Values) error {
		one, ok := p.Index(-1).Value.Interface().(protoreflect.Message)
		if !ok {
			return nil
		}
		switch v := one.Interface().(type) {
		case *anypb.Any:
			inner, err := v.UnmarshalNew()
			if err != nil {
				return err
			}
			eachMatched(t, inner, found)
		case *tlsv3.CommonTlsContext_CombinedCertificateValidationContext:
			if strings.HasPrefix(v.GetValidationContextSdsSecretConfig().GetName(), "bundle|") {
				found(v.GetDefaultValidationContext().GetMatchTypedSubjectAltNames())
			}
		case *tlsv3.CommonTlsContext:
			if strings.HasPrefix(v.GetValidationContextSdsSecretConfig().GetName(), "bundle|") {
				found(nil)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// One certificate may be shown for names that stand apart, and limits count by chain.
func TestACertificateTwice(t *testing.T) {
	m := bookinfo()
	l := &m.Gateways[0].Listeners[0]
	l.MaxConnections = 7
	secret := model.Secret{Kind: model.NamedSecret, Name: "web"}
	l.TLS = &model.ListenerTLS{Mode: model.TLSSimple, MinVersion: model.TLS12, MaxVersion: model.TLS13, Certificates: []model.Certificate{
		{Secret: secret, Hosts: []string{"a.example"}}, {Secret: secret, Hosts: []string{"b.example", "c.example"}}, {Secret: secret},
	}}
	all := xds.DefaultWorkloads(m)
	i := slices.IndexFunc(all, func(w *model.Workload) bool { return w.Role == model.RoleGateway })
	decodes(t, m, all[i], all)
}
