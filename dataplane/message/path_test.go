package message

import "testing"

func TestNormalizePath(t *testing.T) {
	for in, want := range map[string]string{
		"/":                   "/",
		"/a/b":                "/a/b",
		"/a/../b":             "/b",
		"/a/./b/":             "/a/b/",
		"/a/b/..":             "/a/",
		"/a/b/.":              "/a/b/",
		"/../../a":            "/a",
		"/..":                 "/",
		"/a//b":               "/a//b",
		"/a\\b":               "/a/b",
		"/%61%2e%2E/b":        "/a../b",
		"/x/%2e%2e/b":         "/b",
		"/a%2fb":              "/a%2fb",
		"/a%zz":               "/a%zz",
		"/a%":                 "/a%",
		"/a?x=/../b":          "/a?x=/../b",
		"/a/../b?q=%41":       "/b?q=%41",
		"/...":                "/...",
		"/.a/b.":              "/.a/b.",
		"/a/..?x":             "/?x",
		"*":                   "*",
		"/a%7Eb%2Dc%5Fd%2ee/": "/a~b-c_d.e/",
		"/a\"<>^`{|}[]b":      "/a%22%3C%3E%5E%60%7B%7C%7D[]b",
		"/a|..?x=|":           "/a%7C..?x=|",
	} {
		if got, ok := NormalizePath(in); !ok || got != want {
			t.Errorf("NormalizePath(%q) = %q, %v; want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "a/b", "?x"} {
		if got, ok := NormalizePath(in); ok {
			t.Errorf("NormalizePath(%q) = %q, want refusal", in, got)
		}
	}
}

func TestHasEscapedSlash(t *testing.T) {
	for in, want := range map[string]bool{
		"/a/b": false, "/a%2fb": true, "/a%2Fb": true, "/a%5cb": true, "/a%5Cb": true,
		"/a%2": false, "/a%": false, "/%%2f": true, "/a?x=%2f": false, "/%41%2f": true, "/%252f": false,
	} {
		if got := HasEscapedSlash(in); got != want {
			t.Errorf("HasEscapedSlash(%q) = %v", in, got)
		}
	}
}

func FuzzNormalizePath(f *testing.F) {
	for _, s := range []string{"/a/../b", "/%2e%2e/", "*", "/a\\..\\b?x", "/%25%32%65"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		once, ok := NormalizePath(in)
		if !ok {
			return
		}
		if once != "*" && once[0] != '/' {
			t.Fatalf("NormalizePath(%q) = %q", in, once)
		}
		if HasEscapedSlash(in) != HasEscapedSlash(once) && !HasEscapedSlash(once) {
			t.Fatalf("NormalizePath(%q) = %q lost an escaped slash", in, once)
		}
	})
}

func TestNormalPathsCostNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { NormalizePath("/a/b/c.html?x=1") }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
