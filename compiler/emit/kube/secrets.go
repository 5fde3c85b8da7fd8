package kube

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// What is mounted for certificates that the mesh names, and where.
const (
	secretsVolume = "meshc-secrets"
	secretsDir    = "/etc/meshc/secrets"
)

// secretSource is keys of a Secret of the pod's namespace.
type secretSource struct {
	Name  string    `yaml:"name"`
	Items []keyPath `yaml:"items"`
}

type keyPath struct {
	Key  string `yaml:"key"`
	Path string `yaml:"path"`
}

// secrets are the Secrets that the proxy of the pod reads: what it shows externals,
// and who vouches for them. A file is in no Secret that is known, so a pod whose
// proxy reads one is refused.
func (a *addition) secrets() ([]source, error) {
	items := map[string][]keyPath{}
	add := func(owner *model.External, s *model.Secret, keys ...string) error {
		switch {
		case s == nil:
			return nil
		case s.Kind == model.FileSecret:
			return fmt.Errorf("external %s names the file %q of the proxy's directory of secrets, which pods do not have: name a secret", owner.Ref, s.Name)
		}
		for _, key := range keys {
			if one := (keyPath{key, s.Name + "/" + key}); !slices.Contains(items[s.Name], one) {
				items[s.Name] = append(items[s.Name], one)
			}
		}
		return nil
	}
	for _, e := range a.mesh.Externals {
		if e.TLS == nil || e.Via != nil || !a.service.Reaches(e.Ref) {
			continue
		}
		if err := add(e, e.TLS.Certificate, "tls.crt", "tls.key"); err != nil {
			return nil, err
		}
		if err := add(e, e.TLS.CA, "ca.crt"); err != nil {
			return nil, err
		}
	}
	var out []source
	for name, list := range items {
		slices.SortFunc(list, func(a, b keyPath) int { return strings.Compare(a.Key, b.Key) })
		out = append(out, source{Secret: &secretSource{name, list}})
	}
	slices.SortFunc(out, func(a, b source) int { return strings.Compare(a.Secret.Name, b.Secret.Name) })
	return out, nil
}

// secretArgs say where certificates are that the mesh names; nothing where it names none.
func secretArgs(sources []source) []string {
	if len(sources) == 0 {
		return nil
	}
	return []string{"--secrets-dir=" + secretsDir}
}
