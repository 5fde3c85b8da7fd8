package transport

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// TestPins: who has another key is refused, whoever vouches for them; who has the
// key is not let in without.
func TestPins(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	known, other, foreign := a.issue(t, leaf(cart)), a.issue(t, leaf(cart)), stranger.issue(t, leaf(cart))
	pinned := func(keys ...string) string {
		list := ""
		for _, k := range keys {
			list += fmt.Sprintf(",%q", k)
		}
		return `{"requireClientCertificate":true,"commonTlsContext":{` + ownCert + `,` + fmt.Sprintf(mtls, `"verifyCertificateSpki":[`+list[1:]+`]`) + `}}`
	}
	digest := func(der []byte) string {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	key, strange := digest(known.Certificate[0]), digest(foreign.Certificate[0])
	s := newSecrets(a.issue(t, leaf(admin)), a.pool())
	for _, c := range []struct {
		name   string
		pins   []string
		shown  string
		refuse string
	}{
		{"the key", []string{key}, "known", ""},
		{"one of several", []string{strange, key}, "known", ""},
		{"another key", []string{key}, "other", "verify_certificate_spki"},
		{"the key of a stranger", []string{strange}, "foreign", "unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := mustServer(t, downstream(t, pinned(c.pins...)), s)
			client := map[string]*secrets{"known": newSecrets(known, a.pool()), "other": newSecrets(other, a.pool()), "foreign": newSecrets(foreign, a.pool())}[c.shown]
			_, _, err, _ := handshake(t, server, mustClient(t, exactClient(t, admin), client))
			if c.refuse == "" && err != nil {
				t.Fatal(err)
			}
			if c.refuse != "" {
				refused(t, err, c.refuse)
			}
		})
	}
	optional := downstream(t, strings.Replace(pinned(key), "true", "false", 1))
	_, _, err, _ := handshake(t, mustServer(t, optional, s), &tls.Config{InsecureSkipVerify: true})
	if err == nil {
		t.Error("a client without a certificate has none of the keys, and was let in")
	}
	for _, bad := range []string{"", "AAAA", key + "AAAA", key[:43] + "!", key[:42] + "B="} {
		_, err := Server(downstream(t, pinned(bad)), s)
		refused(t, err, "verify_certificate_spki[0]")
	}
}
