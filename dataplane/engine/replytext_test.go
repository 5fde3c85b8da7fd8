package engine

import (
	"testing"

	"github.com/meshc/meshc/dataplane/route"
)

// The texts are Envoy's, to the letter: people search for them.
func TestReplyTextTellsOfRetries(t *testing.T) {
	r := retryState{policy: &route.Retry{Attempts: 2}, left: 2}
	body := outcomes[failConnect].body
	if got := r.text(body); got != body {
		t.Errorf("before any retry: %q", got)
	}
	r.left = 1
	want := "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure"
	if got := r.text(body); got != want {
		t.Errorf("after a retry: %q", got)
	}
	if got := r.text(outcomes[failPerTry].body); got != outcomes[failPerTry].body {
		t.Errorf("after a timeout: %q", got)
	}
	if got := (&retryState{}).text(body); got != body {
		t.Errorf("without a policy: %q", got)
	}
}
