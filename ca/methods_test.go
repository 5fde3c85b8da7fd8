package ca

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/meshc/meshc/ca/attest"
)

type nobody struct{}

func (nobody) Review(context.Context, string) (attest.Grant, error) {
	return attest.Grant{}, errors.New("nobody")
}

// Beside reviews of tokens a certificate is not enough: who was deleted would renew it
// for ever.
func TestReviewsAndRenewalsExcludeEachOther(t *testing.T) {
	for _, methods := range [][]attest.Method{{attest.ByTokenReview, attest.BySVID}, {attest.BySVID, attest.ByJoinToken, attest.ByTokenReview}} {
		_, err := Open(Config{Dir: filepath.Join(t.TempDir(), "ca"), TrustDomain: domain, Methods: methods, Reviewer: nobody{}})
		if !errors.Is(err, ErrRenewsForever) {
			t.Errorf("%v: %v", methods, err)
		}
	}
	open(t, Config{Methods: []attest.Method{attest.ByTokenReview, attest.ByJoinToken}, Reviewer: nobody{}})
}
