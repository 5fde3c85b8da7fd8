package localrate

import (
	"container/list"
	"encoding/binary"
	"sync"

	"github.com/meshc/meshc/dataplane/filter/descriptor"
)

// shape is a descriptor that requests may have: its entries, of which those
// without value stand for any, and the buckets of what fits.
type shape struct {
	entries []descriptor.Entry
	rate    rate
	one     *bucket // where every entry has a value
	many    *keyed  // elsewhere
}

func (s *shape) fits(entries []descriptor.Entry) bool {
	if len(entries) != len(s.entries) {
		return false
	}
	for i, e := range s.entries {
		if e.Key != entries[i].Key || e.Value != "" && e.Value != entries[i].Value {
			return false
		}
	}
	return true
}

func (s *shape) bucket(entries []descriptor.Entry, now float64) *bucket {
	if s.one != nil {
		return s.one
	}
	var room [256]byte
	key := room[:0]
	for i := range entries {
		key = binary.AppendUvarint(key, uint64(len(entries[i].Value)))
		key = append(key, entries[i].Value...)
	}
	return s.many.get(key, s.rate, now)
}

// keyed holds the buckets of the values that were seen last, most at the most.
type keyed struct {
	most int

	mu    sync.Mutex
	byKey map[string]*list.Element // of *kept
	order *list.List               // the last used first
}

type kept struct {
	key    string
	bucket *bucket
}

func newKeyed(most int) *keyed {
	return &keyed{most: most, byKey: make(map[string]*list.Element), order: list.New()}
}

func (k *keyed) get(key []byte, r rate, now float64) *bucket {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.byKey[string(key)]; e != nil {
		k.order.MoveToFront(e)
		return e.Value.(*kept).bucket
	}
	if len(k.byKey) >= k.most {
		last := k.order.Back()
		delete(k.byKey, k.order.Remove(last).(*kept).key)
	}
	fresh := &kept{key: string(key), bucket: newBucket(r, now)}
	k.byKey[fresh.key] = k.order.PushFront(fresh)
	return fresh.bucket
}
