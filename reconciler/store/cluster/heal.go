package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/reconciler/push/kube"
	"github.com/meshc/meshc/reconciler/status"
)

const (
	// healDelay gathers changes that come together.
	healDelay = 50 * time.Millisecond
	// healRetry is how often what could not be healed or deleted is tried again.
	healRetry = 5 * time.Second
	// settleTime is how long the watch may take to tell of what was just written.
	settleTime = 5 * time.Second
	// fightWindow and fightLimit: an object that is healed more often than this
	// in that time is being fought over.
	fightWindow = time.Minute
	fightLimit  = 5
)

// Heal keeps what serves as it was written until ctx ends: what others delete or
// change is made good. It ends with ErrFenced when this term is over.
func (s *Store) Heal(ctx context.Context) error {
	ticker := time.NewTicker(healRetry)
	defer ticker.Stop()
	forget := time.NewTicker(fightWindow)
	defer forget.Stop()
	for {
		changed := s.Cache.Changed()
		if err := s.healOnce(); errors.Is(err, ErrFenced) {
			return err
		} else if err != nil && ctx.Err() == nil {
			s.Log.Error("drift could not be healed and is tried again", "error", err)
		}
		select {
		case <-changed:
			select {
			case <-time.After(healDelay):
			case <-ctx.Done():
				return nil
			}
		case <-ticker.C:
		case <-forget.C:
			s.forgetFights()
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Store) forgetFights() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.seen {
		s.seen[name] = 0
	}
	clear(s.rivals)
}

func (s *Store) healOnce() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, err := s.Cache.Mesh(); err == nil && m != nil && m.Status.Inventory.Epoch > s.epoch {
		return fmt.Errorf("%w: %s in epoch %d, this one is of epoch %d", ErrFenced, m.Status.Inventory.Holder, m.Status.Inventory.Epoch, s.epoch)
	}
	if s.set == nil {
		return nil
	}
	broken, fought := s.broken()
	if len(broken) == 0 && len(fought) == 0 {
		return s.prune()
	}
	return s.mend(broken, fought)
}

// broken are the objects of what serves that others deleted or changed; fought
// those that this has happened to too often of late.
func (s *Store) broken() (broken, fought []kube.Object) {
	settled := time.Since(s.saved) > settleTime
	for _, o := range s.set.objects {
		n, seen := s.seen[o.Name]
		switch {
		case s.intact(s.set, o.Name):
			if !seen {
				s.seen[o.Name] = 0
			}
		case !seen && !settled: // the watch has yet to tell of it
		case n >= fightLimit:
			fought = append(fought, o)
		default:
			broken = append(broken, o)
		}
	}
	return broken, fought
}

// mend applies what is broken and says so in the condition Drifted.
func (s *Store) mend(broken, fought []kube.Object) error {
	drifted, err := s.applier.Apply(s.ctx, broken)
	// Only what took effect can be undone by somebody: that the API server does not
	// take a write is no fight.
	if failed := kube.NotApplied(err); s.ctx.Err() == nil {
		for _, o := range broken {
			if !failed[o.Ref] {
				s.seen[o.Name]++
			}
		}
	}
	for _, d := range drifted {
		s.rivals[d.Object.Name] = d.Owners[0].String()
	}
	if err == nil { // the watch tells of it in a moment, which must not look like another change
		_ = s.Cache.await(s.ctx, settleTime, func() error { return s.all(broken) })
	}
	what := describe(broken, drifted)
	if err == nil {
		s.tellDrift(broken, fought, what)
	}
	switch {
	case err != nil:
		s.drift = s.became(status.True, "HealFailed", err.Error())
	case len(fought) > 0:
		s.drift = s.became(status.True, "Fighting", s.fight(fought[0].Name)+"; "+what)
	default:
		s.drift = s.became(status.False, "Healed", what)
		s.Log.Warn("what serves was changed by others and is as it should be again", "what", what)
	}
	if s.written == nil {
		return err
	}
	return errors.Join(err, s.report(s.written))
}

// intact says whether a ServiceConfig is in the cluster as it was made for of.
func (s *Store) intact(of *set, name string) bool {
	e := s.Cache.entry(name)
	return e != nil && e.fault == nil && e.UID != s.gone[name] && e.print == of.prints[name]
}

// tellDrift tells of what others did; of a fight once in each window.
func (s *Store) tellDrift(broken, fought []kube.Object, what string) {
	if len(broken) > 0 {
		s.tell(EventDrifted, true, "%s", what)
	}
	for _, o := range fought {
		if s.seen[o.Name] == fightLimit {
			s.seen[o.Name]++
			s.tell(EventFought, true, "%s", s.fight(o.Name))
		}
	}
}

// fight names an object that is left alone, and who keeps changing it.
func (s *Store) fight(name string) string {
	by := ""
	if rival := s.rivals[name]; rival != "" {
		by = " by " + rival
	}
	return fmt.Sprintf("%s was changed more than %d times within %s%s and is left alone for a while", name, fightLimit, fightWindow, by)
}

// all says whether the cache has these objects of what serves intact.
func (s *Store) all(objects []kube.Object) error {
	for _, o := range objects {
		if !s.intact(s.set, o.Name) {
			return fmt.Errorf("%s is not as it was written", o.Name)
		}
	}
	return nil
}

// became gives the condition Drifted, whose time moves with its status.
func (s *Store) became(to status.ConditionStatus, reason, message string) status.Condition {
	c := condition(status.Drifted, to, reason, message)
	if s.drift.Status == to {
		c.LastTransitionTime = s.drift.LastTransitionTime
	}
	return c
}

// describe names the objects and whom they were taken back from.
func describe(broken []kube.Object, drifted []kube.Drift) string {
	if len(broken) == 0 {
		return "nothing else was changed"
	}
	first := slices.MinFunc(broken, func(a, b kube.Object) int { return cmp.Compare(a.Name, b.Name) })
	text := first.Name + " was deleted or lost its label"
	if len(drifted) > 0 {
		text = fmt.Sprintf("%s was changed by %s", drifted[0].Object.Name, drifted[0].Owners[0])
	}
	if more := len(broken) - 1; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}
