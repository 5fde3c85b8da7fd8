package literal

import (
	"math/big"
	"testing"
)

func TestQuantity(t *testing.T) {
	for text, want := range map[string]*big.Rat{
		"100m": big.NewRat(1, 10), "2": big.NewRat(2, 1), "0.5": big.NewRat(1, 2), "128Mi": big.NewRat(128<<20, 1), "1.5k": big.NewRat(1500, 1), "1Ei": big.NewRat(1<<60, 1),
	} {
		if got, err := Quantity(text); err != nil || got.Cmp(want) != 0 {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "m", "-1", "0", "0.0m", "1 Mi", "1mi", "1MI", ".5", "1.", "1e3", "٣", "1000000000000000000000"} {
		if got, err := Quantity(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
