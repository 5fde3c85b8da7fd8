package source

import "testing"

// TestCredentialsAreForAPrefix: a token goes below what it is for, and nowhere else.
func TestCredentialsAreForAPrefix(t *testing.T) {
	for _, c := range []struct {
		prefix, at string
		ok         bool
	}{
		{"", "https://git.example/a", true}, {"https://git.example", "https://git.example/a", true}, {"https://git.example/", "https://GIT.example:443/a/b", true},
		{"https://git.example/org", "https://git.example/org/mesh", true}, {"https://git.example/org/", "https://git.example/org/mesh.git", true},
		{"https://git.example/org/mesh.git", "https://git.example/org/mesh.git", true},
		{"https://git.example/org", "https://git.example/organ/mesh", false}, {"https://git.example/org", "https://git.example/other", false},
		{"https://git.example/org", "https://git.example/org/../other/mesh", false}, {"https://git.example/org", "https://git.example/org/%2e%2e/other", false},
		{"https://git.example/org", "https://evil.example/org/mesh", false}, {"https://git.example/org", "https://git.example.evil/org/mesh", false},
		{"https://git.example/org", "https://git.example:8443/org/mesh", false}, {"http://127.0.0.1:80/a", "https://127.0.0.1:80/a", false},
		{"git.example/org", "https://git.example/org/mesh", false}, {"https://user@git.example/org", "https://git.example/org/mesh", false},
	} {
		for what, opts := range map[string]Options{
			"a token": {TokenFile: "token", CredentialsFor: c.prefix},
			"an app":  {App: App{ID: "1", Installation: "2", KeyFile: "key"}, CredentialsFor: c.prefix},
		} {
			if _, err := Open(c.at, opts); (err == nil) != c.ok {
				t.Errorf("%s for %q at %s: %v", what, c.prefix, c.at, err)
			}
		}
	}
	if _, err := Open("https://evil.example/x", Options{CredentialsFor: "https://git.example"}); err != nil {
		t.Errorf("without credentials: %v", err)
	}
}
