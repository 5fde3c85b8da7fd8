package signature

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// signer is a key as a user has it, driven through the installed programs.
type signer struct {
	t      *testing.T
	home   string
	repo   string
	config []string // of git
}

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed, and CI needs it", p)
			}
			t.Skipf("SKIPPED: %s is not installed", p)
		}
	}
}

// homes are short: a socket of gpg-agent lies in them.
func newSigner(t *testing.T) *signer {
	t.Helper()
	need(t, "git", "gpg", "ssh-keygen", "gpgconf")
	home, err := os.MkdirTemp("", "sig")
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{t: t, home: home, repo: filepath.Join(t.TempDir(), "repo")}
	t.Cleanup(func() {
		s.run("gpgconf", "--kill", "all")
		os.RemoveAll(home)
	})
	s.run("git", "init", "-q", "-b", "main", s.repo)
	return s
}

func (s *signer) try(name string, args ...string) ([]byte, error) {
	if name == "git" && args[0] != "init" {
		args = append(append([]string{"-C", s.repo}, s.config...), args...)
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "GNUPGHOME="+s.home, "HOME="+s.home, "TZ=UTC", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		err = errors.New(err.Error() + ": " + complaint.String())
	}
	return out, err
}

func (s *signer) run(name string, args ...string) []byte {
	s.t.Helper()
	out, err := s.try(name, args...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return out
}

// pgp makes a key of an algorithm, has git sign with it, and gives its public part.
func (s *signer) pgp(algorithm string) (file string) {
	s.t.Helper()
	s.run("gpg", "--batch", "--passphrase", "", "--quick-gen-key", "Ann "+algorithm+" <ann@example.com>", algorithm, "sign", "never")
	list := string(s.run("gpg", "--with-colons", "--list-secret-keys", algorithm))
	_, after, _ := strings.Cut(list, "\nfpr:::::::::")
	id, _, _ := strings.Cut(after, ":")
	file = filepath.Join(s.t.TempDir(), algorithm+".asc")
	s.write(file, s.run("gpg", "--armor", "--export", id))
	s.config = []string{"-c", "gpg.format=openpgp", "-c", "user.signingkey=" + id, "-c", "commit.gpgsign=true"}
	return file
}

// ssh makes a key, has git sign with it, and gives its public part.
func (s *signer) ssh(args ...string) (public string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "key")
	s.run("ssh-keygen", append([]string{"-q", "-N", "", "-C", "", "-f", file}, args...)...)
	s.config = []string{"-c", "gpg.format=ssh", "-c", "user.signingkey=" + file, "-c", "commit.gpgsign=true"}
	data, err := os.ReadFile(file + ".pub")
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

func (s *signer) write(file string, data []byte) string {
	s.t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

func (s *signer) allowed(lines ...string) string {
	s.t.Helper()
	return s.write(filepath.Join(s.t.TempDir(), "allowed"), []byte(strings.Join(lines, "\n")+"\n"))
}

// commit gives the content of a new commit object.
func (s *signer) commit(args ...string) []byte {
	s.t.Helper()
	s.run("git", append([]string{"commit", "-q", "--allow-empty", "-m", "a change\n\nwith a body"}, args...)...)
	return s.run("git", "cat-file", "commit", "HEAD")
}

// tag gives the content of a new tag object.
func (s *signer) tag(name string) []byte {
	s.t.Helper()
	s.run("git", "tag", "-f", "-s", "-m", "a tag", name)
	return s.run("git", "cat-file", "tag", name)
}

func load(t *testing.T, f Files) *Keys {
	t.Helper()
	k, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func verifyCommit(k *Keys, raw []byte) (Signer, error) {
	o, err := ParseCommit(raw)
	if err != nil {
		return Signer{}, err
	}
	return k.Verify(o)
}

func verifyTag(k *Keys, raw []byte) (Signer, error) {
	o, err := ParseTag(raw)
	if err != nil {
		return Signer{}, err
	}
	return k.Verify(o)
}

// TestWhatGitSigns: commits and tags that git signed with each kind of key are
// verified, and with any one byte of them changed they are not.
func TestWhatGitSigns(t *testing.T) {
	s := newSigner(t)
	kinds := map[string]func() Files{
		"PGP ed25519":  func() Files { return Files{PGP: []string{s.pgp("ed25519")}} },
		"PGP rsa2048":  func() Files { return Files{PGP: []string{s.pgp("rsa2048")}} },
		"PGP nistp256": func() Files { return Files{PGP: []string{s.pgp("nistp256")}} },
		"SSH ed25519":  func() Files { return Files{AllowedSigners: s.allowed("ann@example.com " + s.ssh("-t", "ed25519"))} },
		"SSH ecdsa": func() Files {
			return Files{AllowedSigners: s.allowed("ann@example.com " + s.ssh("-t", "ecdsa", "-b", "384"))}
		},
		"SSH rsa": func() Files {
			return Files{AllowedSigners: s.allowed("ann@example.com " + s.ssh("-t", "rsa", "-b", "2048"))}
		},
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			s.t = t
			k := load(t, kind())
			commit, tag := s.commit(), s.tag("v1")
			who, err := verifyCommit(k, commit)
			if err != nil || !strings.HasPrefix(who.Key, strings.Fields(name)[0][:2]) && !strings.Contains(who.Key, "ssh") && !strings.Contains(who.Key, "ecdsa") {
				t.Fatalf("commit: %v, %v", who, err)
			}
			if !strings.Contains(who.Name, "ann@example.com") {
				t.Errorf("the signer is called %q", who.Name)
			}
			if again, err := verifyTag(k, tag); err != nil || again.Key != who.Key {
				t.Errorf("tag: %v, %v", again, err)
			}
			everyByte(t, commit, func(raw []byte) error { _, err := verifyCommit(k, raw); return err })
			everyByte(t, tag, func(raw []byte) error { _, err := verifyTag(k, raw); return err })
		})
	}
}

// everyByte changes each byte that is signed, and each of the signature in turn.
// Some of the latter carry nothing (the checksum of the armor, unhashed parts of
// a packet), so there only the signed bytes must still be right.
func everyByte(t *testing.T, raw []byte, verify func([]byte) error) {
	t.Helper()
	from, to := bytes.Index(raw, []byte("-----BEGIN ")), bytes.Index(raw, []byte("-----END "))
	for i := range raw {
		if i%3 != 0 && len(raw) > 600 {
			continue
		}
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if err := verify(changed); err == nil && (i < from || i > to+40) {
			t.Fatalf("byte %d of %q may be changed", i, raw)
		}
	}
}

func TestWhoIsNotTrusted(t *testing.T) {
	s := newSigner(t)
	stranger := s.ssh("-t", "ed25519")
	byStranger := s.commit()
	strangePGP := s.pgp("ed25519")
	byStrangePGP := s.commit()
	unsigned := s.commit("--no-gpg-sign")
	key := s.ssh("-t", "ed25519")
	commit := s.commit()
	known := load(t, Files{AllowedSigners: s.allowed("# people", "", "ann@example.com "+key+" Ann's"), PGP: []string{newOtherPGP(t)}})

	if _, err := verifyCommit(known, commit); err != nil {
		t.Error(err)
	}
	if _, err := verifyCommit(known, unsigned); !errors.Is(err, ErrUnsigned) {
		t.Errorf("unsigned: %v", err)
	}
	if _, err := verifyCommit(known, byStranger); !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), "ssh-ed25519 SHA256:") {
		t.Errorf("a stranger's SSH key: %v", err)
	}
	if _, err := verifyCommit(known, byStrangePGP); !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), "PGP ") {
		t.Errorf("a stranger's PGP key: %v", err)
	}
	both := load(t, Files{AllowedSigners: s.allowed("ann@example.com "+key, "stranger "+stranger), PGP: []string{strangePGP}})
	for _, raw := range [][]byte{commit, byStranger, byStrangePGP} {
		if _, err := verifyCommit(both, raw); err != nil {
			t.Error(err)
		}
	}
	// The signature of one commit under the content of another.
	o, err := ParseCommit(commit)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ParseCommit(byStranger)
	if err != nil {
		t.Fatal(err)
	}
	other.Signature = o.Signature
	if _, err := both.Verify(other); !errors.Is(err, ErrInvalid) {
		t.Errorf("a signature of something else: %v", err)
	}
}

