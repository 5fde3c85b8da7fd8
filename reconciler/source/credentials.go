package source

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// checkCredentialsFor refuses to send a token to an address that it is not for:
// whoever writes the address need not be who gave the token.
func checkCredentialsFor(a address, prefix string) error {
	if prefix == "" {
		return nil
	}
	at, err := url.Parse(prefix)
	if err != nil || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		return fmt.Errorf("credentials: %q is not the beginning of a URL", prefix)
	}
	usual := map[string]string{"https": "443", "http": "80"}[at.Scheme]
	below := strings.TrimSuffix(at.Path, "/") + "/"
	if string(a.scheme) != at.Scheme || !strings.EqualFold(a.host, at.Hostname()) || cmp.Or(a.port, usual) != cmp.Or(at.Port(), usual) || path.Clean(a.path) != strings.TrimSuffix(a.path, "/") ||
		!strings.HasPrefix(a.path+"/", below) {
		return fmt.Errorf("repository %s: the credentials are for %s", a, prefix)
	}
	return nil
}
