package xdsclient

import (
	"errors"
	"maps"
	"time"

	"github.com/meshc/meshc/dataplane/resource"
)

// applyRetry is the wait before a set that could not be applied is tried again.
const applyRetry = time.Second

// schedule lets changes of the next moment join this one. The first
// configuration has its own timer until it is complete.
func (c *Client) schedule() {
	if c.pending && !c.retrying || !c.complete {
		return
	}
	c.pending, c.retrying = true, false
	c.apply.Reset(c.opts.Coalesce)
}

// applyNow puts what is active into force. A listener that cannot be bound
// falls back to its last version in force, or out; it is tried again.
func (c *Client) applyNow() {
	if !c.complete && !c.hasBegun() {
		c.apply.Reset(c.opts.FirstWait) // an empty configuration is worse than none
		return
	}
	c.complete = true
	c.cache.promote()
	set := c.cache.set()
	var failed bool
	for {
		err := c.opts.Apply(set)
		if err == nil {
			break
		}
		c.opts.Observe(Event{Kind: ApplyFailed})
		c.opts.Log.Error("could not apply a configuration", "error", err)
		failed = true
		blamed := new(ListenerError)
		if !errors.As(err, &blamed) || !c.fallBack(set.Listeners, blamed.Name) {
			c.acknowledge(err)
			c.tryAgain()
			return
		}
	}
	// A listener that fell back is acknowledged too: the address that it waits
	// for may be given up by a removal that waits for this ACK.
	c.acknowledge(nil)
	c.remember(set.Listeners)
	c.cache.forget()
	c.adjust()
	c.opts.Observe(Event{Kind: Applied})
	if failed {
		c.tryAgain()
		return
	}
	c.opts.Save(c.cache.serving())
}

func (c *Client) tryAgain() {
	c.pending, c.retrying = true, true
	c.apply.Reset(applyRetry)
}

// fallBack gives false when the listener is not to be changed further. One that
// is in force as it is has done nothing: where another wants its address, that
// one is to blame.
func (c *Client) fallBack(listeners map[string]*resource.Listener, name string) bool {
	current, ok := listeners[name]
	if !ok {
		return false
	}
	if c.inForce(name, current) {
		for other, l := range listeners {
			if other != name && l.Meets(current) {
				name, current = other, l
				break
			}
		}
	}
	last := c.cache.inForce[name]
	if last == nil || c.inForce(name, current) {
		delete(listeners, name)
		return true
	}
	listeners[name] = last.resource.(*resource.Listener)
	return true
}

func (c *Client) inForce(name string, l *resource.Listener) bool {
	last := c.cache.inForce[name]
	return last != nil && last.resource == resource.Resource(l)
}

// remember notes which version of each listener is in force.
func (c *Client) remember(listeners map[string]*resource.Listener) {
	before := c.cache.inForce
	now := maps.Clone(c.cache.active[resource.ListenerType])
	for name, e := range now {
		switch l, ok := listeners[name]; {
		case !ok:
			delete(now, name)
		case resource.Resource(l) != e.resource:
			now[name] = before[name]
		}
	}
	c.cache.inForce = now
}
