package webhook

import (
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const secret = "a secret of the forge"

func newHandler(t *testing.T) (h *Handler, file string, woken *int) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	woken = new(int)
	h, err := New(file, func() { *woken++ })
	if err != nil {
		t.Fatal(err)
	}
	return h, file, woken
}

func github(body, key string) string {
	return "sha256=" + hex.EncodeToString(sum([]byte(body), []byte(key)))
}

func call(h *Handler, method, body string, headers ...string) int {
	req := httptest.NewRequest(method, "/", strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Code
}

func TestOnlySignedCallsWake(t *testing.T) {
	h, file, woken := newHandler(t)
	long := strings.Repeat("x", maxBody+1)
	for name, c := range map[string]struct {
		method, body string
		headers      []string
		want         int
	}{
		"GitHub":                         {"POST", "{}", []string{"X-Hub-Signature-256", github("{}", secret)}, 202},
		"GitHub's own example":           {"POST", "Hello, World!", []string{"X-Hub-Signature-256", github("Hello, World!", secret)}, 202},
		"nonsense that is signed":        {"POST", "\x00", []string{"X-Hub-Signature-256", github("\x00", secret)}, 202},
		"GitLab":                         {"POST", "{}", []string{"X-Gitlab-Token", secret}, 202},
		"unsigned":                       {"POST", "{}", nil, 401},
		"another payload":                {"POST", "{ }", []string{"X-Hub-Signature-256", github("{}", secret)}, 401},
		"another secret":                 {"POST", "{}", []string{"X-Hub-Signature-256", github("{}", "another one of them")}, 401},
		"a short signature":              {"POST", "{}", []string{"X-Hub-Signature-256", github("{}", secret)[:20]}, 401},
		"an empty signature":             {"POST", "{}", []string{"X-Hub-Signature-256", "sha256="}, 401},
		"SHA-1":                          {"POST", "{}", []string{"X-Hub-Signature", "sha1=00"}, 401},
		"another token":                  {"POST", "{}", []string{"X-Gitlab-Token", secret + "x"}, 401},
		"the start of a token":           {"POST", "{}", []string{"X-Gitlab-Token", secret[:5]}, 401},
		"an empty token":                 {"POST", "{}", []string{"X-Gitlab-Token", ""}, 401},
		"a bad signature beside a token": {"POST", "{}", []string{"X-Hub-Signature-256", "sha256=00", "X-Gitlab-Token", secret}, 401},
		"too long":                       {"POST", long, []string{"X-Hub-Signature-256", github(long, secret)}, 413},
		"GET":                            {"GET", "", []string{"X-Gitlab-Token", secret}, 405},
	} {
		before := *woken
		h.woken = time.Time{}
		if got := call(h, c.method, c.body, c.headers...); got != c.want || (*woken > before) != (got == 202) {
			t.Errorf("%s: %d, woken %d times", name, got, *woken-before)
		}
	}
	if err := os.WriteFile(file, []byte("the one that follows it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := call(h, "POST", "{}", "X-Gitlab-Token", "the one that follows it"); got != 202 {
		t.Errorf("rotated: %d", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := call(h, "POST", "{}", "X-Gitlab-Token", ""); got != 503 {
		t.Errorf("no secret: %d", got)
	}
}

// TestKnownSignature is the example of GitHub's documentation, "Validating webhook
// deliveries".
func TestKnownSignature(t *testing.T) {
	h := http.Header{"X-Hub-Signature-256": {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}}
	if ok, err := signed(h, strings.NewReader("Hello, World!"), []byte("It's a Secret to Everybody")); !ok || err != nil {
		t.Errorf("not taken: %v", err)
	}
}

func TestSecretsThatAreNone(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{short, short + "-absent"} {
		if _, err := New(file, func() {}); err == nil || strings.Contains(err.Error(), "short\n") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestAFloodIsFewLooks: signed calls are one look a second, the last of them after
// the last call; calls that are not signed are none, and keep nobody out.
func TestAFloodIsFewLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, woken := newHandler(t)
		count := func() int {
			synctest.Wait()
			h.mu.Lock()
			defer h.mu.Unlock()
			return *woken
		}
		for range 10_000 {
			call(h, "POST", "{}", "X-Gitlab-Token", "a stranger's guess of it")
		}
		if got := call(h, "POST", "{}", "X-Gitlab-Token", secret); got != 202 || count() != 1 {
			t.Errorf("after 10,000 calls of strangers: %d, woken %d times", got, count())
		}
		for i := range 1000 {
			if got := call(h, "POST", "{}", "X-Gitlab-Token", secret); got != 202 {
				t.Fatalf("call %d: %d", i, got)
			}
		}
		if n := count(); n != 1 {
			t.Errorf("woken %d times at once", n)
		}
		time.Sleep(gap)
		if n := count(); n != 2 {
			t.Errorf("woken %d times after the last call", n)
		}
		time.Sleep(gap)
		if n := count(); n != 2 {
			t.Errorf("woken %d times with nothing new", n)
		}
		call(h, "POST", "{}", "X-Gitlab-Token", secret)
		if n := count(); n != 3 {
			t.Errorf("woken %d times, the last call was not heard at once", n)
		}
	})
}

// TestALargePush is as large as GitHub sends them.
func TestALargePush(t *testing.T) {
	h, _, woken := newHandler(t)
	body := strings.Repeat("x", 25_000_000)
	if got := call(h, "POST", body, "X-Hub-Signature-256", github(body, secret)); got != 202 || *woken != 1 {
		t.Errorf("%d, woken %d times", got, *woken)
	}
}