func newOtherPGP(t *testing.T) string { return newSigner(t).pgp("ed25519") }

// TestOptionsOfAllowedSigners is held against ssh-keygen -Y verify, as git runs it.
func TestOptionsOfAllowedSigners(t *testing.T) {
	s := newSigner(t)
	key := s.ssh("-t", "ed25519")
	t.Setenv("GIT_COMMITTER_DATE", "2024-06-01T12:00:00Z")
	raw := s.commit()
	for line, want := range map[string]bool{
		`ann@example.com ` + key:                                                  true,
		`"ann@example.com,bob" ` + key:                                            true,
		`*@example.com namespaces="git" ` + key:                                   true,
		`ann@example.com namespaces="file,git" ` + key:                            true,
		`ann@example.com namespaces="file" ` + key:                                false,
		`ann@example.com namespaces="g?t" ` + key:                                 true,
		`ann@example.com namespaces="g*" ` + key:                                  true,
		`ann@example.com namespaces="*,!git" ` + key:                              false,
		`ann@example.com NAMESPACES="git" ` + key:                                 true,
		`ann@example.com valid-after="20240601" ` + key:                           true,
		`ann@example.com valid-after="20240602" ` + key:                           false,
		`ann@example.com valid-before="20240601" ` + key:                          false,
		`ann@example.com valid-before="20240602" ` + key:                          true,
		`ann@example.com valid-after="202406011200Z" ` + key:                      true,
		`ann@example.com valid-after="20240601120001Z" ` + key:                    false,
		`ann@example.com valid-before="20240601120000Z" ` + key:                   true,
		`ann@example.com valid-before="20240601115959Z" ` + key:                   false,
		`ann@example.com valid-before="20230601",namespaces="git" ` + key:         false,
		`ann@example.com namespaces="git",valid-before="20250601Z" ` + key:        true,
		"ann@example.com namespaces=\"file\" " + key + "\nann@example.com " + key: true,
	} {
		allowed := s.allowed(line)
		_, err := s.try("git", "-c", "gpg.ssh.allowedSignersFile="+allowed, "verify-commit", "HEAD")
		if (err == nil) != want {
			t.Errorf("%s: ssh-keygen says %v", line, err)
		}
		_, err = verifyCommit(load(t, Files{AllowedSigners: allowed}), raw)
		if (err == nil) != want || err != nil && !errors.Is(err, ErrUnknownKey) {
			t.Errorf("%s: %v, want %v", line, err, want)
		}
	}
}

