package literal_test

import (
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

func TestPercentIsExact(t *testing.T) {
	for in, want := range map[string]uint32{
		"0": 0, "-0": 0, "100": 10000, "8.2": 820, "4.35": 435, "0.29": 29, "0.01": 1, "99.99": 9999,
		"90.00": 9000, "90.500": 9050, ".5": 50, "5.": 500, "007": 700,
	} {
		got, err := literal.Percent(in)
		if err != nil || got != want {
			t.Errorf("Percent(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
}

func TestPercentRefuses(t *testing.T) {
	for in, want := range map[string]error{
		"": literal.ErrMissing, "-1": literal.ErrNegative, "100.01": literal.ErrOverWhole, "101": literal.ErrOverWhole,
		"1000000000000000000000": literal.ErrOverWhole, "0.001": literal.ErrDecimals, "1e2": literal.ErrNotNumber,
		"abc": literal.ErrNotNumber, ".": literal.ErrNotNumber, "-": literal.ErrNotNumber, "1.2.3": literal.ErrNotNumber,
		"0x10": literal.ErrNotNumber, "1_0": literal.ErrNotNumber, "+1": literal.ErrNotNumber,
	} {
		if _, err := literal.Percent(in); !errors.Is(err, want) {
			t.Errorf("Percent(%q): %v, want %v", in, err, want)
		}
	}
}

func TestPercentRoundTrips(t *testing.T) {
	for bp := uint32(0); bp <= model.BasisPointsWhole; bp++ {
		got, err := literal.Percent(literal.FormatPercent(bp))
		if err != nil || got != bp {
			t.Fatalf("%d → %q → %d, %v", bp, literal.FormatPercent(bp), got, err)
		}
	}
}

func FuzzPercent(f *testing.F) {
	for _, s := range []string{"8.2", "-0.00", "100.001", "1e2", "", "00100.0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		bp, err := literal.Percent(s)
		if err != nil {
			return
		}
		exact, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("Percent(%q) = %d, but it is no number", s, bp)
		}
		if exact.Cmp(big.NewRat(int64(bp), 100)) != 0 {
			t.Fatalf("Percent(%q) = %d", s, bp)
		}
	})
}

func TestDuration(t *testing.T) {
	if d, err := literal.Duration("1m30s"); err != nil || d != 90*time.Second {
		t.Errorf("1m30s = %v, %v", d, err)
	}
	for _, bad := range []string{"", "3", "-1s", "0.5ms", "1us", "9000h", "x"} {
		if d, err := literal.Duration(bad); err == nil {
			t.Errorf("Duration(%q) = %v", bad, d)
		}
	}
}

func TestRetryOn(t *testing.T) {
	if w, _, err := literal.RetryOn("5xx"); err != nil || w != "5xx" {
		t.Errorf("5xx = %q, %v", w, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(-10, 1000).Draw(t, "n")
		_, status, err := literal.RetryOn(fmt.Sprint(n))
		if valid := n >= 100 && n <= 599; valid != (err == nil) || valid && int(status) != n {
			t.Fatalf("RetryOn(%d) = %d, %v", n, status, err)
		}
	})
}

func TestRef(t *testing.T) {
	if got := literal.Ref("a", "shop"); got != (model.Ref{Namespace: "shop", Name: "a"}) {
		t.Error(got)
	}
	if got := literal.Ref("x/a", "shop"); got != (model.Ref{Namespace: "x", Name: "a"}) {
		t.Error(got)
	}
}
