package literal_test

import (
	"math"
	"testing"

	"github.com/meshc/meshc/compiler/literal"
)

func TestNumber(t *testing.T) {
	for text, want := range map[string]bool{
		"0": true, "7": true, "-7": true, "0.5": true, "-0.25": true, "9007199254740992": true,
		"-0": false, "+7": false, "07": false, "7.0": false, "1e3": false, "0x7": false, "1_0": false, ".5": false, "": false,
		"NaN": false, "Inf": false, "9007199254740993": false, // which a proxy reads as another number
	} {
		if _, ok := literal.Number(text); ok != want {
			t.Errorf("%q is a number: %v", text, ok)
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, n := range []float64{0, math.Copysign(0, -1), 1, -1.5, 1e300, 5e-324, math.MaxFloat64} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n float64) {
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return
		}
		if got, ok := literal.Number(literal.FormatNumber(n)); !ok || got != n {
			t.Errorf("%g comes back as %g, %v", n, got, ok)
		}
	})
}
