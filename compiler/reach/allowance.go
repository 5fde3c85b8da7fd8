package reach

import "errors"

// Allowance bounds the work of several spaces together, such as the tables of
// one gateway: each may take DefaultLimits, and all of them a few times that. It
// counts work and not time, so that what is found is always the same. The zero
// Allowance is ready to use, by one goroutine.
type Allowance struct {
	steps, merges int // that are used up
	unknown       int
	where         string // of the last Unknown
	last          *Space
}

// What an Allowance allows: about six seconds of a CPU at worst, beside what every
// space may use without being counted, so that many that are cheap are all decided.
const (
	allowedSteps   = 120_000_000
	allowedMerges  = 60_000_000
	allowedUnknown = 3
	freeSteps      = 300_000
	freeMerges     = 150_000
)

var errAllowance = errors.New("too much is asked of these tables together")

// Spent says that no further space is tried.
func (a *Allowance) Spent() bool { return a.unknown >= allowedUnknown }

// New gives the space that ps are to be judged in, as New does. Once a few of them
// were too much, no other is tried.
func (a *Allowance) New(ps ...Pred) (*Space, error) {
	if a.Spent() {
		return nil, &Unknown{a.where, errAllowance}
	}
	a.settle()
	limits := DefaultLimits
	limits.Steps = max(freeSteps, min(limits.Steps, allowedSteps-a.steps))
	limits.Merges = max(freeMerges, min(limits.Merges, allowedMerges-a.merges))
	s, used, err := newSpace(limits, ps)
	a.steps, a.last = a.steps+max(0, used-freeSteps), s
	if u := (*Unknown)(nil); errors.As(err, &u) && limits.Steps < DefaultLimits.Steps {
		return nil, &Unknown{u.Where, errAllowance} // others have used up what this one would have had
	}
	return s, err
}

// Overlap gives a request for which both hold, nil when there is none, or an
// Unknown, which it notes.
func (a *Allowance) Overlap(p, q Pred) (*Request, error) {
	both := All(p, q)
	s, err := a.New(both)
	if err == nil {
		var set Set
		if set, err = s.Set(both); err == nil {
			return s.Witness(set), nil
		}
	}
	a.Undecided(err)
	return nil, err
}

// Undecided notes that a table was too much, whether New or the space itself said
// so.
func (a *Allowance) Undecided(err error) {
	var u *Unknown
	if errors.As(err, &u) {
		a.unknown, a.where = a.unknown+1, u.Where
	}
}

// settle notes what the last space has used since it was made.
func (a *Allowance) settle() {
	if a.last != nil {
		a.merges += max(0, a.last.store.Steps()-freeMerges)
		a.last = nil
	}
}
