package resource

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rawbufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/dataplane/identity/secretfile"
	"github.com/meshc/meshc/dataplane/transport"
)

// AgentCluster is the SDS source that stands for the proxy's own identity.
const AgentCluster = "meshc-agent"

// Names of the secrets that the proxy itself provides in place of the agent.
const (
	IdentitySecret = "default" // the workload's certificate and key
	RootSecret     = "ROOTCA"  // the trust bundle
)

// Source says who provides a secret.
type Source uint8

// Sources.
const (
	FromAgent Source = iota
	FromADS
)

// SecretRef is one reference to an SDS secret.
type SecretRef struct {
	Name   string
	Source Source
}

// Secret is a trust bundle that came over ADS. A private key never does.
type Secret struct {
	Name   string
	Bundle *x509.CertPool
}

// ResourceName implements Resource.
func (s *Secret) ResourceName() string { return s.Name }

func decodeSecret(m *tlsv3.Secret) (Resource, error) {
	pool, err := transport.BundleFromSecret(m)
	if err != nil {
		return nil, err
	}
	return &Secret{Name: m.GetName(), Bundle: pool}, nil
}

// noSecrets stands in for the live secrets while a context is only judged.
type noSecrets struct{}

func (noSecrets) Certificate(string) func() (*tls.Certificate, error) {
	return func() (*tls.Certificate, error) { return nil, errors.New("no certificate") }
}

func (noSecrets) Bundle(string) func() *x509.CertPool { return func() *x509.CertPool { return nil } }

func downstreamTLS(socket *corev3.TransportSocket) (*tlsv3.DownstreamTlsContext, error) {
	config, err := socketConfig(socket)
	if config == nil || err != nil {
		return nil, err
	}
	ctx, ok := config.(*tlsv3.DownstreamTlsContext)
	if !ok {
		return nil, fmt.Errorf("%s is not for a listener", config.ProtoReflect().Descriptor().FullName())
	}
	if err := checkSecrets(ctx.GetCommonTlsContext()); err != nil {
		return nil, err
	}
	_, err = transport.Server(ctx, noSecrets{})
	return ctx, err
}

func upstreamTLS(socket *corev3.TransportSocket) (*tlsv3.UpstreamTlsContext, error) {
	config, err := socketConfig(socket)
	if config == nil || err != nil {
		return nil, err
	}
	ctx, ok := config.(*tlsv3.UpstreamTlsContext)
	if !ok {
		return nil, fmt.Errorf("%s is not for a cluster", config.ProtoReflect().Descriptor().FullName())
	}
	if err := checkSecrets(ctx.GetCommonTlsContext()); err != nil {
		return nil, err
	}
	_, err = transport.Client(ctx, noSecrets{})
	return ctx, err
}

// socketConfig gives nil for plaintext.
func socketConfig(socket *corev3.TransportSocket) (proto.Message, error) {
	if socket == nil {
		return nil, nil
	}
	if socket.GetTypedConfig() == nil {
		return nil, errors.New("needs a typed_config")
	}
	config, err := socket.GetTypedConfig().UnmarshalNew()
	if err != nil {
		return nil, err
	}
	if _, raw := config.(*rawbufferv3.RawBuffer); raw {
		return nil, nil
	}
	return config, nil
}

// checkSecrets: certificates come from the proxy's own identity or are named by
// the mesh and kept beside the proxy, bundles likewise or over ADS.
func checkSecrets(ctx *tlsv3.CommonTlsContext) error {
	for _, config := range ctx.GetTlsCertificateSdsSecretConfigs() {
		ref, err := secretRef(config)
		if err != nil {
			return fmt.Errorf("tls_certificate_sds_secret_configs: %w", err)
		}
		named := strings.HasPrefix(ref.Name, secretfile.CertificatePrefix) && secretfile.Known(ref.Name)
		if ref.Source != FromAgent || ref.Name != IdentitySecret && !named {
			return fmt.Errorf("tls_certificate_sds_secret_configs: secret %q: only %q and named certificates from %s are supported", ref.Name, IdentitySecret, AgentCluster)
		}
	}
	if config := validationSDS(ctx); config != nil {
		ref, err := secretRef(config)
		if err != nil {
			return fmt.Errorf("validation_context_sds_secret_config: %w", err)
		}
		named := strings.HasPrefix(ref.Name, secretfile.AuthoritiesPrefix) && secretfile.Known(ref.Name)
		if ref.Source == FromAgent && ref.Name != RootSecret && !named {
			return fmt.Errorf("validation_context_sds_secret_config: %s has no secret %q", AgentCluster, ref.Name)
		}
	}
	return nil
}

func validationSDS(ctx *tlsv3.CommonTlsContext) *tlsv3.SdsSecretConfig {
	switch v := ctx.GetValidationContextType().(type) {
	case *tlsv3.CommonTlsContext_CombinedValidationContext:
		return v.CombinedValidationContext.GetValidationContextSdsSecretConfig()
	case *tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig:
		return v.ValidationContextSdsSecretConfig
	}
	return nil
}

// OnlyCluster refuses of a gRPC service what only those have that filters ask.
func OnlyCluster(s *corev3.GrpcService) error {
	if s.GetTimeout() != nil || s.GetEnvoyGrpc().GetAuthority() != "" {
		return errors.New("grpc_services: timeout and authority are not supported here")
	}
	return nil
}

func secretRef(config *tlsv3.SdsSecretConfig) (SecretRef, error) {
	ref := SecretRef{Name: config.GetName(), Source: FromADS}
	if config.GetName() == "" {
		return ref, errors.New("needs a name")
	}
	source := config.GetSdsConfig()
	if source.GetAds() != nil {
		return ref, nil
	}
	for _, service := range source.GetApiConfigSource().GetGrpcServices() {
		if name := service.GetEnvoyGrpc().GetClusterName(); name == AgentCluster {
			if err := OnlyCluster(service); err != nil {
				return ref, fmt.Errorf("secret %q: sds_config: %w", ref.Name, err)
			}
			ref.Source = FromAgent
			return ref, nil
		}
	}
	return ref, fmt.Errorf("secret %q: sds_config must be ads or the gRPC cluster %s", ref.Name, AgentCluster)
}

// secretRefs lists the references of a context that passed checkSecrets.
func secretRefs(ctx *tlsv3.CommonTlsContext) []SecretRef {
	var refs []SecretRef
	for _, config := range append(ctx.GetTlsCertificateSdsSecretConfigs(), validationSDS(ctx)) {
		if config == nil {
			continue
		}
		if ref, err := secretRef(config); err == nil {
			refs = append(refs, ref)
		}
	}
	return refs
}
