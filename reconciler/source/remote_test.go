package source

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// gitHTTP serves the parent of r.dir by the real git http-backend.
func gitHTTP(t *testing.T, r *testRepo, wrap func(http.Handler) http.Handler, start func(http.Handler) *httptest.Server) *httptest.Server {
	t.Helper()
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler = &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(r.dir), "GIT_HTTP_EXPORT_ALL=1", "HOME=/nonexistent", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	if wrap != nil {
		h = wrap(h)
	}
	s := start(h)
	t.Cleanup(s.Close)
	return s
}

func plainHTTP(t *testing.T, r *testRepo, wrap func(http.Handler) http.Handler) string {
	return gitHTTP(t, r, wrap, httptest.NewServer).URL + "/mesh.git/.git"
}

// gitDaemon serves r.dir by the real git daemon.
func gitDaemon(t *testing.T, r *testRepo) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// git daemon cannot be handed a listener; --inetd serves one connection, so
	// each accepted connection gets its own.
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				cmd := exec.Command("git", "daemon", "--inetd", "--export-all", "--base-path="+filepath.Dir(r.dir))
				file, _ := conn.(*net.TCPConn).File()
				defer file.Close()
				cmd.Stdin, cmd.Stdout = file, file
				_ = cmd.Run()
			}()
		}
	}()
	t.Cleanup(func() { l.Close() })
	return "git://" + l.Addr().String() + "/mesh.git"
}

// sshServer is an OpenSSH-compatible server in process that execs the real
// git-upload-pack. It gives the address and options that reach it.
func sshServer(t *testing.T, r *testRepo) (string, Options) {
	t.Helper()
	hostKey, clientKey := newKey(t), newKey(t)
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if bytes.Equal(key.Marshal(), clientKey.signer.PublicKey().Marshal()) {
			return nil, nil
		}
		return nil, errors.New("unknown key")
	}}
	config.AddHostKey(hostKey.signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveSSH(conn, config)
		}
	}()
	dir := t.TempDir()
	opts := Options{SSHKeyFile: filepath.Join(dir, "key"), KnownHostsFile: filepath.Join(dir, "known_hosts")}
	must(t, os.WriteFile(opts.SSHKeyFile, clientKey.pem, 0o600))
	line := knownhosts.Line([]string{l.Addr().String()}, hostKey.signer.PublicKey())
	must(t, os.WriteFile(opts.KnownHostsFile, []byte(line+"\n"), 0o600))
	return "ssh://git@" + l.Addr().String() + r.dir, opts
}

func serveSSH(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		ch, reqs, err := offered.Accept()
		if err != nil {
			return
		}
		go func() {
			defer ch.Close()
			for req := range reqs {
				if req.Type != "exec" {
					_ = req.Reply(false, nil)
					continue
				}
				_ = req.Reply(true, nil)
				cmd := exec.Command("sh", "-c", string(req.Payload[4:]))
				in, _ := cmd.StdinPipe()
				go func() { _, _ = io.Copy(in, ch); in.Close() }()
				cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
				_ = cmd.Run()
				_, _ = ch.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
				return
			}
		}()
	}
}

type sshKey struct {
	signer ssh.Signer
	pem    []byte
}

func newKey(t *testing.T) sshKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	return sshKey{signer, pem.EncodeToMemory(block)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryTransportReadsTheSame is the story of one repository seen through
// each transport: empty, first commit, more, tags, a rewind, a deleted branch.
func TestEveryTransportReadsTheSame(t *testing.T) {
	transports := map[string]func(*testing.T, *testRepo) (string, Options){
		"local": func(_ *testing.T, r *testRepo) (string, Options) { return r.dir, Options{} },
		"http":  func(t *testing.T, r *testRepo) (string, Options) { return plainHTTP(t, r, nil), Options{} },
		"git":   func(t *testing.T, r *testRepo) (string, Options) { return gitDaemon(t, r), Options{} },
		"ssh":   sshServer,
	}
	for name, serve := range transports {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			address, opts := serve(t, r)
			repo := open(t, address, opts)
			ctx := t.Context()
			if _, err := repo.Head(ctx, "main"); !errors.Is(err, ErrEmptyRepository) {
				t.Errorf("empty: %v", err)
			}

			first := r.commit("mesh/a.cue", "one", "mesh/b/c.cue", strings.Repeat("long line\n", 500))
			r.git("tag", "-a", "v1", "-m", "first")
			c1 := head(t, repo, "main")
			if c1.Hash != first {
				t.Fatalf("first: %+v", c1)
			}
			second := r.commit("mesh/a.cue", "two", "mesh/b/c.cue", strings.Repeat("long line\n", 500)+"x")
			if _, err := repo.Tree(ctx, c1, "mesh"); name != "local" && !errors.Is(err, ErrMoved) {
				t.Errorf("tree of a commit that the branch left: %v", err)
			}
			checkTree(t, repo, Commit{"refs/heads/main", second}, "two")
			checkTree(t, repo, head(t, repo, "v1"), "one")
			checkTree(t, repo, head(t, repo, "HEAD"), "two")
			checkTree(t, repo, head(t, repo, second), "two")
			if _, err := repo.Tree(ctx, head(t, repo, "main"), "absent"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("absent directory: %v", err)
			}
			if _, err := repo.Head(ctx, "absent"); !errors.Is(err, ErrRefNotFound) {
				t.Errorf("absent branch: %v", err)
			}

			r.git("reset", "-q", "--hard", first)
			checkTree(t, repo, head(t, repo, "main"), "one")
			r.git("checkout", "-q", "--orphan", "unrelated")
			r.commit("mesh/a.cue", "other")
			r.git("branch", "-f", "main")
			checkTree(t, repo, head(t, repo, "main"), "other")
			r.git("branch", "-D", "main")
			if _, err := repo.Head(ctx, "main"); !errors.Is(err, ErrRefNotFound) {
				t.Errorf("deleted branch: %v", err)
			}
		})
	}
}

