package telemetry

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Times are written as package time does, in whatever order they come.
func TestClockWritesTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c clock
		near := rapid.Int64Range(-1<<40, 1<<40).Draw(t, "near")
		for range 20 {
			at := time.Unix(near+rapid.Int64Range(-2, 2).Draw(t, "second"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(time.FixedZone("x", 3600))
			want := at.UTC().Format("2006-01-02T15:04:05.000Z")
			if got := string(c.append(nil, at)); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	})
	var c clock
	for _, at := range []time.Time{{}, time.Unix(year10000-1, 999_999_999), time.Unix(year10000, 0), time.Unix(0, 0)} {
		want := at.UTC().Format("2006-01-02T15:04:05.000Z")
		if got := string(c.append(nil, at)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := string((*clock)(nil).append(nil, time.Unix(0, 0))); got != "1970-01-01T00:00:00.000Z" {
		t.Error(got)
	}
}
