package ca

import (
	"time"

	"github.com/meshc/meshc/ca/slots"
	"github.com/meshc/meshc/ca/template"
)

// urgentTime is how long proxies that are live are waited for, by a clock that nobody
// can set, when the issuer has no time left to sign anything that lasts. It looks the
// same when the clock was set ahead: then what comes next would be valid for nobody
// else.
const urgentTime = 10 * time.Minute

// early says whether a certificate is not valid yet: it was made by a clock that was
// ahead.
func early(s *slots.Slot, now time.Time) bool { return now.Before(s.X509().NotBefore) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// signing is the issuer that signs: the active one, but not before it is valid if the
// one before it still is.
func signing(b *slots.Book, now time.Time) *slots.Slot {
	active := b.In(slots.Issuer, slots.Active)
	root := b.Named(active.Parent)
	if !early(active, now) && (root == nil || !early(root, now)) {
		return active
	}
	for _, s := range b.Trusted(slots.Issuer) {
		root := b.Named(s.Parent)
		if s.State != slots.Retired || s.Tainted || root == nil || root.Tainted {
			continue
		}
		if checkTime(s.X509(), now) == nil && checkTime(root.X509(), now) == nil {
			return s
		}
	}
	return active
}

// clockBack gives the step that is due because the clock was set back while a rotation
// was under way, nil when there is none: what is not valid yet is made anew, and the
// time that a phase began is brought back.
func (o *own) clockBack(b *slots.Book, now time.Time) func(*slots.Book) error {
	r := *b.Rotation
	is := func(k slots.Kind, s slots.State) bool {
		slot := b.In(k, s)
		return slot != nil && early(slot, now)
	}
	switch {
	case r.Phase == slots.Distribute && (is(slots.Root, slots.Prepared) || is(slots.Issuer, slots.Prepared)):
		return func(b *slots.Book) error { return o.replacePrepared(b, r.Reason, now) }
	case r.Phase != slots.Distribute && (is(slots.Root, slots.Active) || is(slots.Issuer, slots.Active)):
		if is(slots.Root, slots.Active) {
			r.Kind = slots.Root
		}
		return func(b *slots.Book) error { return o.begin(b, r, now) }
	case r.Since.After(now.Add(template.Backdate)):
		return func(b *slots.Book) error {
			b.Rotation.Since = now.UTC()
			return nil
		}
	}
	return nil
}

// watched is how long this process has seen the rotation in its phase, by a clock that
// nobody sets. mu is held.
func (o *own) watched(r *slots.Rotation) time.Duration {
	if key := (slots.Rotation{Kind: r.Kind, Phase: r.Phase, Since: r.Since}); o.seen != key {
		o.seen, o.seenSince = key, time.Now()
	}
	return time.Since(o.seenSince)
}

// token implements source.
func (o *own) token(until time.Time) {
	for {
		last := o.tokens.Load()
		if until.UnixNano() <= last || o.tokens.CompareAndSwap(last, until.UnixNano()) {
			return
		}
	}
}
