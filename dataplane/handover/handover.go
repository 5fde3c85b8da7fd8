// Package handover passes the listening sockets of a running proxy to the one
// that takes its place, over a unix socket (SCM_RIGHTS), so that at no time nobody
// listens: connections wait in the queue that both share. The new process asks for
// each address that it is to listen on, whenever its configuration names one, and
// at last tells the old one to retire. Until then either may end, and the old one
// goes on.
package handover

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The protocol: a line asks, one byte answers, with a descriptor where one was
// asked for and is given. The first line is a greeting.
const (
	greeting  = "meshc-handover 1 "
	askSocket = "socket "
	askRetire = "retire"

	yes = '+'
	no  = '-'

	maxLine = 1024 // a node ID is the longest that is said
)

// patience bounds each answer: the old process has nothing to wait for.
const patience = 10 * time.Second

// allPatience bounds what all questions about sockets take together: they are asked
// while nothing else can be done, not even to end.
const allPatience = 15 * time.Second

// ErrNobody: there is no process to take the place of.
var ErrNobody = errors.New("handover: nobody is there")

// Giver is the process that hands over. Socket may be called by several goroutines
// at once, Retire is called once.
type Giver interface {
	// Socket gives a duplicate of the listening socket of an address as it was
	// configured; false: it does not listen there.
	Socket(netip.AddrPort) (*os.File, bool)
	// Retire begins to drain, and returns when the other unix sockets of the
	// process are free for another; the one of Serve is already.
	Retire()
}

// Listener is where Serve is asked: a net.UnixListener, or what closes one with more
// care.
type Listener interface {
	AcceptUnix() (*net.UnixConn, error)
	Close() error
}

// acceptPause is how long Serve waits when a process could not be accepted.
const acceptPause = 100 * time.Millisecond

// maxHeirs bounds how many processes are answered at once. The one that has been
// there the longest gives way to another: it may be one that hangs.
const maxHeirs = 8

// Serve answers on l until ctx ends or g has retired. node says whose sockets they
// are: a process that is for another node gets none. Of several that would take over
// the first to say so does. It closes l.
func Serve(ctx context.Context, l Listener, node string, g Giver) error {
	s := &server{l: l, node: node, g: g}
	defer s.all.Wait()
	stop := context.AfterFunc(ctx, func() { s.closeFor(nil) })
	defer stop()
	for {
		c, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // of the moment, as when no file can be opened: what serves stays
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		s.admit(c)
	}
}

// server is the process that hands over, to those that ask.
type server struct {
	l    Listener
	node string
	g    Giver
	all  sync.WaitGroup

	mu    sync.Mutex
	heirs []*net.UnixConn // that are answered, in the order in which they came
	over  bool            // nobody else is answered
}

// admit answers a process in a goroutine of its own: none waits for another.
func (s *server) admit(c *net.UnixConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		_ = c.Close()
		return
	}
	if len(s.heirs) == maxHeirs {
		_ = s.heirs[0].Close()
		s.heirs = s.heirs[1:]
	}
	s.heirs = append(s.heirs, c)
	s.all.Go(func() {
		s.give(c)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.heirs = slices.DeleteFunc(s.heirs, func(other *net.UnixConn) bool { return other == c })
		_ = c.Close()
	})
}

// closeFor answers nobody but c any more; false: that had come to pass before. A nil c
// is hung up on too.
func (s *server) closeFor(c *net.UnixConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.over = true
	_ = s.l.Close()
	for _, other := range s.heirs {
		if other != c {
			_ = other.Close()
		}
	}
	return true
}

// give answers one process.
func (s *server) give(c *net.UnixConn) {
	lines := bufio.NewReaderSize(c, maxLine)
	greeted := false
	for {
		raw, err := lines.ReadSlice('\n')
		if err != nil {
			return // it is gone, or says more than there is to say
		}
		line := strings.TrimSuffix(string(raw), "\n")
		answer, file := byte(no), (*os.File)(nil)
		switch {
		case !greeted:
			if greeted = line == greeting+s.node; greeted {
				answer = yes
			}
		case line == askRetire:
			if s.closeFor(c) {
				s.g.Retire()
				_ = c.SetWriteDeadline(time.Now().Add(patience)) // nobody has to read it
				_, _ = c.Write([]byte{yes})                      // whoever has asked: there is no way back
			}
			return
		default:
			if file = socketOf(line, s.g); file != nil {
				answer = yes
			}
		}
		err = reply(c, answer, file)
		if err != nil || !greeted {
			return
		}
	}
}

func socketOf(line string, g Giver) *os.File {
	text, ok := strings.CutPrefix(line, askSocket)
	if !ok {
		return nil
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return nil
	}
	file, _ := g.Socket(at)
	return file
}

func reply(c *net.UnixConn, answer byte, file *os.File) error {
	var rights []byte
	if file != nil {
		defer file.Close()
		rights = unix.UnixRights(int(file.Fd()))
	}
	_, _, err := c.WriteMsgUnix([]byte{answer}, rights, nil)
	return err
}

