package apiserver

import (
	"os"
	"testing"
)

// AccountKey is the key, in PEM, by which the server signs the tokens of service
// accounts: a test makes those with it that a server gives to nobody any more.
func (s *Server) AccountKey(t testing.TB) []byte {
	t.Helper()
	key, err := os.ReadFile(s.path("account.key"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}
