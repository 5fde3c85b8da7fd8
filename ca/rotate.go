package ca

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/ca/slots"
)

// stepEvery is how often a rotation is looked at.
const stepEvery = 200 * time.Millisecond

// retryEvery is how long a step that has failed is left alone.
const retryEvery = 10 * time.Second

// ErrRotating is the answer to a rotation while another one is under way.
var ErrRotating = errors.New("a rotation is under way")

// ErrNoKey is the answer for a key that is not there, or that cannot be rotated.
var ErrNoKey = errors.New("there is no such key")

// rootDue is how much of a root's life is left, as a part of it, when its successor
// is made. An issuer's is half.
const rootDue = 4

// advance takes the steps that are due at the time now. mu is held.
func (o *own) advance(now time.Time) error {
	if err := o.look(now); err != nil {
		return err
	}
	if signing(o.book, now).Name != o.issues.Load().name {
		if err := o.adopt(o.book); err != nil {
			return err
		}
	}
	if d := now.Sub(o.failedAt); o.failed != nil && d >= 0 && d < retryEvery {
		return o.failed
	}
	for {
		step := o.next(o.book, now)
		if step == nil {
			o.failed = nil
			return nil
		}
		err := o.change(func(b *slots.Book) error {
			if step := o.next(b, now); step != nil { // another process may have been here first
				return step(b)
			}
			return nil
		})
		if err != nil {
			o.failed, o.failedAt = err, now
			o.cfg.Log.Error("the authority's keys could not be changed, those that are there serve on",
				"notAfter", o.issues.Load().certificate().NotAfter, "error", err)
			return err
		}
	}
}

// next gives the step that is due, nil when there is none.
func (o *own) next(b *slots.Book, now time.Time) func(*slots.Book) error {
	r := b.Rotation
	if r == nil {
		kind := o.due(b, now)
		if kind == "" {
			return nil
		}
		return func(b *slots.Book) error { return o.begin(b, slots.Rotation{Kind: kind, Reason: "age"}, now) }
	}
	if step := o.clockBack(b, now); step != nil {
		return step
	}
	if !o.passes(b, now) {
		return nil
	}
	return func(b *slots.Book) error { return o.phase(b, now) }
}

// due says what has to be replaced for its age.
func (o *own) due(b *slots.Book, now time.Time) slots.Kind {
	root, issuer := b.In(slots.Root, slots.Active), b.In(slots.Issuer, slots.Active)
	end, life := root.X509().NotAfter, root.X509().NotAfter.Sub(root.X509().NotBefore)
	if (end.Sub(now) < life/rootDue || early(root, now)) && o.has(root.Name) {
		return slots.Root
	}
	// An issuer that ends with its root cannot get a longer life.
	if halfOver(issuer.X509(), now) && issuer.X509().NotAfter.Before(end) || early(issuer, now) {
		return slots.Issuer
	}
	return ""
}

// has says whether a key is here: that of a root is kept elsewhere by those who
// want it safe, and they decide when there is another root.
func (o *own) has(name string) bool {
	names, err := o.keys.Names()
	return err == nil && slices.Contains(names, name)
}

// begin prepares what a rotation replaces.
func (o *own) begin(b *slots.Book, r slots.Rotation, now time.Time) error {
	root := b.In(slots.Root, slots.Active)
	if r.Kind == slots.Root {
		if err := o.prepareRoot(b, now); err != nil {
			return err
		}
		root = b.In(slots.Root, slots.Prepared)
	}
	if err := o.prepareIssuer(b, root, now); err != nil {
		return err
	}
	if err := o.prepareJWT(b, now); err != nil {
		return err
	}
	r.Phase, r.Since = slots.Distribute, now.UTC()
	b.Rotation = &r
	o.cfg.Log.Info("rotation begins", "of", string(r.Kind), "reason", r.Reason, "tainted", r.Taint)
	return nil
}

// passes says whether the phase may end: all live proxies have the bundle, and
// whoever was away has asked for a certificate since, or has none that is valid.
// What has been compromised is not waited for that long, and for nobody beyond a deadline.
func (o *own) passes(b *slots.Book, now time.Time) bool {
	r := b.Rotation
	watched := o.watched(r)
	if by := signing(b, now); r.Phase == slots.Distribute && (early(by, now) || by.X509().NotAfter.Before(now.Add(o.cfg.TTL))) {
		// It has no time left to sign anything that lasts, or the clock was set ahead.
		return watched >= urgentTime || o.acknowledged(b)
	}
	if r.Phase == slots.Reissue && now.UnixNano() < o.tokens.Load() && !r.Taint {
		return false // the key of tokens goes too
	}
	if r.Taint && !now.Before(r.Since.Add(deadline(r.Phase))) {
		return true
	}
	return o.acknowledged(b) && !now.Before(r.Since.Add(o.wait(r)))
}

// acknowledged says whether all live proxies have confirmed the bundle.
func (o *own) acknowledged(b *slots.Book) bool {
	if o.cfg.Acknowledged == nil {
		return true
	}
	done, live := o.cfg.Acknowledged(b.Sequence)
	return done >= live
}

