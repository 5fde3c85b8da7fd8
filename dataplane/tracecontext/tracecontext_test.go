package tracecontext

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/dataplane/message"
)

func fields(list ...string) (out []message.Field) {
	for i := 0; i < len(list); i += 2 {
		out = append(out, message.Field{Name: list[i], Value: list[i+1]})
	}
	return out
}

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
)

func TestTraceparent(t *testing.T) {
	for value, want := range map[string]struct{ valid, sampled bool }{
		"00-" + traceID + "-" + spanID + "-01":                  {true, true},
		"00-" + traceID + "-" + spanID + "-00":                  {true, false},
		"00-" + traceID + "-" + spanID + "-03":                  {true, true},
		"cc-" + traceID + "-" + spanID + "-01-what-comes":       {true, true},
		"00-" + traceID + "-" + spanID + "-01-what-comes":       {},
		"ff-" + traceID + "-" + spanID + "-01":                  {},
		"00-" + strings.ToUpper(traceID) + "-" + spanID + "-01": {},
		"00-" + strings.Repeat("0", 32) + "-" + spanID + "-01":  {},
		"00-" + traceID + "-" + strings.Repeat("0", 16) + "-01": {},
		"00-" + traceID + "-" + spanID:                          {},
		"00-" + traceID + "-" + spanID + "-0g":                  {},
		"":                                                      {},
		"00_" + traceID + "-" + spanID + "-01":                  {},
		strings.Repeat("-", 55):                                 {},
	} {
		c := FromW3C(fields("traceparent", value, "tracestate", "a=1", "tracestate", "b=2"))
		if c.Valid != want.valid || c.Sampled != want.sampled || c.Decided != want.valid {
			t.Errorf("%q: %+v", value, c)
		}
		if c.Valid && c.State != "a=1,b=2" {
			t.Errorf("%q: state %q", value, c.State)
		}
	}
	twice := "00-" + traceID + "-" + spanID + "-01"
	if c := FromW3C(fields("traceparent", twice, "traceparent", twice)); c.Valid {
		t.Error("two traceparents are one")
	}
}

func TestB3(t *testing.T) {
	type want struct{ valid, decided, sampled, short bool }
	for name, c := range map[string]struct {
		in []string
		want
	}{
		"several":               {[]string{"x-b3-traceid", traceID, "x-b3-spanid", spanID, "x-b3-sampled", "1"}, want{true, true, true, false}},
		"short, not decided":    {[]string{"x-b3-traceid", traceID[16:], "x-b3-spanid", spanID}, want{true, false, false, true}},
		"debug":                 {[]string{"x-b3-traceid", traceID, "x-b3-spanid", spanID, "x-b3-flags", "1"}, want{true, true, true, false}},
		"a decision alone":      {[]string{"x-b3-sampled", "0"}, want{false, true, false, false}},
		"bad ID":                {[]string{"x-b3-traceid", "xyz", "x-b3-spanid", spanID, "x-b3-sampled", "1"}, want{false, true, true, false}},
		"one":                   {[]string{"b3", traceID + "-" + spanID + "-0-" + spanID}, want{true, true, false, false}},
		"one, not decided":      {[]string{"b3", traceID + "-" + spanID}, want{true, false, false, false}},
		"one, a decision alone": {[]string{"b3", "0"}, want{false, true, false, false}},
		"one, bad":              {[]string{"b3", "x-y-1"}, want{}},
		"upper case":            {[]string{"x-b3-traceid", strings.ToUpper(traceID), "x-b3-spanid", spanID}, want{true, false, false, false}},
	} {
		got := FromB3(fields(c.in...))
		if (want{got.Valid, got.Decided, got.Sampled, got.Short}) != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What is written is read as it was meant, and replaces what was there.
func TestWrittenIsRead(t *testing.T) {
	in := FromW3C(fields("traceparent", "00-"+traceID+"-"+spanID+"-01"))
	for _, short := range []bool{false, true} {
		out := Outgoing{Trace: in.Trace, Span: [8]byte{7: 9}, Parent: in.Span, HasParent: true, Sampled: true}
		old := fields("traceparent", "x", "a", "b", "traceparent", "y", "b3", "0", "x-b3-sampled", "0", "x-b3-traceid", "z")
		if short {
			clear(out.Trace[:8])
			out.Short = true
		}
		written := out.ToB3(out.ToW3C(old))
		w, b := FromW3C(written), FromB3(written)
		if !w.Valid || w.Trace != out.Trace || w.Span != out.Span || !w.Sampled {
			t.Errorf("W3C: %+v", w)
		}
		if !b.Valid || b.Trace != out.Trace || b.Span != out.Span || !b.Sampled || b.Short != short {
			t.Errorf("B3: %+v of %+v", b, written)
		}
		if v, _ := message.Get(written, "x-b3-parentspanid"); v != spanID {
			t.Errorf("parent %q", v)
		}
		if v, _ := message.Get(written, "a"); v != "b" {
			t.Errorf("another field is lost: %+v", written)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("00-"+traceID+"-"+spanID+"-01", traceID+"-"+spanID+"-1")
	f.Fuzz(func(t *testing.T, parent, b3 string) {
		for _, c := range []Context{FromW3C(fields("traceparent", parent)), FromB3(fields("b3", b3)), FromB3(fields("x-b3-traceid", parent, "x-b3-spanid", b3))} {
			if c.Valid == (c.Trace == [16]byte{} || c.Span == [8]byte{}) {
				t.Fatalf("%+v", c)
			}
		}
	})
}