func checkTree(t *testing.T, repo *Repository, c Commit, want string) {
	t.Helper()
	tree, err := repo.Tree(t.Context(), c, "mesh")
	if err != nil {
		t.Error(err)
		return
	}
	if data, err := fs.ReadFile(tree, "a.cue"); err != nil || string(data) != want {
		t.Errorf("a.cue at %s = %q, %v; want %q", c.Ref, data, err, want)
	}
}

func TestRemoteTreeIsAFileSystem(t *testing.T) {
	r := newTestRepo(t)
	r.commit("a.cue", "one", "b/c.cue", "x", "b/d/e.cue", "")
	repo := open(t, plainHTTP(t, r, nil), Options{})
	tree, err := repo.Tree(t.Context(), head(t, repo, "main"), ".")
	must(t, err)
	must(t, fstest.TestFS(tree, "a.cue", "b/c.cue", "b/d/e.cue"))
}

func TestRemoteBoundsHold(t *testing.T) {
	r := newTestRepo(t)
	noise := make([]byte, 300_000)
	_, _ = rand.Read(noise)
	r.commit("mesh/a.cue", "x", "big.bin", string(noise), "zeros.bin", strings.Repeat("\x00", 1<<22))
	address := plainHTTP(t, r, nil)
	for name, limits := range map[string]Limits{
		"pack bytes":     {PackBytes: 100_000},
		"inflated bytes": {Inflated: 1 << 20},
		"list bytes":     {ListBytes: 100},
	} {
		t.Run(name, func(t *testing.T) {
			repo := open(t, address, Options{Limits: limits})
			c, err := repo.Head(t.Context(), "main")
			if err == nil {
				_, err = repo.Tree(t.Context(), c, "mesh")
			}
			if !errors.Is(err, ErrLimit) {
				t.Errorf("error = %v", err)
			}
		})
	}
}

func TestAHangingServerIsLeftInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close() // accepts in the kernel, never answers
	_, opts := sshServer(t, newTestRepo(t))
	for _, scheme := range []string{"http", "git", "ssh"} {
		o := Options{Timeout: 100 * time.Millisecond}
		if scheme == "ssh" {
			o.SSHKeyFile, o.KnownHostsFile = opts.SSHKeyFile, opts.KnownHostsFile
		}
		repo := open(t, scheme+"://"+l.Addr().String()+"/x", o)
		if _, err := repo.Head(t.Context(), "main"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

func TestAServerThatBreaksOffIsAnError(t *testing.T) {
	r := newTestRepo(t)
	noise := make([]byte, 200_000)
	_, _ = rand.Read(noise)
	r.commit("a.cue", string(noise))
	var mode atomic.Value
	mode.Store("")
	address := plainHTTP(t, r, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, req)
			body := rec.Body.Bytes()
			if req.Method == http.MethodPost {
				switch mode.Load() {
				case "truncate":
					body = body[:len(body)/2]
				case "flip":
					body[len(body)/2] ^= 0x40
				case "garbage":
					body = []byte("0008NAK\nPACK\x00\x00\x00\x02\xff\xff\xff\xff nonsense")
				case "unavailable":
					http.Error(w, "no", http.StatusServiceUnavailable)
					return
				}
			}
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.WriteHeader(rec.Code)
			_, _ = w.Write(body)
		})
	})
	repo := open(t, address, Options{})
	c := head(t, repo, "main")
	for _, m := range []string{"truncate", "flip", "garbage", "unavailable"} {
		mode.Store(m)
		if _, err := repo.Tree(t.Context(), c, "."); err == nil {
			t.Errorf("%s: no error", m)
		}
	}
	mode.Store("")
	if _, err := repo.Tree(t.Context(), c, "."); err != nil {
		t.Errorf("whole again: %v", err)
	}
}

