package xds

import (
	"sort"
	"strings"
	"sync"
	"time"
)

// memory is what outlives the streams of one node: what it refused, and the
// newest set that it confirmed in full.
type memory struct {
	mu         sync.Mutex
	rejections []*rejection
	good       *nodeSet
	halted     map[string]bool // commits refused by this node

	retryAt time.Time // when what was refused is tried again; zero: nothing to try
	retries int       // since a whole set was confirmed that nobody had refused
	pardons int       // how often all was forgotten for another try
}

// rejection is one refused response. Its pairs are held back for as long as
// all of them are still wanted: once one of them changes, the others, which
// may have been refused in bad company, are tried again.
type rejection struct {
	typ   Type
	pairs map[string]string    // name → version
	good  map[string]*Resource // what the client held before
}

// Bounds of what one node can make the server remember.
const (
	maxRejections = 256
	maxHalted     = 64
)

// Pauses before what was refused is tried again, the first and the longest: a
// proxy may refuse for a reason that passes, such as a port that is taken.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
)

// backOff plans another try. Whatever is refused until then belongs to the same
// try, and the pauses grow with each one.
func (m *memory) backOff(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.retryAt.IsZero() {
		return
	}
	pause := lastRetry
	if m.retries < 10 {
		pause = min(firstRetry<<m.retries, lastRetry)
	}
	m.retryAt = now.Add(pause)
	m.retries++
}

// pardon forgets what was refused once its time has come, and says how often
// that has happened and when it happens next, zero for never.
func (m *memory) pardon(now time.Time) (pardons int, next time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.retryAt.IsZero() && !now.Before(m.retryAt) {
		m.rejections, m.halted, m.retryAt = nil, nil, time.Time{}
		m.pardons++
	}
	return m.pardons, m.retryAt
}

// healthy ends the growth of the pauses: a node took all that is wanted of it,
// and nothing that it refused is still held back.
func (m *memory) healthy() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.retryAt.IsZero() {
		m.retries = 0
	}
}

func (m *memory) reject(r *rejection) {
	if len(r.pairs) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rejections = append(m.rejections, r)
	if len(m.rejections) > maxRejections {
		m.rejections = m.rejections[1:]
	}
}

// halt ends the rollout of a commit and gives the set to return to; nil when
// there is none, and then what the client can take of the commit goes on.
func (m *memory) halt(commit string) *nodeSet {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.good == nil || m.good.commit == commit {
		return nil
	}
	if m.halted == nil || len(m.halted) >= maxHalted {
		m.halted = map[string]bool{}
	}
	m.halted[commit] = true
	return m.good
}

// goodInstead gives the set that stands in for a refused commit.
func (m *memory) goodInstead(commit string) *nodeSet {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.halted[commit] {
		return nil
	}
	return m.good
}

// confirm keeps the newest set that the node confirmed in full.
func (m *memory) confirm(set *nodeSet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.good = set
}

func (m *memory) goodResource(k Key) *Resource {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.good == nil {
		return nil
	}
	return m.good.get(k)
}

// blocked says whether r was refused, and if so what was held before it.
func (m *memory) blocked(r *Resource, wanted *nodeSet) (good *Resource, blocked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.rejections) - 1; i >= 0; i-- {
		rej := m.rejections[i]
		if rej.typ != r.Type || rej.pairs[r.Name] != r.Version || !rej.stands(wanted) {
			continue
		}
		blocked = true
		if good = rej.good[r.Name]; good != nil {
			return good, true
		}
	}
	return nil, blocked
}

// stands says whether all that was refused is still wanted.
func (rej *rejection) stands(wanted *nodeSet) bool {
	for name, version := range rej.pairs {
		if r := wanted.res[rej.typ][name]; r == nil || r.Version != version {
			return false
		}
	}
	return true
}

// suspects gives the names of a refused response that its error names, or all
// of them where it names none.
func suspects(items map[string]*Resource, message string) []string {
	var all, named []string
	for n := range items {
		all = append(all, n)
		if mentions(message, n) {
			named = append(named, n)
		}
	}
	if len(named) > 0 {
		all = named
	}
	sort.Strings(all)
	return all
}

// mentions finds a name in a text, standing by itself: "outbound|80||a" is not
// meant where "outbound|80||a.b" stands.
func mentions(text, name string) bool {
	for from := 0; name != "" && from < len(text); {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(name)
		if !joined(text[:start], true) && !joined(text[end:], false) {
			return true
		}
		from = start + 1
	}
	return false
}

// joined says whether text continues a name at its end (before) or start.
func joined(text string, before bool) bool {
	if text == "" {
		return false
	}
	if before {
		return nameByte(text[len(text)-1]) || text[len(text)-1] == '.'
	}
	if text[0] == '.' || text[0] == ':' {
		return len(text) > 1 && nameByte(text[1]) // a full stop or colon ends a sentence
	}
	return nameByte(text[0])
}

func nameByte(c byte) bool {
	return c == '|' || c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// stale says whether the last good set is an older one than set.
func (m *memory) stale(set *nodeSet) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.good != set
}
