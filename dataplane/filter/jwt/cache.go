package jwt

import (
	"container/list"
	"crypto/sha256"
	"sync"
)

// cached is how many tokens a filter remembers, and maxCached the longest, in
// bytes. Only tokens whose signature is good are remembered: nobody but an issuer
// fills the cache.
const (
	cached    = 2048
	maxCached = 4 << 10
)

// tokenName stands for the text of a token.
type tokenName [sha256.Size]byte

func nameOf(text string) tokenName { return sha256.Sum256([]byte(text)) }

// vouched is a token, and the keys of which one is its signer's. A provider whose
// keys change has others: nothing is good by keys that have gone.
type vouched struct {
	token *token
	by    *Keys
}

// cache remembers the tokens that were used last. Its parts have locks of their
// own, so that loops seldom meet.
type cache struct{ parts [16]cachePart }

type cachePart struct {
	mu     sync.Mutex
	most   int
	byName map[tokenName]*list.Element // of *remembered
	order  *list.List                  // the last used first
}

type remembered struct {
	name tokenName
	vouched
}

func newCache(most int) *cache {
	c := new(cache)
	for i := range c.parts {
		c.parts[i] = cachePart{most: max(1, most/len(c.parts)), byName: map[tokenName]*list.Element{}, order: list.New()}
	}
	return c
}

func (c *cache) part(name tokenName) *cachePart { return &c.parts[name[0]%byte(len(c.parts))] }

// get gives what is known of a token; nothing: a zero value.
func (c *cache) get(name tokenName) vouched {
	p := c.part(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.byName[name]
	if e == nil {
		return vouched{}
	}
	p.order.MoveToFront(e)
	return e.Value.(*remembered).vouched
}

func (c *cache) put(name tokenName, v vouched) {
	p := c.part(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.byName[name]; e != nil {
		e.Value.(*remembered).vouched = v
		return
	}
	if p.order.Len() == p.most {
		delete(p.byName, p.order.Remove(p.order.Back()).(*remembered).name)
	}
	p.byName[name] = p.order.PushFront(&remembered{name, v})
}

// drop forgets a token.
func (c *cache) drop(name tokenName) {
	p := c.part(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.byName[name]; e != nil {
		p.order.Remove(e)
		delete(p.byName, name)
	}
}