const canary = "s3cr3t-canary"

func TestTokenIsSentOverTLSAndNeverShown(t *testing.T) {
	r := newTestRepo(t)
	r.commit("mesh/a.cue", "one")
	var expect atomic.Value
	expect.Store(canary)
	server := gitHTTP(t, r, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if _, password, _ := req.BasicAuth(); password != expect.Load() {
				http.Error(w, "bad credentials", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, req)
		})
	}, httptest.NewTLSServer)
	dir := t.TempDir()
	token, roots := filepath.Join(dir, "token"), filepath.Join(dir, "ca.pem")
	must(t, os.WriteFile(token, []byte(canary+"\n"), 0o600))
	must(t, os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	address := server.URL + "/mesh.git/.git"

	repo := open(t, address, Options{TokenFile: token, CAFile: roots})
	checkTree(t, repo, head(t, repo, "main"), "one")

	expect.Store("rotated")
	_, err := repo.Head(t.Context(), "main")
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("wrong token: %v", err)
	}
	must(t, os.WriteFile(token, []byte("rotated"), 0o600))
	checkTree(t, repo, head(t, repo, "main"), "one") // read again without a restart

	if _, err := open(t, address, Options{TokenFile: token}).Head(t.Context(), "main"); err == nil {
		t.Error("an unknown server certificate was taken")
	}
}

func TestTokenDoesNotFollowARedirectElsewhere(t *testing.T) {
	r := newTestRepo(t)
	r.commit("mesh/a.cue", "one")
	var leaked atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "" {
			leaked.Store(true)
		}
		http.Error(w, "no", http.StatusNotFound)
	}))
	defer elsewhere.Close()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, elsewhere.URL+req.URL.String(), http.StatusFound)
	}))
	defer origin.Close()
	token := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(token, []byte(canary), 0o600))
	if _, err := open(t, origin.URL+"/x", Options{TokenFile: token}).Head(t.Context(), "main"); err == nil {
		t.Error("no error")
	}
	if leaked.Load() {
		t.Error("the token was sent to another origin")
	}
}

func TestSSHRefusesUnknownAndChangedHosts(t *testing.T) {
	r := newTestRepo(t)
	r.commit("mesh/a.cue", "one")
	address, opts := sshServer(t, r)
	good, err := os.ReadFile(opts.KnownHostsFile)
	must(t, err)

	other := knownhosts.Line([]string{strings.TrimPrefix(strings.Split(address, "@")[1], "")[:strings.Index(strings.Split(address, "@")[1], "/")]}, newKey(t).signer.PublicKey())
	must(t, os.WriteFile(opts.KnownHostsFile, []byte(other+"\n"), 0o600))
	_, err = open(t, address, opts).Head(t.Context(), "main")
	if err == nil || strings.Count(err.Error(), "SHA256:") != 2 {
		t.Errorf("changed key, both fingerprints: %v", err)
	}
	must(t, os.WriteFile(opts.KnownHostsFile, nil, 0o600))
	if _, err = open(t, address, opts).Head(t.Context(), "main"); err == nil || !strings.Contains(err.Error(), "not in the known_hosts") {
		t.Errorf("unknown host: %v", err)
	}
	must(t, os.WriteFile(opts.KnownHostsFile, good, 0o600))
	must(t, os.WriteFile(opts.SSHKeyFile, newKey(t).pem, 0o600))
	if _, err = open(t, address, opts).Head(t.Context(), "main"); err == nil {
		t.Error("a wrong client key was let in")
	}
}

func TestSSHNamesWhatTheServerComplainsAbout(t *testing.T) {
	r := newTestRepo(t)
	address, opts := sshServer(t, r)
	_, err := open(t, address+"-absent", opts).Head(t.Context(), "main")
	if err == nil || !strings.Contains(err.Error(), "does not appear to be a git repository") {
		t.Errorf("error = %v", err)
	}
}

func FuzzPack(f *testing.F) {
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00"))
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x33x\x9c\x03\x00\x00\x00\x00\x01"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = readPack(bytes.NewReader(data), Limits{PackBytes: 1 << 16, Inflated: 1 << 20})
	})
}
