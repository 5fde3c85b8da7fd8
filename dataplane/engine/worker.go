package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/filter"
)

// worker is one event loop on one locked thread. It owns everything it touches
// on the way of a request: connections, upstream pools, timers, buffers and its
// shard of every counter.
type worker struct {
	e  *Engine
	id int

	// Immutable after newWorker.
	epfd, evfd int
	base       time.Time // monotonic zero of now

	// Owned by the loop.
	now       int64 // ns since base, read once per turn
	wall      time.Time
	rng       *rand.ChaCha8
	draw      func() uint64
	slots     []slot
	freeSlots []int32
	timers    timers
	bufs      buffers
	view      *view
	coming    map[string]*clusterView // of the next view
	pools     map[poolKey]*pool
	listeners map[*boundListener]*acceptor
	conns     dconnList
	ready     []runner // to be run again this turn
	running   []runner
	dirty     []*mux // have output for the end of this turn
	flushing  []*mux
	dstreams  []*dstream // free
	ustreams  []*ustream // free
	awaiting  map[*filter.Event]map[*stream]bool
	shadows   map[*shadow]bool // on their way
	date      dateCache
	logs      workerLogs
	fullUntil int64 // until when no new groups are asked for
	unasked   seldom
	stopped   bool
	scratch   [64]byte
	relay     []byte // for bytes on their way through

	mu   sync.Mutex
	cmds []func() // guarded by mu
}

type slot struct {
	s   *sock
	h   handler
	gen int32
}

const (
	sockEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
	wakeSlot   = -1
	// listenSlots are below it: -2 is the first listener.
)

func newWorker(e *Engine, id int, seed [32]byte) (*worker, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	evfd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(epfd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	w := &worker{
		e: e, id: id, epfd: epfd, evfd: evfd, base: e.base,
		rng:    rand.NewChaCha8(seed),
		coming: map[string]*clusterView{}, pools: map[poolKey]*pool{},
		shadows:   map[*shadow]bool{},
		listeners: map[*boundListener]*acceptor{},
	}
	w.draw = w.rng.Uint64
	w.view = &view{clusters: map[string]*clusterView{}, listeners: map[string]*listenerView{}}
	w.tick()
	w.date.set(w.wall)
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeSlot}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, evfd, &ev); err != nil {
		w.closeFDs()
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return w, nil
}

func (w *worker) closeFDs() {
	_ = unix.Close(w.evfd)
	_ = unix.Close(w.epfd)
}

// do runs f on the loop, soon.
func (w *worker) do(f func()) {
	w.mu.Lock()
	w.cmds = append(w.cmds, f)
	w.mu.Unlock()
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(w.evfd, one[:])
}

// register puts s under epoll. Its flags start as for a fresh connection: epoll
// reports at once what it is ready for.
func (w *worker) register(s *sock, h handler) error {
	var i int32
	if n := len(w.freeSlots); n > 0 {
		i, w.freeSlots = w.freeSlots[n-1], w.freeSlots[:n-1]
	} else {
		i = int32(len(w.slots))
		w.slots = append(w.slots, slot{})
	}
	w.slots[i].s, w.slots[i].h = s, h
	s.slot = i
	ev := unix.EpollEvent{Events: sockEvents, Fd: i, Pad: w.slots[i].gen}
	if err := unix.EpollCtl(w.epfd, unix.EPOLL_CTL_ADD, s.fd, &ev); err != nil {
		w.unregister(i)
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// unregister frees the slot; closing the descriptor takes it out of epoll. The
// generation makes events that were already fetched miss.
func (w *worker) unregister(i int32) {
	w.slots[i].s, w.slots[i].h = nil, nil
	w.slots[i].gen++
	w.freeSlots = append(w.freeSlots, i)
}

// loop runs until stop. An unexpected epoll error is a bug of this package and
// ends the process rather than half of the traffic.
func (w *worker) loop() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer w.closeFDs()
	events := make([]unix.EpollEvent, 256)
	for !w.stopped {
		n, err := epollWait(w.epfd, events, w.sleep())
		if err != nil {
			panic(fmt.Sprintf("epoll_wait: %v", err))
		}
		w.tick()
		for i := range events[:n] {
			w.dispatch(&events[i])
		}
		w.timers.run(w.now)
		w.runReady()
		w.flushDirty()
	}
}

// tick reads the clock, once for all that happens in this turn.
func (w *worker) tick() {
	w.wall = time.Now()
	w.now = int64(w.wall.Sub(w.base))
}

// sleep is how long epoll may wait, in ms, rounded up so that a timer that is
// nearly due does not spin.
func (w *worker) sleep() int {
	if len(w.ready)+len(w.dirty) > 0 {
		return 0
	}
	next := w.timers.next()
	if next == 0 {
		return -1
	}
	left := next - int64(time.Since(w.base))
	if left <= 0 {
		return 0
	}
	return int(min((left+int64(time.Millisecond)-1)/int64(time.Millisecond), 1<<30))
}

func (w *worker) dispatch(ev *unix.EpollEvent) {
	if ev.Fd < 0 {
		w.dispatchSpecial(ev)
		return
	}
	sl := &w.slots[ev.Fd]
	if sl.gen != ev.Pad || sl.s == nil {
		return
	}
	s := sl.s
	if ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.hup, s.readable = true, true
	}
	if ev.Events&unix.EPOLLIN != 0 {
		s.readable = true
	}
	if ev.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.writable = true
	}
	sl.h.onEvent()
}

func (w *worker) dispatchSpecial(ev *unix.EpollEvent) {
	if ev.Fd != wakeSlot {
		w.acceptFrom(ev.Fd)
		return
	}
	_, _ = unix.Read(w.evfd, w.scratch[:8])
	w.mu.Lock()
	cmds := w.cmds
	w.cmds = nil
	w.mu.Unlock()
	for _, f := range cmds {
		f()
	}
}

// later runs r again in this turn: because its share is used up, or because
// something happened to it while another connection was being run.
func (w *worker) later(r runner) {
	if q := r.isQueued(); !*q {
		*q = true
		w.ready = append(w.ready, r)
	}
}

// runner is what can be run again in this turn.
type runner interface {
	isQueued() *bool
	onTurn()
}

func (w *worker) runReady() {
	w.ready, w.running = w.running[:0], w.ready
	for i, r := range w.running {
		w.running[i] = nil
		*r.isQueued() = false
		r.onTurn()
	}
}

// flushDirty writes what the HTTP/2 connections have to say. What that brings
// about is for the next turn.
func (w *worker) flushDirty() {
	w.dirty, w.flushing = w.flushing[:0], w.dirty
	for i, m := range w.flushing {
		w.flushing[i] = nil
		m.flushNow()
	}
}

// dateCache holds the Date field of the current second.
type dateCache struct {
	second int64
	text   string
}

func (c *dateCache) set(t time.Time) {
	c.second = t.Unix()
	c.text = t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
}

func (w *worker) dateField() string {
	if w.wall.Unix() != w.date.second {
		w.date.set(w.wall)
	}
	return w.date.text
}
