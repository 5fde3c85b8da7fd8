package kube

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	rbacclient "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/ca/sign"
	"github.com/meshc/meshc/ca/template"
	"github.com/meshc/meshc/deploy/rbac"
	"github.com/meshc/meshc/test/apiserver"
	"github.com/meshc/meshc/test/loopback"
)

// TestReplicasShareAnIssuerAndAskTheAPIServer: two controllers that mount one issuer
// give certificates to pods by the tokens of their service accounts. A proxy that has
// its certificate from one is let in by the other, and talks to a proxy that has its
// own from the other.
func TestReplicasShareAnIssuerAndAskTheAPIServer(t *testing.T) {
	w := newWorld(t)
	w.grantReviews()
	w.follow(nil)
	w.repo.mesh("100", "0")
	issuer := w.issuerDir()
	type replica struct{ ads, ca string }
	var replicas []replica
	for _, name := range []string{"one", "two"} {
		r := replica{loopback.Address(t), loopback.Address(t)}
		replicas = append(replicas, r)
		w.replica(name, "", "--ca-issuer-dir", issuer, "--ca-attest", "token-review", "--ca-root-out", w.at("roots.pem"), "--ads-address", r.ads, "--ca-address", r.ca)
	}
	core, err := coreclient.NewForConfig(w.server.Config(apiserver.Admin))
	must(t, err)
	for i, x := range w.workloads {
		file := w.at(x.ID + ".token")
		w.projectToken(core, x.Service.Name, x.ID, file)
		args := w.proxyArgs(x, replicas[i%2].ads, replicas[(i+1)%2].ca)
		args = slices.DeleteFunc(args, func(a string) bool { return a == "--join-token-file" || strings.HasSuffix(a, "/token") })
		launch(t, "meshc-proxy", append(args, "--token-file", file)...)
	}
	w.wantAnswer("200 api-v1")

	for _, name := range []string{"one", "two"} {
		for line := range strings.Lines(w.read(filepath.Join("ca-"+name, "audit.jsonl"))) {
			var r struct{ SPIFFEID, Workload, Method string }
			must(t, json.Unmarshal([]byte(line), &r))
			if r.Method != "own" && (r.Method != "token-review" || !strings.HasPrefix(r.Workload, "default/") || !strings.HasPrefix(r.SPIFFEID, "spiffe://cluster.local/ns/default/sa/")) {
				t.Errorf("audit record %s", line)
			}
		}
	}
}

func (w *world) read(name string) string {
	w.t.Helper()
	data, err := os.ReadFile(w.at(name))
	must(w.t, err)
	return string(data)
}

// grantReviews lets the controller do what deploy/rbac says of the role ca.
func (w *world) grantReviews() {
	w.t.Helper()
	client, err := rbacclient.NewForConfig(w.server.Config(apiserver.Admin))
	must(w.t, err)
	role := &rbacv1.ClusterRole{}
	must(w.t, yaml.UnmarshalStrict(rbac.CA, role))
	role.Name = w.namespace + "-ca"
	_, err = client.ClusterRoles().Create(w.t.Context(), role, metav1.CreateOptions{})
	must(w.t, err)
	_, err = client.ClusterRoleBindings().Create(w.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: apiserver.Meshc}},
	}, metav1.CreateOptions{})
	must(w.t, err)
}

// issuerDir is what is mounted of a Secret: an issuer, and no key of its root.
func (w *world) issuerDir() string {
	w.t.Helper()
	td := spiffeid.RequireTrustDomainFromString(domain)
	var keys [2]*ecdsa.PrivateKey
	for i := range keys {
		var err error
		keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(w.t, err)
	}
	tmpl, err := template.Root(td, time.Now())
	must(w.t, err)
	root, err := sign.Certificate(tmpl, tmpl, keys[0].Public(), keys[0])
	must(w.t, err)
	tmpl, err = template.Issuer(td, root, time.Now())
	must(w.t, err)
	issuer, err := sign.Certificate(tmpl, root, keys[1].Public(), keys[0])
	must(w.t, err)
	der, err := x509.MarshalPKCS8PrivateKey(keys[1])
	must(w.t, err)
	dir := w.at("issuer")
	must(w.t, os.Mkdir(dir, 0o755))
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: issuer.Raw}, "tls.key": {Type: "PRIVATE KEY", Bytes: der}, "ca.crt": {Type: "CERTIFICATE", Bytes: root.Raw},
	} {
		must(w.t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o440))
	}
	return dir
}

// projectToken makes a pod of a service account and writes the token that a kubelet
// would mount in it.
func (w *world) projectToken(core *coreclient.CoreV1Client, account, pod, file string) {
	w.t.Helper()
	ctx := w.t.Context()
	_, err := core.ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		must(w.t, err)
	}
	p, err := core.Pods("default").Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: pod + "-"},
		Spec:       corev1.PodSpec{ServiceAccountName: account, Containers: []corev1.Container{{Name: "app", Image: "app"}}},
	}, metav1.CreateOptions{})
	must(w.t, err)
	w.t.Cleanup(func() {
		none := int64(0)
		_ = core.Pods("default").Delete(context.Background(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &none}) // nobody else looks at it
	})
	life := int64(3600)
	got, err := core.ServiceAccounts("default").CreateToken(ctx, account, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{"meshc-ca"}, ExpirationSeconds: &life,
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID},
	}}, metav1.CreateOptions{})
	must(w.t, err)
	must(w.t, os.WriteFile(file, []byte(got.Status.Token), 0o644))
}
