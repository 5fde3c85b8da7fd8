package dataplane

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshc/meshc/dataplane/admin"
	"github.com/meshc/meshc/dataplane/handover"
)

// succession is how a proxy takes the place of another process of it, and gives
// its own to the next.
type succession struct {
	heirMu   sync.Mutex
	heir     *handover.Heir // of the process before this one; nil: there is none, any more
	lostTold bool           // that the one before this one does not answer
	retired  atomic.Bool    // the next one serves

	wanted   context.Context // ends when this process is told to
	hasAdmin bool            // the admin endpoint is this one's; for takeOver and what follows it
	hasAPI   bool            // the same of the Workload API, once there is an identity

	serving context.Context // ends when the unix sockets are to be free
	vacate  context.CancelFunc
	sockets sync.WaitGroup
}

// succeed greets the process whose place this one takes. Without one the admin
// endpoint is served from now on; else it is the other's until this one serves.
func (p *proxy) succeed(ctx context.Context) error {
	p.wanted = ctx
	p.serving, p.vacate = context.WithCancel(p.live)
	if p.opts.HotRestart == "" {
		return p.serveAdmin()
	}
	heir, err := handover.Ask(p.opts.HotRestart, p.node())
	if errors.Is(err, handover.ErrNobody) {
		return p.serveAdmin()
	}
	if err != nil {
		return err
	}
	p.opts.Log.Info("taking the place of another process", "socket", p.opts.HotRestart)
	p.heir = heir
	return nil
}

func (p *proxy) node() string { return p.opts.Bootstrap.Proto.GetNode().GetId() }

// succeeds says whether there is a process before this one.
func (p *proxy) succeeds() bool {
	p.heirMu.Lock()
	defer p.heirMu.Unlock()
	return p.heir != nil
}

// inherits says that the process before this one listens at an address.
func (p *proxy) inherits(at netip.AddrPort) bool {
	p.heirMu.Lock()
	defer p.heirMu.Unlock()
	defer p.tellLost()
	return p.heir != nil && p.heir.Has(at)
}

// tellLost says once that the process before this one is asked no more. p.heirMu is
// held.
func (p *proxy) tellLost() {
	if p.heir != nil && p.heir.Lost() != nil && !p.lostTold {
		p.lostTold = true
		p.opts.Log.Warn("the process before this one gives no more sockets: listeners are opened anew", "error", p.heir.Lost())
	}
}

// inherit gives the listening socket of the process before this one.
func (p *proxy) inherit(at netip.AddrPort) (fd int, ok bool) {
	p.heirMu.Lock()
	defer p.heirMu.Unlock()
	if p.heir == nil {
		return -1, false
	}
	defer p.tellLost()
	return p.heir.Take(at)
}

// takeOver is called once this process serves: the one before it retires, and
// its unix sockets are this one's. From then on nothing that goes wrong with them
// ends this process: the one before it may have been told to retire, and if both
// were gone nobody would serve.
func (p *proxy) takeOver() error {
	p.heirMu.Lock()
	heir := p.heir
	p.heir = nil
	p.heirMu.Unlock()
	if heir == nil {
		p.hasAdmin = true // since succeed
		return p.occupy()
	}
	p.retire(heir)
	err := p.occupy()
	if err == nil {
		return nil
	}
	p.opts.Log.Warn("the process before this one has its sockets still", "error", err)
	p.background(func(context.Context) error {
		p.occupyLate()
		return nil
	})
	return nil
}

func (p *proxy) retire(heir *handover.Heir) {
	if err := heir.Retire(); err != nil { // it is gone, or goes later, or was told by another
		p.opts.Log.Warn("the process before this one", "error", err)
	}
}

// occupyPause is between two tries to have the sockets of the process before.
const occupyPause = 200 * time.Millisecond

// occupyLate tries until the sockets are free. Whoever is behind them is asked to
// retire: the process before this one, or one that took its place at the same time;
// so the last that serves is the one that stays.
func (p *proxy) occupyLate() {
	for {
		select {
		case <-p.wanted.Done():
			return
		case <-time.After(occupyPause):
		}
		if p.occupy() == nil {
			p.opts.Log.Info("the sockets of the process before this one are free")
			return
		}
		heir, err := handover.Ask(p.opts.HotRestart, p.node())
		switch {
		case err != nil: // nobody, or nobody who answers
		case p.wanted.Err() != nil:
			heir.Close()
		default:
			p.retire(heir)
		}
	}
}

// occupy opens the unix sockets that are not open yet: the admin endpoint, and what
// the next process asks.
func (p *proxy) occupy() error {
	if !p.hasAdmin {
		if err := p.serveAdmin(); err != nil {
			return err
		}
		p.hasAdmin = true
	}
	if err := p.serveWorkload(); err != nil {
		return err
	}
	if p.opts.HotRestart == "" {
		return nil
	}
	l, err := admin.Listen("unix", p.opts.HotRestart)
	if err != nil {
		return err
	}
	p.background(func(ctx context.Context) error {
		return handover.Serve(ctx, l.(handover.Listener), p.node(), predecessor{p})
	})
	return nil
}

// untilRetired runs what serves on a unix socket until the next process is to.
func (p *proxy) untilRetired(part func(context.Context) error) {
	p.sockets.Add(1)
	p.background(func(context.Context) error {
		defer p.sockets.Done()
		return part(p.serving)
	})
}

// leave lets go of what was never taken over.
func (p *proxy) leave() {
	p.heirMu.Lock()
	defer p.heirMu.Unlock()
	if p.heir != nil {
		p.heir.Close()
		p.heir = nil
	}
	if p.vacate != nil {
		p.vacate()
	}
}

// predecessor implements handover.Giver.
type predecessor struct{ *proxy }

// Socket implements handover.Giver.
func (p predecessor) Socket(at netip.AddrPort) (*os.File, bool) { return p.engine.Socket(at) }

// Retire implements handover.Giver.
func (p predecessor) Retire() {
	p.opts.Log.Info("another process has taken the place of this one")
	p.retired.Store(true)
	p.vacate()
	p.sockets.Wait()
	p.quit()
}
