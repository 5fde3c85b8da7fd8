package identity

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/metadata"

	"github.com/meshc/meshc/ca/api"
	"github.com/meshc/meshc/dataplane/identity/privatefile"
	"github.com/meshc/meshc/dataplane/transport/verify"
)

// controllerPath is the path of the control plane's SPIFFE ID.
const controllerPath = "/ns/meshc-system/sa/meshc-controller"

const (
	maxReply    = 4 << 20 // bytes of a reply of the authority, with the bundles of other trust domains
	callTimeout = 10 * time.Second
)

// obtain makes a new key and has the authority sign it.
func obtain(ctx context.Context, cfg *Config, cur *Identity) (*Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	key, err := newPrivateKey()
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	req := &api.IstioCertificateRequest{
		Csr:              string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})),
		ValidityDuration: int64(cfg.TTL / time.Second),
	}
	reply, err := call(ctx, cfg, cur, req)
	if err != nil {
		return nil, err
	}
	id, err := read(key, reply, cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("reply of the authority at %s: %w", cfg.CAAddress, err)
	}
	want := cfg.SPIFFEID
	if want == "" && cur != nil {
		want = cur.SPIFFEID
	}
	if want != "" && id.SPIFFEID != want {
		return nil, fmt.Errorf("the authority at %s gave an identity for %q, not for %q", cfg.CAAddress, id.SPIFFEID, want)
	}
	return id, nil
}

func call(ctx context.Context, cfg *Config, cur *Identity, req *api.IstioCertificateRequest) (*api.IstioCertificateResponse, error) {
	tlsConfig, err := clientTLS(cfg, cur)
	if err != nil {
		return nil, err
	}
	token, err := cfg.token(cur)
	if err != nil {
		return nil, err
	}
	if token != (Secret{}) {
		tlsConfig.Certificates = nil // both at once could name two callers
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token.Reveal())
	}
	conn, err := connect(cfg, tlsConfig)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	reply, err := api.NewIstioCertificateServiceClient(conn).CreateCertificate(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("authority at %s: %w", cfg.CAAddress, err)
	}
	return reply, nil
}

// read makes an Identity of a reply: the certificates, then the bundle.
func read(key *privateKey, reply *api.IstioCertificateResponse, now time.Time) (*Identity, error) {
	texts := reply.GetCertChain()
	if len(texts) < 2 {
		return nil, errors.New("it lacks the certificate or the trust bundle")
	}
	last := len(texts) - 1
	return assemble(key, []byte(strings.Join(texts[:last], "\n")), []byte(texts[last]), now)
}

// clientTLS trusts the anchors, and accepts the control plane's SPIFFE ID alone.
func clientTLS(cfg *Config, cur *Identity) (*tls.Config, error) {
	roots, err := anchors(cfg, cur)
	if err != nil {
		return nil, err
	}
	spiffeID := cfg.SPIFFEID
	if spiffeID == "" && cur != nil {
		spiffeID = cur.SPIFFEID
	}
	td, err := trustDomain(spiffeID, roots)
	if err != nil {
		return nil, fmt.Errorf("root of the authority: %w", err)
	}
	pool := x509.NewCertPool()
	for _, c := range roots {
		pool.AddCert(c)
	}
	out := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Time:               cfg.Now,
		InsecureSkipVerify: true, // by host name; VerifyConnection verifies by SPIFFE ID
		VerifyConnection:   onlyPeer("spiffe://"+td+controllerPath, pool, cfg.Now),
	}
	if cur != nil {
		out.Certificates = []tls.Certificate{cur.Certificate}
	}
	return out, nil
}

// onlyPeer lets a server in whose certificate is valid and for want.
func onlyPeer(want string, roots *x509.CertPool, now func() time.Time) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		id, err := verify.Chain(cs.PeerCertificates, roots, x509.ExtKeyUsageServerAuth, now())
		if err != nil {
			return fmt.Errorf("authority: %w", err)
		}
		if id.String() != want {
			return fmt.Errorf("authority: the server is %q, not %q", id, want)
		}
		return nil
	}
}

// trustDomain is that of the wanted identity, or else the one that the root
// certificate names.
func trustDomain(spiffeID string, roots []*x509.Certificate) (string, error) {
	if spiffeID != "" {
		id, err := spiffeid.FromString(spiffeID)
		if err != nil {
			return "", fmt.Errorf("SPIFFE ID %q: %w", spiffeID, err)
		}
		return id.TrustDomain().Name(), nil
	}
	id, err := verify.ID(roots[0])
	if err != nil {
		return "", fmt.Errorf("it names no trust domain, give the SPIFFE ID: %w", err)
	}
	return id.TrustDomain().Name(), nil
}

// token is what proves who asks: the platform's token whenever there is one, for it
// knows best whether this workload is still wanted; otherwise the current identity,
// which is no token; otherwise the join token.
func (c *Config) token(cur *Identity) (Secret, error) {
	switch {
	case c.AccountTokenFile != "":
		data, err := readProjected(c.AccountTokenFile)
		if err != nil {
			return Secret{}, fmt.Errorf("token of the platform: %w", err)
		}
		return parseToken(data, c.AccountTokenFile)
	case cur != nil:
		return Secret{}, nil
	case c.TokenFile == "":
		return Secret{}, errors.New("no valid identity and no token file")
	}
	data, err := privatefile.Read(c.TokenFile)
	if err != nil {
		return Secret{}, fmt.Errorf("join token: %w", err)
	}
	return parseToken(data, c.TokenFile)
}

func parseToken(data []byte, path string) (Secret, error) {
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Secret{}, fmt.Errorf("token: %s does not hold one token", path)
	}
	return NewSecret(token), nil
}

// maxToken bounds a token, in bytes.
const maxToken = 64 << 10

// readProjected reads a file of a volume, where it is a symbolic link to what is
// current, with a mode that is the platform's affair.
func readProjected(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err == nil && len(data) > maxToken {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxToken)
	}
	return data, err
}
