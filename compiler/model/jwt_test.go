package model

import "testing"

// TestTakesOut: what is believed to be taken out, and goes on, would be a token
// that nobody has judged.
func TestTakesOut(t *testing.T) {
	header := TokenPlace{Source: TokenHeader, Name: "authorization", Prefix: "Bearer "}
	cookie := TokenPlace{Source: TokenCookie, Name: "session"}
	for name, c := range map[string]struct {
		gateway, service JWT
		want             bool
	}{
		"the same header":       {JWT{From: []TokenPlace{header}}, JWT{From: []TokenPlace{header}}, true},
		"it is passed on":       {JWT{From: []TokenPlace{header}, Forward: true}, JWT{From: []TokenPlace{header}}, false},
		"another header":        {JWT{From: []TokenPlace{{Source: TokenHeader, Name: "x"}}}, JWT{From: []TokenPlace{header}}, false},
		"a cookie stays":        {JWT{From: []TokenPlace{cookie}}, JWT{From: []TokenPlace{cookie}}, false},
		"a cookie and a header": {JWT{From: []TokenPlace{cookie, header}}, JWT{From: []TokenPlace{header, cookie}}, false},
	} {
		if got := TakesOut([]JWT{c.gateway}, &c.service); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
