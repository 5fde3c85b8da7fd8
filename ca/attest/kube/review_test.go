package kube

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	rbacclient "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/api"
	"github.com/meshc/meshc/ca/attest"
	"github.com/meshc/meshc/ca/catest"
	"github.com/meshc/meshc/deploy/rbac"
	"github.com/meshc/meshc/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Run(m)) }

// world is an authority that asks a real API server.
type world struct {
	t         *testing.T
	namespace string
	server    *apiserver.Server
	core      *coreclient.CoreV1Client
	client    api.IstioCertificateServiceClient
	csr       string
	pods      int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := apiserver.Start(t)
	w := &world{t: t, server: s, namespace: s.Namespace(t)}
	var err error
	w.core, err = coreclient.NewForConfig(s.Config(apiserver.Admin))
	must(t, err)
	w.grant()
	reviewer, err := New(s.Config(apiserver.Meshc), catest.TrustDomain)
	must(t, err)
	srv := catest.Run(t, ca.Config{
		Methods: []attest.Method{attest.ByTokenReview, attest.ByJoinToken}, Reviewer: reviewer, Rate: ca.Rate{PerSecond: 1e6, Burst: 1e6},
	})
	conn, err := grpc.NewClient("dns:///"+srv.Addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}))) // the server is not in question
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	w.client = api.NewIstioCertificateServiceClient(conn)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"admin"}}, key)
	must(t, err)
	w.csr = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// grant gives the authority what deploy/rbac says, and nothing else.
func (w *world) grant() {
	w.t.Helper()
	client, err := rbacclient.NewForConfig(w.server.Config(apiserver.Admin))
	must(w.t, err)
	role := &rbacv1.ClusterRole{}
	must(w.t, yaml.UnmarshalStrict(rbac.CA, role))
	role.Name = w.namespace
	_, err = client.ClusterRoles().Create(w.t.Context(), role, metav1.CreateOptions{})
	must(w.t, err)
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: apiserver.Meshc}},
	}
	_, err = client.ClusterRoleBindings().Create(w.t.Context(), binding, metav1.CreateOptions{})
	must(w.t, err)
}

func (w *world) account(name string) {
	w.t.Helper()
	_, err := w.core.ServiceAccounts(w.namespace).Create(w.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(w.t, err)
}

func (w *world) pod(account string) *corev1.Pod {
	w.t.Helper()
	w.pods++
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", account, w.pods)},
		Spec:       corev1.PodSpec{ServiceAccountName: account, Containers: []corev1.Container{{Name: "app", Image: "app"}}},
	}
	pod, err := w.core.Pods(w.namespace).Create(w.t.Context(), pod, metav1.CreateOptions{})
	must(w.t, err)
	return pod
}

func (w *world) remove(pod *corev1.Pod) {
	w.t.Helper()
	none := int64(0)
	must(w.t, w.core.Pods(w.namespace).Delete(w.t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &none}))
}

// token is what the kubelet projects into a pod: of account, for audience, bound to
// pod (nil: to nothing).
func (w *world) token(account, audience string, pod *corev1.Pod) string {
	w.t.Helper()
	life := int64(3600)
	req := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &life}}
	if audience != "" {
		req.Spec.Audiences = []string{audience}
	}
	if pod != nil {
		req.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}
	}
	got, err := w.core.ServiceAccounts(w.namespace).CreateToken(w.t.Context(), account, req, metav1.CreateOptions{})
	must(w.t, err)
	return got.Status.Token
}

// ask gives the SPIFFE ID of the certificate that a token is good for.
func (w *world) ask(token string) (string, error) {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	reply, err := w.client.CreateCertificate(ctx, &api.IstioCertificateRequest{Csr: w.csr})
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode([]byte(reply.GetCertChain()[0]))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || len(leaf.URIs) != 1 {
		return "", fmt.Errorf("%v, %w", leaf, err)
	}
	return leaf.URIs[0].String(), nil
}

func (w *world) id(account string) string {
	return fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", catest.TrustDomain, w.namespace, account)
}

func (w *world) wantID(token, account string) {
	w.t.Helper()
	if got, err := w.ask(token); err != nil || got != w.id(account) {
		w.t.Fatalf("got %q, %v; want %q", got, err, w.id(account))
	}
}

// sign makes a token with the API server's own key, which says of pod what the
// server would say but for what change does.
func (w *world) sign(account string, pod *corev1.Pod, change func(claims map[string]any)) string {
	w.t.Helper()
	block, _ := pem.Decode(w.server.AccountKey(w.t))
	key, err := x509.ParseECPrivateKey(block.Bytes)
	must(w.t, err)
	sa, err := w.core.ServiceAccounts(w.namespace).Get(w.t.Context(), account, metav1.GetOptions{})
	must(w.t, err)
	now := time.Now()
	claims := map[string]any{
		"aud": []string{Audience}, "iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:" + w.namespace + ":" + account,
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "nbf": now.Unix(),
		"kubernetes.io": map[string]any{
			"namespace": w.namespace, "serviceaccount": map[string]any{"name": account, "uid": string(sa.UID)},
			"pod": map[string]any{"name": pod.Name, "uid": string(pod.UID)},
		},
	}
	change(claims)
	id, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: w.keyID(account)}}, nil)
	must(w.t, err)
	token, err := jwt.Signed(id).Claims(claims).Serialize()
	must(w.t, err)
	return token
}

