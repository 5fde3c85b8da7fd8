package dataplane

import (
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/telemetry"
)

// A certificate that the mesh does not name any more is not told of: nobody renews it,
// and the alert on its end would stay.
func TestEndsOfSecretsThatAreGone(t *testing.T) {
	registry := telemetry.New(1)
	m := newMetrics(registry)
	both := map[string]time.Time{"certificate|secret|old": time.Unix(1, 0), "certificate|secret|new": time.Unix(2, 0)}
	m.secretsEnd(nil, both)
	m.secretsEnd(both, map[string]time.Time{"certificate|secret|new": time.Unix(3, 0)})
	var text strings.Builder
	if err := registry.WritePrometheus(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "|old") || !strings.Contains(text.String(), `meshc_secret_not_after_timestamp_seconds{secret="certificate|secret|new"} 3`) {
		t.Error(text.String())
	}
}
