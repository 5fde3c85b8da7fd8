package local

import (
	"os"
	"time"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/compiler/model"
)

const (
	// tokenLife is how long a token may wait for its use.
	tokenLife = time.Hour
	// tokenLook is how often tokens are looked at.
	tokenLook = 2 * time.Second
)

// keepTokens has a usable join token lie ready for every proxy at all times. A
// proxy needs one not only at its first start: where it was down, or the
// machine suspended, for longer than its certificate lasts, it has to join
// again. The token is as well kept as the key of the identity beside it.
func (r *runner) keepTokens() error {
	if r.placed == nil || time.Since(r.tokensAt) < tokenLook {
		return nil
	}
	r.tokensAt = time.Now()
	for _, w := range r.placed.Workloads {
		if err := r.readyToken(r.mesh, w); err != nil {
			return err
		}
	}
	return nil
}

// readyToken replaces the one-time token of a proxy once it cannot be used any
// more.
func (r *runner) readyToken(m *model.Mesh, w *model.Workload) error {
	id, err := spiffeID(m, w)
	if err != nil {
		return err
	}
	tokens, err := ca.OpenTokens(r.at.ca(), m.TrustDomain)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(r.at.token(w)); err == nil {
		if grant, err := tokens.Look(string(old)); err == nil && grant.ID.String() == id {
			return nil
		}
	}
	token, err := tokens.CreateJoinToken(id, tokenLife)
	if err != nil {
		return err
	}
	return writeFile(r.at.token(w), []byte(token))
}
