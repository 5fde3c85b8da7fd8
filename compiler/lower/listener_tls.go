package lower

import (
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func listenerTLS(t *intent.ListenerTLS) *model.ListenerTLS {
	if t == nil {
		return nil
	}
	out := &model.ListenerTLS{
		Mode:       model.TLSMode(scope.Or(t.Mode, string(model.TLSTerminate))),
		CA:         secret(t.CA),
		Pins:       sortedTexts(t.Pins),
		Ciphers:    sortedTexts(t.Ciphers),
		MinVersion: model.TLSVersion(scope.Or(t.MinVersion, string(model.TLS12))),
		MaxVersion: model.TLSVersion(scope.Or(t.MaxVersion, string(model.TLS13))),
		Origin:     t.At,
	}
	for _, c := range t.Certificates {
		out.Certificates = append(out.Certificates, model.Certificate{Secret: *secret(&c.Secret), Hosts: patterns(c.Hosts)})
	}
	return out
}

func secret(s *intent.Secret) *model.Secret {
	switch {
	case s == nil:
		return nil
	case s.Secret != nil:
		return &model.Secret{Kind: model.NamedSecret, Name: s.Secret.V, Origin: s.At}
	default:
		return &model.Secret{Kind: model.FileSecret, Name: s.File.V, Origin: s.At}
	}
}

func redirectHosts(gl *intent.GatewayListener) []string { return patterns(listenerHosts(gl)) }

// Ports that a URL leaves out.
const (
	httpPort  = 80
	httpsPort = 443
)

// toHTTPS answers with the URL at the gateway's https listener. The port is
// left out where both are the usual ones: a client that named :80 gets no :443.
func toHTTPS(g *intent.Gateway, gl *intent.GatewayListener) *model.Redirect {
	out := &model.Redirect{Scheme: "https", Port: uint16(scope.HTTPSListener(g).Port.V), Status: 308}
	if gl.Port.V == httpPort && out.Port == httpsPort {
		out.Port = 0
	}
	return out
}
