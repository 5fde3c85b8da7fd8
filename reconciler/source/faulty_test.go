package source

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// faultyGit is a Git server of which a test says what it does wrong.
type faultyGit struct {
	next  http.Handler
	fault atomic.Pointer[gitFault]
}

// gitFault is what a server does wrong, with the list of references or with packs.
type gitFault struct {
	packs  bool                                     // of packs; else of lists
	status int                                      // answered in place of anything else
	page   string                                   // likewise, with 200 if there is no status
	change func([]byte) []byte                      // of what would be right
	serve  func(http.ResponseWriter, *http.Request) // in place of everything
}

func (g *faultyGit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := g.fault.Load()
	if f == nil || f.packs != (r.Method == http.MethodPost) {
		g.next.ServeHTTP(w, r)
		return
	}
	if f.serve != nil {
		f.serve(w, r)
		return
	}
	rec := httptest.NewRecorder()
	if f.change != nil {
		g.next.ServeHTTP(rec, r)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.Header().Del("Content-Length")
		w.WriteHeader(rec.Code)
		_, _ = w.Write(f.change(rec.Body.Bytes())) // the client may have given up
		return
	}
	w.Header().Set("Content-Type", "text/html")
	if f.status != 0 {
		w.WriteHeader(f.status)
	}
	fmt.Fprint(w, f.page)
}

// dribble writes a byte at a time, for ever.
func dribble(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	for {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(10 * time.Millisecond):
		}
		if _, err := w.Write([]byte{'0'}); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
	}
}

func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then is it noticed that the client has gone
	<-r.Context().Done()
}

// TestAFaultyGitServer: whatever a server answers, what comes out is the tree of the
// commit that was asked for, or an error, in time; and it is the tree again when the
// server is well.
func TestAFaultyGitServer(t *testing.T) {
	r := newTestRepo(t)
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(rand.IntN(256))
	}
	other := r.commit("a", "other", "noise", string(noise))
	r.commit("a", "right")
	g := &faultyGit{}
	address := plainHTTP(t, r, func(next http.Handler) http.Handler { g.next = next; return g })
	repo := open(t, address, Options{Timeout: 5 * time.Second})
	right := head(t, repo, "main").Hash
	for name, f := range map[string]gitFault{
		"500":                              {status: 500},
		"502 with a page":                  {status: 502, page: "<html>bad gateway</html>"},
		"503":                              {status: 503},
		"429":                              {status: 429},
		"401":                              {status: 401},
		"403":                              {status: 403},
		"404":                              {status: 404},
		"a page in place of references":    {page: "<html>please log in</html>"},
		"nothing in place of references":   {page: ""},
		"a redirect to itself":             {serve: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }},
		"half a list":                      {change: func(b []byte) []byte { return b[:len(b)/2] }},
		"a list without an end":            {change: func(b []byte) []byte { return b[:len(b)-4] }},
		"a list of lengths that lie":       {change: func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("00"), []byte("ff")) }},
		"a list that never comes":          {serve: hang},
		"a list, a byte at a time":         {serve: dribble},
		"a reference to what is not there": {change: func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(right), []byte(strings.Repeat("1", 40))) }},
		"500 for packs":                    {packs: true, status: 500},
		"503 for packs":                    {packs: true, status: 503},
		"a page in place of a pack":        {packs: true, page: "<html>please log in</html>"},
		"nothing in place of a pack":       {packs: true, page: ""},
		"half a pack":                      {packs: true, change: func(b []byte) []byte { return b[:len(b)/2] }},
		"a pack without its last bytes":    {packs: true, change: func(b []byte) []byte { return b[:len(b)-30] }},
		"a bit that has changed":           {packs: true, change: func(b []byte) []byte { b[len(b)/2] ^= 4; return b }},
		"a pack that never comes":          {packs: true, serve: hang},
		"a pack, a byte at a time":         {packs: true, serve: dribble},
		"the pack of another commit": {packs: true, serve: func(w http.ResponseWriter, req *http.Request) {
			var body bytes.Buffer
			_, _ = body.ReadFrom(req.Body)
			r.git("update-ref", "refs/heads/other", other)
			req.Body = http.NoBody
			text := strings.Replace(body.String(), right, other, 1)
			req = req.Clone(req.Context())
			req.Body, req.ContentLength = readCloser{strings.NewReader(text)}, int64(len(text))
			g.next.ServeHTTP(w, req)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g.fault.Store(&f)
			defer g.fault.Store(nil)
			began := time.Now()
			c, err := repo.Head(t.Context(), "main")
			var tree fs.FS
			if err == nil {
				tree, err = repo.Tree(t.Context(), c, ".")
			}
			if err == nil {
				content, _ := fs.ReadFile(tree, "a")
				t.Errorf("no error: %+v, %q", c, content)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("took %v", took)
			}
			g.fault.Store(nil)
			if tree, err = repo.Tree(t.Context(), head(t, repo, "main"), "."); err != nil {
				t.Fatalf("when the server is well: %v", err)
			}
			if content, err := fs.ReadFile(tree, "a"); err != nil || string(content) != "right" {
				t.Errorf("when the server is well: %q, %v", content, err)
			}
		})
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// TestATokenThatIsReplaced is read again: a controller whose token has run out goes on
// when the file has another one.
func TestATokenThatIsReplaced(t *testing.T) {
	r := newTestRepo(t)
	r.commit("a", "1")
	var want atomic.Value
	want.Store("first")
	address := plainHTTP(t, r, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if _, token, _ := req.BasicAuth(); token != want.Load() {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		must(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
	}
	write("first")
	repo := open(t, address, Options{TokenFile: file})
	head(t, repo, "main")
	want.Store("second")
	if _, err := repo.Head(t.Context(), "main"); err == nil || strings.Contains(err.Error(), "first") {
		t.Errorf("with an old token: %v", err)
	}
	must(t, os.Remove(file)) // as while it is being replaced
	if _, err := repo.Head(t.Context(), "main"); err == nil {
		t.Error("without a token")
	}
	write("second")
	head(t, repo, "main")
}
