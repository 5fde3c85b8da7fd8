package admission

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Files gives the certificate of two PEM files, read for each handshake, because they
// are replaced when they are renewed.
func Files(certificate, key string) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		return &pair, err
	}
}

// Configurations are those of mutating webhooks.
var Configurations = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}

const (
	life     = 90 * 24 * time.Hour // of a certificate that is made here
	renewal  = life / 3            // is when so much of it is left
	backdate = 5 * time.Minute     // for clocks that are behind
	look     = 30 * time.Second    // between looks at the configuration
	learn    = time.Minute         // is what API servers may take to learn of a root
	// maxRoots bounds the roots that a configuration names: those of each replica, and
	// of replicas before them whose roots have not ended.
	maxRoots = 32
)

// SelfMade is a certificate that is made here, and that the configuration of a webhook
// is told to trust. The key is in memory alone. Each replica has one of its own: the
// configuration trusts them all.
type SelfMade struct {
	Client        dynamic.Interface
	Configuration string // name of the MutatingWebhookConfiguration
	Host          string // by which the API server calls
	Log           *slog.Logger

	now atomic.Pointer[pair]
}

// pair is a certificate and its own root.
type pair struct {
	serving tls.Certificate
	root    []byte // PEM
	until   time.Time
	trusted time.Time // when the configuration was first seen to name the root
}

// Certificate is for tls.Config. There is none before the configuration trusts it.
func (s *SelfMade) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if p := s.now.Load(); p != nil {
		return &p.serving, nil
	}
	return nil, errors.New("the webhook is not trusted yet")
}

// Run keeps the certificate valid and trusted until ctx ends. Whoever writes the
// configuration anew without the root has it added again.
func (s *SelfMade) Run(ctx context.Context) {
	var next *pair
	told := ""
	for {
		err := s.ensure(ctx, &next)
		if ctx.Err() != nil {
			return
		}
		wait := look
		if err != nil {
			wait = time.Second
			if err.Error() != told {
				s.Log.Warn("the API server does not trust the webhook yet", "error", err)
			}
			told = err.Error()
		} else {
			told = ""
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// ensure makes a certificate where there is none for long, and serves it when the
// configuration trusts it, and API servers know.
func (s *SelfMade) ensure(ctx context.Context, next **pair) error {
	if *next == nil || time.Until((*next).until) < renewal {
		p, err := newPair(s.Host, time.Now())
		if err != nil {
			return err
		}
		*next = p
	}
	if err := s.trust(ctx, (*next).root); err != nil {
		return err
	}
	now := time.Now()
	if (*next).trusted.IsZero() {
		(*next).trusted = now
	}
	s.now.Store(choose(s.now.Load(), *next, now))
	return nil
}

// choose gives what is served: the old one until API servers have had the time to learn
// of the root of the next, where there is one that has not ended.
func choose(old, next *pair, now time.Time) *pair {
	if old == nil || !now.Before(old.until) || now.Sub(next.trusted) >= learn {
		return next
	}
	return old
}

// trust adds a root to what the configuration names.
func (s *SelfMade) trust(ctx context.Context, root []byte) error {
	u, err := s.Client.Resource(Configurations).Get(ctx, s.Configuration, metav1.GetOptions{})
	if err != nil {
		return err
	}
	hooks, _, err := unstructured.NestedSlice(u.Object, "webhooks")
	if err != nil {
		return err
	}
	patch := []operation{{"test", "/metadata/resourceVersion", u.GetResourceVersion()}}
	for i, h := range hooks {
		hook, _ := h.(map[string]any)
		text, _, _ := unstructured.NestedString(hook, "clientConfig", "caBundle")
		old, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fmt.Errorf("MutatingWebhookConfiguration %s: caBundle: %w", s.Configuration, err)
		}
		if bytes.Contains(old, root) {
			continue
		}
		patch = append(patch, operation{"add", fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), base64.StdEncoding.EncodeToString(roots(root, old, time.Now()))})
	}
	if len(hooks) == 0 {
		return fmt.Errorf("MutatingWebhookConfiguration %s has no webhooks", s.Configuration)
	}
	if len(patch) == 1 {
		return nil
	}
	data, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	_, err = s.Client.Resource(Configurations).Patch(ctx, s.Configuration, types.JSONPatchType, data, metav1.PatchOptions{FieldManager: "meshc"})
	return err
}

// roots are the first, and the newest of the others that are certificates and have
// not ended.
func roots(first, others []byte, now time.Time) []byte {
	var live []*x509.Certificate
	for rest := others; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && !now.After(c.NotAfter) {
			live = append(live, c)
		}
	}
	slices.SortStableFunc(live, func(a, b *x509.Certificate) int { return b.NotBefore.Compare(a.NotBefore) })
	out := bytes.Clone(first)
	for _, c := range live[:min(len(live), maxRoots-1)] {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// newPair makes a root that signs one certificate, and forgets its key.
func newPair(host string, now time.Time) (*pair, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "meshc webhook " + host}, NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign, PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{host},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	return &pair{
		serving: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		root:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), until: leaf.NotAfter,
	}, nil
}

// serial is a random number of 120 bits.
func serial() *big.Int {
	b := make([]byte, 15)
	_, _ = rand.Read(b) // it never fails
	return new(big.Int).SetBytes(b)
}
