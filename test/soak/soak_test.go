package soak

import "testing"

// The parts of a soak are all of it, and none of it twice.
func TestPartsAreTheWhole(t *testing.T) {
	t.Setenv("MESHC_SOAK", "1")
	next := uint64(0)
	for _, part := range []string{"1/3", "2/3", "3/3"} {
		t.Setenv("MESHC_SOAK_PART", part)
		from, to := Seeds(t, 1, 100)
		if from != next || to <= from {
			t.Errorf("part %s is %d to %d, want it from %d", part, from, to, next)
		}
		next = to
	}
	if next != 100 {
		t.Errorf("the parts end at %d", next)
	}
	t.Setenv("MESHC_SOAK", "")
	if from, to := Seeds(t, 7, 100); from != 0 || to != 7 {
		t.Errorf("a short run is %d to %d, want 0 to 7", from, to)
	}
}