// keyID is that which the server gives to its key.
func (w *world) keyID(account string) string {
	w.t.Helper()
	parsed, err := jwt.ParseSigned(w.token(account, Audience, nil), []jose.SignatureAlgorithm{jose.ES256})
	must(w.t, err)
	return parsed.Headers[0].KeyID
}

// Issue 7: a token of a service account for our audience, bound to a live pod, gives
// that service account's identity and no other, by any of its pods.
func TestAPodGetsTheIdentityOfItsServiceAccount(t *testing.T) {
	w := newWorld(t)
	for _, account := range []string{"cart", "web"} {
		w.account(account)
		for range 2 {
			token := w.token(account, Audience, w.pod(account))
			w.wantID(token, account)
			w.wantID(token, account) // as often as the kubelet's token lasts
		}
	}
	pod := w.pod("cart")
	w.wantID(w.sign("cart", pod, func(map[string]any) {}), "cart") // the signed ones below are refused for what they change
}

// Issue 7: wrong audience, deleted pod, other service account, expired and legacy
// tokens: 0 of 1,000 accepted, by a real kube-apiserver.
func TestNoOtherTokenIsAccepted(t *testing.T) {
	w := newWorld(t)
	w.account("cart")
	w.account("admin")
	pod := w.pod("cart")
	kinds := map[string]func() string{
		"wrong audience":            func() string { return w.token("cart", "somebody-else", pod) },
		"the API server's audience": func() string { return w.token("cart", "", pod) },
		"not bound":                 func() string { return w.token("cart", Audience, nil) },
		"deleted pod":               w.ofDeletedPod,
		"a pod of another account":  func() string { return w.sign("admin", pod, func(map[string]any) {}) },
		"expired": func() string {
			return w.sign("cart", pod, func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() })
		},
		"not yet valid": func() string {
			return w.sign("cart", pod, func(c map[string]any) { c["nbf"] = time.Now().Add(time.Hour).Unix() })
		},
		"of another issuer": func() string {
			return w.sign("cart", pod, func(c map[string]any) { c["iss"] = "https://elsewhere.example" })
		},
		"a pod that never was":       func() string { return w.sign("cart", pod, w.otherPod) },
		"an account that was before": func() string { return w.sign("cart", pod, w.otherAccount) },
		"legacy":                     func() string { return w.sign("cart", pod, w.legacy) },
		"another signature":          func() string { token := w.token("cart", Audience, pod); return token[:len(token)-8] + "AAAAAAAA" },
		"no signature":               func() string { token := w.token("cart", Audience, pod); return token[:strings.LastIndex(token, ".")+1] },
		"a finished pod":             w.ofFinishedPod,
		"a user's token":             func() string { return "x.y." + w.server.Config(apiserver.Admin).BearerToken },
	}
	tried, accepted := 0, 0
	for tried < 1000 {
		for name, make := range kinds {
			tried++
			id, err := w.ask(make())
			if err == nil {
				accepted++
				t.Errorf("%s: accepted as %s", name, id)
			} else if status.Code(err) != codes.Unauthenticated {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	t.Logf("%d tokens of %d kinds, %d accepted", tried, len(kinds), accepted)
}

// ofDeletedPod is a token that was good a moment ago, as the API server remembers.
func (w *world) ofDeletedPod() string {
	w.t.Helper()
	pod := w.pod("cart")
	token := w.token("cart", Audience, pod)
	w.wantID(token, "cart")
	w.remove(pod)
	return token
}

func (w *world) ofFinishedPod() string {
	w.t.Helper()
	pod := w.pod("cart")
	token := w.token("cart", Audience, pod)
	pod.Status.Phase = corev1.PodSucceeded
	_, err := w.core.Pods(w.namespace).UpdateStatus(w.t.Context(), pod, metav1.UpdateOptions{})
	must(w.t, err)
	return token
}

func (w *world) otherPod(claims map[string]any) {
	claims["kubernetes.io"].(map[string]any)["pod"] = map[string]any{"name": "never", "uid": "00000000-0000-0000-0000-000000000000"}
}

func (w *world) otherAccount(claims map[string]any) {
	claims["kubernetes.io"].(map[string]any)["serviceaccount"] = map[string]any{"name": "cart", "uid": "00000000-0000-0000-0000-000000000000"}
}

// legacy is what tokens in Secrets said: no audience, no end, no pod.
func (w *world) legacy(claims map[string]any) {
	for _, name := range []string{"aud", "exp", "iat", "nbf", "kubernetes.io"} {
		delete(claims, name)
	}
	claims["iss"] = "kubernetes/serviceaccount"
	claims["kubernetes.io/serviceaccount/namespace"] = w.namespace
	claims["kubernetes.io/serviceaccount/service-account.name"] = "cart"
	claims["kubernetes.io/serviceaccount/secret.name"] = "cart-token"
}

// Nobody can tell who asks while the API server does not answer: that is not the
// caller's fault, and is no certificate either.
func TestAnAPIServerThatCannotBeAskedIsNoAnswer(t *testing.T) {
	w := newWorld(t)
	config := w.server.Config(apiserver.Meshc)
	config.Host = "https://127.0.0.1:1"
	r, err := New(config, catest.TrustDomain)
	must(t, err)
	w.account("cart")
	if _, err := r.Review(t.Context(), w.token("cart", Audience, w.pod("cart"))); err == nil || !strings.Contains(err.Error(), attest.ErrUnavailable.Error()) {
		t.Errorf("error %v", err)
	}
}