func TestFilesThatAreNotUnderstood(t *testing.T) {
	s := newSigner(t)
	key := s.ssh("-t", "ed25519")
	weak := s.ssh("-t", "rsa", "-b", "1024")
	for line, want := range map[string]string{
		"":                                "no key",
		"# nothing":                       "no key",
		key:                               "line 1",
		"ann@example.com":                 "no public key",
		"ann " + weak:                     "shorter than 2048",
		"ann cert-authority " + key:       "certificates are not supported",
		"ann touch-required " + key:       `"touch-required": it is not supported`,
		"ann namespaces=\"\" " + key:      "empty",
		"ann namespaces=\"git " + key:     "quote",
		"ann valid-after=\"soon\" " + key: "not a time",
		"ann valid-after=\"20250101\",valid-before=\"20240101\" " + key: "not before",
		"ok " + key + "\nann ssh-ed25519 AAAA":                          "line 2",
	} {
		_, err := Files{AllowedSigners: s.allowed(line)}.Load()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	secret := s.pgp("ed25519")
	s.write(secret, s.run("gpg", "--batch", "--armor", "--export-secret-keys"))
	for name, file := range map[string]string{"a private key": secret, "no key": s.allowed("hello"), "absent": "/nonexistent/keys"} {
		if _, err := (Files{PGP: []string{file}}).Load(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestKeyFilesHoldManyKeys(t *testing.T) {
	s := newSigner(t)
	var all []byte
	var commits [][]byte
	for _, algorithm := range []string{"ed25519", "rsa2048", "nistp384"} {
		data, err := os.ReadFile(s.pgp(algorithm))
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, "Comment between\n"...), data...)
		commits = append(commits, s.commit())
	}
	k := load(t, Files{PGP: []string{s.write(filepath.Join(t.TempDir(), "all"), all)}})
	for _, raw := range commits {
		if _, err := verifyCommit(k, raw); err != nil {
			t.Error(err)
		}
	}
}

// TestUnsoundSignatures: right by their numbers, by means that can be forged.
func TestUnsoundSignatures(t *testing.T) {
	s := newSigner(t)
	k := load(t, Files{PGP: []string{s.pgp("rsa2048")}})
	s.write(filepath.Join(s.home, "gpg.conf"), []byte("digest-algo SHA1\n"))
	if _, err := verifyCommit(k, s.commit()); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "hash") {
		t.Errorf("SHA-1: %v", err)
	}
	s.write(filepath.Join(s.home, "gpg.conf"), nil)
	weak := load(t, Files{PGP: []string{s.pgp("rsa1024")}})
	if _, err := verifyCommit(weak, s.commit()); !errors.Is(err, ErrInvalid) {
		t.Errorf("1024 bits: %v", err)
	}
	s.config = nil
	raw := s.commit()
	at := bytes.Index(raw, []byte("\n\n"))
	payload := s.write(filepath.Join(t.TempDir(), "payload"), raw)
	text := s.run("gpg", "--batch", "--armor", "--textmode", "--detach-sign", "-u", "Ann rsa2048", "-o", "-", payload)
	if _, err := verifyCommit(k, withHeader(raw, at, text)); !errors.Is(err, ErrMalformed) {
		t.Errorf("over text: %v", err)
	}
	sig := s.run("gpg", "--batch", "--armor", "--detach-sign", "-u", "Ann rsa2048", "-o", "-", payload)
	if _, err := verifyCommit(k, withHeader(raw, at, sig)); err != nil {
		t.Errorf("the same over bytes: %v", err)
	}
	two := s.run("gpg", "--batch", "--armor", "--detach-sign", "-u", "Ann rsa2048", "-u", "Ann rsa1024", "-o", "-", payload)
	if _, err := verifyCommit(k, withHeader(raw, at, two)); !errors.Is(err, ErrMalformed) {
		t.Errorf("two signatures: %v", err)
	}
}

// withHeader puts a signature where git puts it.
func withHeader(raw []byte, at int, sig []byte) []byte {
	value := strings.ReplaceAll(strings.TrimSuffix(string(sig), "\n"), "\n", "\n ")
	return []byte(string(raw[:at]) + "\ngpgsig " + value + string(raw[at:]))
}

func TestExpiredAndRevokedPGPKeys(t *testing.T) {
	s := newSigner(t)
	s.run("gpg", "--batch", "--passphrase", "", "--faked-system-time", "20200101T000000", "--quick-gen-key", "Old <ann@example.com>", "ed25519", "sign", "1y")
	s.run("git", "commit", "-q", "--allow-empty", "-m", "x")
	raw := s.run("git", "cat-file", "commit", "HEAD")
	at := bytes.Index(raw, []byte("\n\n"))
	payload := s.write(filepath.Join(t.TempDir(), "payload"), raw)
	sign := func(at string) []byte {
		return s.run("gpg", "--batch", "--armor", "--faked-system-time", at, "--detach-sign", "-u", "Old", "-o", "-", payload)
	}
	inTime := sign("20200601T000000")
	file := filepath.Join(t.TempDir(), "key")
	k := load(t, Files{PGP: []string{s.write(file, s.run("gpg", "--armor", "--export", "Old"))}})
	if _, err := verifyCommit(k, withHeader(raw, at, inTime)); err != nil {
		t.Errorf("signed while the key was valid: %v", err)
	}
	before := s.run("gpg", "--batch", "--armor", "--ignore-time-conflict", "--ignore-valid-from", "--faked-system-time", "20190601T000000", "--detach-sign", "-u", "Old", "-o", "-", payload)
	if _, err := verifyCommit(k, withHeader(raw, at, before)); !errors.Is(err, ErrInvalid) {
		t.Errorf("signed before the key was made: %v", err)
	}
	// A key that is revoked as compromised never counts.
	list := string(s.run("gpg", "--with-colons", "--list-keys", "Old"))
	_, after, _ := strings.Cut(list, "\nfpr:::::::::")
	id, _, _ := strings.Cut(after, ":")
	revocation, err := os.ReadFile(filepath.Join(s.home, "openpgp-revocs.d", id+".rev"))
	if err != nil {
		t.Fatal(err)
	}
	s.run("gpg", "--batch", "--import", s.write(filepath.Join(t.TempDir(), "rev"), bytes.ReplaceAll(revocation, []byte(":-----"), []byte("-----"))))
	k = load(t, Files{PGP: []string{s.write(file, s.run("gpg", "--armor", "--export", "Old"))}})
	if _, err := verifyCommit(k, withHeader(raw, at, inTime)); !errors.Is(err, ErrInvalid) {
		t.Errorf("signed by a key that was revoked: %v", err)
	}
}
