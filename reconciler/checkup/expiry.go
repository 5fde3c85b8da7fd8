package checkup

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
)

// Role is what a certificate is for.
type Role struct {
	name string
	most time.Duration // left, below which it is late whatever its life is
	fix  string
}

// Roles. A certificate is late when less than a quarter of its life is left, or less
// than this if that is more than enough to replace it (docs/expiry.md).
var (
	Root = Role{"root", 180 * day,
		"meshc ca rotate root, with the root's key where the authority keeps its keys; a mounted root is its owner's to replace, and the next one goes into ca.crt first"}
	Issuer = Role{"issuer", 60 * day,
		"the authority replaces it at half of its life while it has the root's key (meshc ca status); a mounted one is its owner's to renew"}
	Shown = Role{"certificate", 30 * day,
		"renew it where it comes from and replace the Secret or the files; proxies read them again at once"}
)

const day = 24 * time.Hour

// Expiry tells whether a certificate ends so soon that somebody has to see to it.
func Expiry(role Role, name string, notBefore, notAfter, now time.Time) Finding {
	f := Finding{What: role.name + " " + name, State: OK, Detail: "until " + notAfter.UTC().Format(time.RFC3339)}
	left := notAfter.Sub(now)
	switch {
	case left <= 0:
		f.State, f.Detail = Bad, fmt.Sprintf("ended at %s: whoever verifies it refuses it", notAfter.UTC().Format(time.RFC3339))
	case now.Before(notBefore):
		f.State, f.Detail = Bad, fmt.Sprintf("not valid before %s", notBefore.UTC().Format(time.RFC3339))
	case left < min(notAfter.Sub(notBefore)/4, role.most):
		f.State, f.Detail = Bad, fmt.Sprintf("ends at %s, in %s", notAfter.UTC().Format(time.RFC3339), rough(left))
	}
	if f.State == Bad {
		f.Fix = role.fix
	}
	return f
}

// rough says a time by its largest unit.
func rough(d time.Duration) string {
	if d >= 2*day {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.Round(time.Second).String()
}

// maxCertificates bounds a file or a value of certificates, in bytes.
const maxCertificates = 1 << 20

// certificates reads the PEM certificates of a text. Other blocks are passed over: a
// key may be beside them.
func certificates(text []byte) (out []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return out, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
}

// first is the one of certificates that ends first: none of the others is of use then.
func first(certs []*x509.Certificate) *x509.Certificate {
	return slices.MinFunc(certs, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
}

// Files looks at the certificates in a directory of secrets, as gateways have one.
func Files(dir string, now time.Time) ([]Finding, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var found []Finding
	err = fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			found = append(found, Finding{What: "certificate " + path, State: Unknown, Detail: err.Error()})
			return nil
		case strings.HasPrefix(e.Name(), ".."): // what the links of a volume lead to
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case e.IsDir():
			return nil
		}
		certs, err := readCertificates(root, path)
		switch {
		case err != nil:
			found = append(found, Finding{What: "certificate " + path, State: Unknown, Detail: err.Error()})
		case len(certs) > 0:
			c := first(certs)
			found = append(found, Expiry(Shown, path, c.NotBefore, c.NotAfter, now))
		}
		return nil
	})
	return found, err
}

func readCertificates(root *os.Root, path string) ([]*x509.Certificate, error) {
	f, err := root.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxCertificates+1))
	if err == nil && len(text) > maxCertificates {
		err = errors.New("the file is too large")
	}
	if err != nil {
		return nil, err
	}
	return certificates(text)
}

var (
	configMaps = corev1.SchemeGroupVersion.WithResource("configmaps")
	secrets    = corev1.SchemeGroupVersion.WithResource("secrets")
)

// expiries looks at the roots that injected pods are given, and at the certificates in
// Secrets of namespaces whose pods have proxies.
func (c *Checker) expiries(ctx context.Context) {
	now := time.Now()
	maps, err := c.client.Resource(configMaps).List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", rootMap).String()})
	if err != nil {
		c.failed("roots", err, "")
		return
	}
	seen := map[string]bool{}
	for i := range maps.Items {
		o := &maps.Items[i]
		text, _, _ := unstructured.NestedString(o.Object, "data", rootKey)
		certs, err := certificates([]byte(text))
		if err != nil || len(certs) == 0 {
			c.add("roots of namespace "+o.GetNamespace(), Bad, "the ConfigMap "+rootMap+" has no roots that can be read", "the controller writes it (--publish-roots); see its log")
			continue
		}
		for _, root := range certs {
			if !seen[string(root.Raw)] {
				seen[string(root.Raw)] = true
				c.found = append(c.found, Expiry(Root, "of serial number "+root.SerialNumber.Text(16), root.NotBefore, root.NotAfter, now))
			}
		}
	}
	c.tlsSecrets(ctx, now)
}

func (c *Checker) tlsSecrets(ctx context.Context, now time.Time) {
	spaces, err := c.client.Resource(namespaces).List(ctx, metav1.ListOptions{LabelSelector: injected})
	if err != nil {
		c.failed("certificates in Secrets", err, "")
		return
	}
	for _, ns := range spaces.Items {
		list, err := c.client.Resource(secrets).Namespace(ns.GetName()).List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("type", string(corev1.SecretTypeTLS)).String()})
		if err != nil {
			c.failed("certificates in Secrets of namespace "+ns.GetName(), err, "")
			return
		}
		for i := range list.Items {
			c.found = append(c.found, ofSecret(&list.Items[i], now))
		}
	}
}

// ofSecret looks at the certificate of a Secret, and at nothing else in it.
func ofSecret(o *unstructured.Unstructured, now time.Time) Finding {
	name := o.GetNamespace() + "/" + o.GetName()
	data, _, _ := unstructured.NestedString(o.Object, "data", corev1.TLSCertKey)
	text, err := base64.StdEncoding.DecodeString(data)
	var certs []*x509.Certificate
	if err == nil {
		certs, err = certificates(text)
	}
	if err != nil || len(certs) == 0 {
		return Finding{What: "certificate " + name, State: Unknown, Detail: "the Secret has no certificate that can be read"}
	}
	c := first(certs)
	return Expiry(Shown, name, c.NotBefore, c.NotAfter, now)
}