// deadline is how long a phase lasts at most when a key is tainted: one proxy that hangs,
// or that a thief runs, must not keep the others at trusting it. All three phases are a
// minute.
func deadline(p slots.Phase) time.Duration {
	if p == slots.Reissue {
		return 30 * time.Second
	}
	return 15 * time.Second
}

// leaveBehind tells of the proxies that a phase was not held up for any longer.
func (o *own) leaveBehind(b *slots.Book) {
	if o.acknowledged(b) {
		return
	}
	done, live := o.cfg.Acknowledged(b.Sequence)
	var names []string
	if o.cfg.Behind != nil {
		names = o.cfg.Behind()
	}
	o.cfg.Log.Error("the rotation goes on without the proxies that have not confirmed the trust bundle",
		"phase", string(b.Rotation.Phase), "acknowledged", done, "live", live, "behind", names[:min(len(names), maxNamed)])
}

// maxNamed is how many proxies a line of the log names.
const maxNamed = 100

// wait is how long a phase lasts at least.
func (o *own) wait(r *slots.Rotation) time.Duration {
	switch {
	case r.Phase == slots.Drop:
		return 0
	case r.Phase == slots.Distribute && r.Taint:
		return min(o.cfg.TTL, knownTime)
	case r.Phase == slots.Reissue && r.Taint:
		return min(o.cfg.TTL, reissueTime)
	case r.Phase == slots.Reissue && r.Kind == slots.Issuer:
		return JWTTTL // certificates bring the issuer that signed them along
	}
	return o.cfg.TTL
}

// knownTime is how long those that watch the bundle, and had lost the connection, are
// given to learn of the root that replaces a compromised one.
const knownTime = 5 * time.Second

// reissueTime is how long those that have a certificate of a compromised root are
// given to renew it, once they know of the next one.
const reissueTime = 20 * time.Second

// phase ends the phase of the rotation.
func (o *own) phase(b *slots.Book, now time.Time) error {
	r := b.Rotation
	o.leaveBehind(b)
	switch r.Phase {
	case slots.Distribute:
		for _, k := range []slots.Kind{slots.Root, slots.Issuer, slots.JWT} {
			if k == slots.Root && r.Kind != slots.Root {
				continue
			}
			if err := b.Activate(k, now); err != nil {
				return err
			}
		}
		r.Phase = slots.Reissue
	case slots.Reissue:
		if _, err := b.Forget(func(s *slots.Slot) bool { return s.State == slots.Retired }); err != nil {
			return err
		}
		r.Phase = slots.Drop
	case slots.Drop:
		o.cfg.Log.Info("rotation ends", "of", string(r.Kind))
		b.Rotation = nil
		return nil
	}
	r.Since = now.UTC()
	o.cfg.Log.Info("rotation goes on", "of", string(r.Kind), "phase", string(r.Phase))
	return nil
}

// rotate implements source.
func (o *own) rotate(kind string, now time.Time) error {
	k := slots.Kind(kind)
	if k != slots.Root && k != slots.Issuer {
		return fmt.Errorf("%w as %q, want root or issuer", ErrNoKey, kind)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.change(func(b *slots.Book) error {
		if b.Rotation != nil {
			return fmt.Errorf("%w, of the %s, in phase %s", ErrRotating, b.Rotation.Kind, b.Rotation.Phase)
		}
		return o.begin(b, slots.Rotation{Kind: k, Reason: "asked for"}, now)
	})
}

// taint implements source. What a tainted key signed cannot be told from what a
// thief has signed with it: the root goes, and all that is below it.
func (o *own) taint(name, reason string, now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.change(func(b *slots.Book) error {
		s := b.Named(name)
		if s == nil {
			return fmt.Errorf("%w as %q", ErrNoKey, name)
		}
		s.Tainted = true
		if s.State == slots.Prepared {
			return o.replacePrepared(b, reason, now)
		}
		switch r := b.Rotation; {
		case r != nil && r.Kind == slots.Root && (s.State == slots.Retired || r.Phase == slots.Distribute):
			r.Taint, r.Reason, r.Since = true, reason, now.UTC() // what is under way ends its trust
			return nil
		case s.State == slots.Retired && s.Kind != slots.Root:
			// A retired issuer is trusted by way of its root.
		case r != nil && r.Phase == slots.Distribute:
			if _, err := b.Forget(func(s *slots.Slot) bool { return s.State == slots.Prepared }); err != nil {
				return err
			}
		}
		return o.begin(b, slots.Rotation{Kind: slots.Root, Taint: true, Reason: reason}, now)
	})
}

// replacePrepared makes anew what a rotation has prepared.
func (o *own) replacePrepared(b *slots.Book, reason string, now time.Time) error {
	if _, err := b.Forget(func(s *slots.Slot) bool { return s.State == slots.Prepared }); err != nil {
		return err
	}
	r := *b.Rotation
	r.Reason = reason
	return o.begin(b, r, now)
}
