package load

import (
	"bytes"
	"errors"
	"math/big"
	"testing"
)

func FuzzReadFrame(f *testing.F) {
	var sound bytes.Buffer
	if err := writeFrame(&sound, frameProgress, "a/b"); err != nil {
		f.Fatal(err)
	}
	f.Add(sound.Bytes())
	f.Add([]byte{'A', 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("A\x00\x00\x00\x02{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 10
		_, body, err := readFrame(bytes.NewReader(data), limit)
		if err == nil && (len(body) > limit || len(body)+5 > len(data)) {
			t.Fatalf("a body of %d bytes out of %d", len(body), len(data))
		}
		_, _ = decodeAnswer(data) // must not panic
	})
}

func TestFrameLimits(t *testing.T) {
	if _, _, err := readFrame(bytes.NewReader([]byte{'A', 0xff, 0xff, 0xff, 0xff}), 100); !errors.Is(err, errFrameTooLarge) {
		t.Errorf("a frame of 4 GiB: %v", err)
	}
	if _, _, err := readFrame(bytes.NewReader([]byte{'A', 0, 0, 0, 9, 'x'}), 100); err == nil {
		t.Error("a frame cut short is no error")
	}
	if _, err := decodeAnswer([]byte("{}")); err == nil {
		t.Error("an answer without a mesh is no error")
	}
}

func TestDecimalTextIsExact(t *testing.T) {
	for _, c := range []struct {
		mantissa int64
		exponent int
		want     string
	}{
		{90, 0, "90"}, {5, -1, "0.5"}, {995, -1, "99.5"}, {29, -2, "0.29"}, {-5, -1, "-0.5"}, {1, 2, "100"},
		{50, -2, "0.50"}, {0, 0, "0"}, {1, -4, "0.0001"}, {1, 999, "1e999"}, {-3, -999, "-3e-999"},
	} {
		if got := decimalText(big.NewInt(c.mantissa), c.exponent); got != c.want {
			t.Errorf("%d × 10^%d is %q, want %q", c.mantissa, c.exponent, got, c.want)
		}
	}
}