// Heir is the process that takes over. Its methods are for one goroutine.
type Heir struct {
	path, node string
	patience   time.Duration
	left       time.Duration          // of allPatience
	lost       error                  // why nothing more is asked about sockets
	c          *net.UnixConn          // nil: it is to be opened, again
	taken      map[netip.AddrPort]int // asked for, and nobody's yet
}

// Ask greets the process behind a unix socket, for a node. The error is ErrNobody
// where there is none.
func Ask(path, node string) (*Heir, error) {
	h := &Heir{path: path, node: node, patience: patience, left: allPatience, taken: map[netip.AddrPort]int{}}
	if err := h.greet(h.patience); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *Heir) greet(within time.Duration) error {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: h.path, Net: "unix"})
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return ErrNobody
	}
	if err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	h.c = c
	answer, _, err := h.exchange(greeting+h.node, within)
	if err == nil && answer != yes {
		err = errors.New("handover: it is the proxy of another node")
	}
	if err != nil {
		h.hangUp()
	}
	return err
}

// ask gives the answer, and a descriptor or -1. What is not answered in time is
// asked once more on another connection: the answer may still come on the first
// one, and would be taken for that to the next question. A process that does not
// answer then either is given up, and one that has used up allPatience.
func (h *Heir) ask(line string) (answer byte, fd int, err error) {
	if h.lost != nil {
		return 0, -1, h.lost
	}
	for range 2 {
		if answer, fd, err = h.try(line); err == nil {
			return answer, fd, nil
		}
		h.hangUp()
		if h.left <= 0 || errors.Is(err, ErrNobody) {
			break
		}
	}
	h.lost = err
	return 0, -1, err
}

// try asks once, and takes the time for it from what is left.
func (h *Heir) try(line string) (answer byte, fd int, err error) {
	begun := time.Now()
	within := func() time.Duration { return min(h.patience, h.left-time.Since(begun)) }
	defer func() { h.left -= time.Since(begun) }()
	if h.c == nil {
		if err := h.greet(within()); err != nil {
			return 0, -1, err
		}
	}
	return h.exchange(line, within())
}

// Lost says why the process is not asked about sockets any more; nil: it is.
func (h *Heir) Lost() error { return h.lost }

// exchange asks on the connection that is there. After an error it is of no use.
func (h *Heir) exchange(line string, within time.Duration) (answer byte, fd int, err error) {
	fail := func(err error) (byte, int, error) { return 0, -1, fmt.Errorf("handover: %w", err) }
	if err := h.c.SetDeadline(time.Now().Add(within)); err != nil {
		return fail(err)
	}
	if _, err := h.c.Write([]byte(line + "\n")); err != nil {
		return fail(err)
	}
	var b [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := h.c.ReadMsgUnix(b[:], oob)
	if err != nil || n == 0 {
		return fail(errors.Join(errors.New("the old process does not answer"), err))
	}
	if fd, err = received(oob[:m]); err != nil {
		return fail(err)
	}
	return b[0], fd, nil
}

func (h *Heir) hangUp() {
	if h.c != nil {
		_ = h.c.Close()
		h.c = nil
	}
}

// received gives the descriptor of a control message, or -1.
func received(oob []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) == 0 {
		return -1, err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return -1, err
	}
	unix.CloseOnExec(fds[0])
	for _, extra := range fds[1:] {
		_ = unix.Close(extra)
	}
	return fds[0], nil
}

// Has asks for the socket of an address, and keeps it for Take.
func (h *Heir) Has(at netip.AddrPort) bool {
	if _, ok := h.taken[at]; ok {
		return true
	}
	answer, fd, err := h.ask(askSocket + at.String())
	if err == nil && answer != yes && fd >= 0 {
		_ = unix.Close(fd) // given without a word
	}
	if err != nil || answer != yes || fd < 0 {
		return false // then it is opened, as without another process
	}
	h.taken[at] = fd
	return true
}

// Take gives the listening socket of an address, which is the caller's from then
// on; false: the old process has none.
func (h *Heir) Take(at netip.AddrPort) (fd int, ok bool) {
	if !h.Has(at) {
		return -1, false
	}
	fd = h.taken[at]
	delete(h.taken, at)
	return fd, true
}

// Retire tells the old process that it is not needed any more. When it returns
// without an error that one's unix sockets are free; with one, it may still retire:
// it may have been told.
func (h *Heir) Retire() error {
	defer h.Close()
	if h.c == nil {
		if err := h.greet(h.patience); err != nil {
			return err
		}
	}
	answer, _, err := h.exchange(askRetire, h.patience)
	if err == nil && answer != yes {
		err = errors.New("handover: the old process does not retire")
	}
	return err
}

// Close leaves the old process as it is. It is idempotent.
func (h *Heir) Close() {
	h.hangUp()
	for at, fd := range h.taken {
		_ = unix.Close(fd)
		delete(h.taken, at)
	}
}
