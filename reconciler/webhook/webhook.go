// Package webhook takes the word of a Git forge that something was pushed. It
// wakes the poller and nothing more: what was pushed is read from the repository,
// so a forged or a repeated call costs one look at its references at most.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// maxBody is how long a payload may be, in bytes: GitHub's documentation, "Webhook
	// events and payloads", caps them at 25 MB. Payloads are hashed as they come
	// and never kept.
	maxBody = 25 << 20

	// gap is between one look at the repository and the next, however many calls there
	// are.
	gap = time.Second
)

// Handler answers 202 to a call that is signed with the secret, GitHub's way
// (X-Hub-Signature-256, an HMAC of the payload) or GitLab's (X-Gitlab-Token, the
// secret itself). Calls are not counted by where they come from: behind a load
// balancer that is the same for everybody, and whoever cannot sign could keep the
// forge out. A flood of signed calls is one look in each gap, the last one after
// the last call.
type Handler struct {
	secretFile string
	wake       func()

	mu      sync.Mutex
	woken   time.Time   // when it was woken last
	pending *time.Timer // will wake; nil: nothing has come since
}

// New gives a handler. The secret is one line of a file, read again for every call
// so that it can be rotated; wake must not block.
func New(secretFile string, wake func()) (*Handler, error) {
	if _, err := readSecret(secretFile); err != nil {
		return nil, err
	}
	return &Handler{secretFile: secretFile, wake: wake}, nil
}

// minSecret is as short as a secret may be, in bytes.
const minSecret = 16

func readSecret(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("secret of the webhook: %w", err)
	}
	secret := strings.TrimSpace(string(data))
	if len(secret) < minSecret {
		return nil, fmt.Errorf("secret of the webhook: %s holds fewer than %d bytes", file, minSecret)
	}
	return []byte(secret), nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "only POST", http.StatusMethodNotAllowed)
		return
	}
	secret, err := readSecret(h.secretFile)
	if err != nil {
		http.Error(w, "no secret", http.StatusServiceUnavailable)
		return
	}
	ok, err := signed(req.Header, http.MaxBytesReader(w, req.Body, maxBody), secret)
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		http.Error(w, "the payload is too long", http.StatusRequestEntityTooLarge)
	case err != nil:
		http.Error(w, "the payload breaks off", http.StatusBadRequest)
	case !ok:
		http.Error(w, "not signed with the secret", http.StatusUnauthorized)
	default:
		h.heard(time.Now())
		w.WriteHeader(http.StatusAccepted)
	}
}

// heard wakes now, or at the end of the gap.
func (h *Handler) heard(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pending != nil {
		return
	}
	if wait := gap - now.Sub(h.woken); wait > 0 && wait <= gap {
		h.pending = time.AfterFunc(wait, func() {
			h.mu.Lock()
			h.pending, h.woken = nil, time.Now()
			h.mu.Unlock()
			h.wake()
		})
		return
	}
	h.woken = now
	h.wake()
}

// signed takes the same time whatever is wrong with a signature, and reads the
// payload only where one has the form of a signature.
func signed(header http.Header, body io.Reader, secret []byte) (bool, error) {
	if given, found := strings.CutPrefix(header.Get("X-Hub-Signature-256"), "sha256="); found {
		got, err := hex.DecodeString(given)
		if err != nil || len(got) != sha256.Size {
			return false, nil
		}
		m := hmac.New(sha256.New, secret)
		if _, err := io.Copy(m, body); err != nil {
			return false, err
		}
		return hmac.Equal(got, m.Sum(nil)), nil
	}
	token := header.Get("X-Gitlab-Token")
	// Sums of the same length: how long the secret is does not show either.
	return token != "" && hmac.Equal(sum([]byte(token), secret), sum(secret, secret)), nil
}

func sum(data, key []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(data)
	return m.Sum(nil)
}
