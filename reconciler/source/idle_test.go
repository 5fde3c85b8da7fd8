package source

import (
	"strings"
	"testing"
)

// TestOptionsThatWouldDoNothing: a path has no credentials and no transport.
func TestOptionsThatWouldDoNothing(t *testing.T) {
	for name, opts := range map[string]Options{
		"to allow plaintext": {AllowInsecure: true}, "a user name": {Username: "u"}, "a token": {TokenFile: "t"}, "a GitHub App": {App: App{API: "https://x"}},
		"to say what credentials are for": {CredentialsFor: "https://x"}, "a file of roots": {CAFile: "c"}, "an SSH key": {SSHKeyFile: "k"},
		"a file of known hosts": {KnownHostsFile: "k"},
	} {
		if _, err := Open(t.TempDir(), opts); err == nil || !strings.Contains(err.Error(), name+" is of no use") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnUpperCaseAnchorIsRefused: no commit would ever be found to have that name.
func TestAnUpperCaseAnchorIsRefused(t *testing.T) {
	repo := open(t, newTestRepo(t).dir, Options{})
	for anchor, want := range map[string]string{strings.Repeat("A", 40): "lower-case", strings.Repeat("a", 40): "keys"} {
		_, err := repo.NewGate(Policy{Verify: VerifyRange, Anchor: anchor})
		if err == nil || strings.Contains(err.Error(), "lower-case") != (want == "lower-case") {
			t.Errorf("%s: %v", anchor, err)
		}
	}
}
