package source

import (
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	abs := t.TempDir()
	for in, want := range map[string]string{
		abs:                               abs,
		"https://example.com/a/b.git":     "https://example.com/a/b.git",
		"https://example.com:8443/a":      "https://example.com:8443/a",
		"HTTPS://example.com/a":           "https://example.com/a",
		"ssh://example.com/a.git":         "ssh://git@example.com/a.git",
		"ssh://me@example.com:2222/a.git": "ssh://me@example.com:2222/a.git",
		"git@example.com:team/a.git":      "git@example.com:team/a.git",
		"git://127.0.0.1/a":               "git://127.0.0.1/a",
		"ssh://[::1]:2222/a":              "ssh://git@[::1]:2222/a",
	} {
		a, err := parseAddress(in)
		if err != nil || a.String() != want {
			t.Errorf("%q = %q, %v; want %q", in, a, err, want)
		}
	}
}

func TestRefusedAddressesNeverRepeatASecret(t *testing.T) {
	for _, in := range []string{
		"", "https://user:hunter2@example.com/a", "https://hunter2@example.com/a", "ssh://me:hunter2@example.com/a",
		"ftp://example.com/hunter2", "file:///srv/a", "https://example.com", "https:///a", "https://example.com/a?token=hunter2",
		"https://example.com/a#hunter2", "https://exa mple/%zz:hunter2", "ssh://example.com/", "git@:a", "x:-oProxyCommand=hunter2\n",
	} {
		_, err := Open(in, Options{SSHKeyFile: "k", KnownHostsFile: "h"})
		if err == nil {
			t.Errorf("%q was taken", in)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: error repeats it: %v", in, err)
		}
	}
	for in, opts := range map[string]Options{
		"http://example.com/a":   {},
		"git://example.com/a":    {},
		"ssh://example.com/a":    {SSHKeyFile: "k"},
		"ssh://example.com/b":    {KnownHostsFile: "h"},
		"https://example.com/a":  {SSHKeyFile: "k"},
		"http://example.com/b":   {AllowInsecure: true, TokenFile: "t"},
		"git://127.0.0.1/a":      {TokenFile: "t"},
		"x:-oProxyCommand=touch": {SSHKeyFile: "k", KnownHostsFile: "h"},
	} {
		if _, err := Open(in, opts); err == nil {
			t.Errorf("%q with %+v was taken", in, opts)
		}
	}
	for _, in := range []string{"http://127.0.0.1:80/a", "http://[::1]/a", "http://localhost/a", "git://127.0.0.2/a"} {
		if _, err := Open(in, Options{}); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
	if _, err := Open("http://example.com/a", Options{AllowInsecure: true}); err != nil {
		t.Errorf("explicitly allowed: %v", err)
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"a", "https://h/p", "git@h:p", "ssh://[::1]:22/x", ":", "a:b:c", "http://%41/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAddress(s)
		if err != nil || a.scheme == schemeLocal {
			return
		}
		again, err := parseAddress(a.String())
		if err != nil || again.String() != a.String() {
			t.Fatalf("%q prints as %q, which reads as %q, %v", s, a, again, err)
		}
	})
}
