package ca

import (
	"testing"
	"time"

	"github.com/meshc/meshc/ca/template"
)

// serves asks for a certificate, whatever the clock does, and for the controller's own.
func serves(t *testing.T, when string, a *Authority, c *clock) {
	t.Helper()
	if _, err := a.Issue(cart, newKey(t).Public(), 0); err != nil {
		t.Errorf("%s: %v", when, err)
	}
	own, err := a.ControllerCertificate()
	if err != nil {
		t.Errorf("%s: %v", when, err)
	} else if err := checkTime(own.Leaf, c.now()); err != nil {
		t.Errorf("%s: the controller's own certificate: %v", when, err)
	}
}

// A clock that is set, by as much as it may be, and set back takes no certificate from
// anybody, also when the authority is started again; and the keys are such again, some
// time later, that the clock of now can use them.
func TestAClockThatIsSetAndSetBack(t *testing.T) {
	for what, by := range map[string]time.Duration{
		"five minutes": 5 * time.Minute, "an hour": time.Hour, "an issuer is due": template.IssuerTTL * 3 / 4,
		"the issuer is over": 400 * 24 * time.Hour, "a root is due": template.RootTTL * 9 / 10,
	} {
		for _, ticks := range []int{1, 3, 8} { // of a minute, while the clock is wrong
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				c := newClock()
				a := open(t, Config{Now: c.now, TTL: 2 * time.Minute})
				serves(t, "before", a, c)
				c.add(by)
				for range ticks {
					_, _ = a.Issue(cart, newKey(t).Public(), 0) // what is over by this clock need not be issued
					c.add(time.Minute)
				}
				c.add(-by)
				if ticks < 8 || by < template.IssuerTTL/2 { // later what was before is gone
					serves(t, "set back", a, c)
					serves(t, "set back and started again", open(t, Config{Dir: a.cfg.Dir, Now: c.now, TTL: 2 * time.Minute}), c)
				}
				for range 30 {
					_, _ = a.Issue(cart, newKey(t).Public(), 0)
					c.add(time.Minute)
				}
				serves(t, "later", a, c)
				s, err := a.Status()
				if err != nil || s.Rotation != nil {
					t.Fatalf("%+v, %v", s.Rotation, err)
				}
				for _, k := range s.Keys {
					if k.NotBefore.After(c.now()) {
						t.Errorf("%s %s begins at %s", k.Kind, k.Name, k.NotBefore)
					}
				}
			})
		}
	}
}

// Peers whose clocks are five minutes off, either way, take what was just issued, and
// the issuer above it.
func TestPeersFiveMinutesOffTakeACertificate(t *testing.T) {
	c := newClock()
	a := open(t, Config{Now: c.now})
	chain := issue(t, a, cart, 0)
	for _, off := range []time.Duration{-5 * time.Minute, 5 * time.Minute} {
		for _, cert := range append(chain, a.Bundle().Roots...) {
			if err := checkTime(cert, c.now().Add(off)); err != nil {
				t.Errorf("%s off: %q: %v", off, cert.Subject, err)
			}
		}
	}
	if chain[0].NotBefore.Before(chain[1].NotBefore) || chain[1].NotBefore.Before(a.Bundle().Roots[0].NotBefore) {
		t.Error("a certificate begins before the one above it")
	}
}

// A clock that is set ahead makes an issuer look as if it had no time left: the next
// one does not sign before the proxies that are live have its bundle.
func TestAClockAheadDoesNotPassTheProxies(t *testing.T) {
	c, done := newClock(), 0
	a := open(t, Config{Now: c.now, Acknowledged: func(uint64) (int, int) { return done, 1 }})
	before := name(t, a, "issuer", "active")
	c.add(400 * 24 * time.Hour)
	for range 5 {
		_, _ = a.source.current(c.now())
		c.add(time.Hour)
	}
	if now := name(t, a, "issuer", "active"); now != before {
		t.Fatal("another issuer signs, and nobody knows of it")
	}
	done = 1
	if _, err := a.source.current(c.now()); err != nil {
		t.Fatal(err)
	}
	if now := name(t, a, "issuer", "active"); now == before {
		t.Error("the next issuer does not sign although all know of it")
	}
}

// What a clock that was ahead has made is not valid yet when it is right again: the
// issuer before signs on, whoever has confirmed what.
func TestAnIssuerThatIsNotValidYetReplacesNoneThatWorks(t *testing.T) {
	c, done := newClock(), 1
	a := open(t, Config{Now: c.now, Acknowledged: func(uint64) (int, int) { return done, 1 }})
	before := issue(t, a, cart, 0)[1]
	c.add(400 * 24 * time.Hour)
	if _, err := a.source.current(c.now()); err != nil {
		t.Fatal(err)
	}
	if !a.source.(*own).book.In("issuer", "active").X509().NotBefore.After(before.NotAfter) {
		t.Fatal("no other issuer was made")
	}
	done = 0
	c.add(-400 * 24 * time.Hour)
	for _, a := range []*Authority{a, open(t, Config{Dir: a.cfg.Dir, Now: c.now, Acknowledged: a.cfg.Acknowledged})} {
		serves(t, "set back", a, c)
		if now := issue(t, a, cart, 0)[1]; !now.Equal(before) {
			t.Error("another issuer signs")
		}
	}
}
