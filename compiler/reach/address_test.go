package reach

import (
	"net/netip"
	"testing"
)

func TestNetworksAreExact(t *testing.T) {
	at := func(network string) Pred { return Is(Dim{Kind: Address}, In(netip.MustParsePrefix(network))) }
	for _, c := range []struct {
		p    Pred
		want string // the witness's address; "none" for no request
	}{
		{at("10.1.0.0/16"), "10.1.0.0"},
		{All(at("10.0.0.0/8"), Not(at("10.0.0.0/9"))), "10.128.0.0"},
		{All(at("10.0.0.0/9"), Not(at("10.0.0.0/8"))), "none"},
		{All(at("10.0.0.0/8"), Not(Any(at("10.0.0.0/9"), at("10.128.0.0/9")))), "none"},
		{All(at("2001:db8::/32"), Not(at("2001:db8::/128"))), "2001:db8::1"},
		{All(at("0.0.0.0/0"), at("::/0")), "none"},
		{Not(at("10.0.0.0/8")), "192.0.2.1"},
		{Not(Any(at("0.0.0.0/0"), at("::/0"))), "none"},
	} {
		r, err := Find(c.p)
		got := "none"
		if r != nil {
			got = r.Address
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want the address %s", c.p, r, err, c.want)
		}
	}
	if words := at("10.0.0.0/8").String(); words != "address in 10.0.0.0/8" {
		t.Error(words)
	}
}
