package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Two controllers on one keystore would each rotate by the proxies that it sees: the
// second one is refused, and told what to do; when the first one has ended it gets the
// keys. Who mounts an issuer shares it.
func TestOneControllerHoldsTheKeys(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	controller := func(issuer string) *process {
		return &process{config: &config{caDir: dir, authority: authorityFlags{issuer: issuer}}}
	}
	first, second := controller(""), controller("")
	must(t, first.holdKeys())
	if err := second.holdKeys(); err == nil || !strings.Contains(err.Error(), "--ca-issuer-dir") {
		t.Errorf("the second one: %v", err)
	}
	must(t, controller("/issuer").holdKeys())
	first.stop()
	must(t, second.holdKeys())
	second.stop()
}
