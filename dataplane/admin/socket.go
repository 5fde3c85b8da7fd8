package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listen opens the endpoint's socket. A unix socket gets mode 0600; one that a
// dead process left behind is replaced, and one that is doubtful is an error.
// Closing the listener removes the socket, unless it is another's by then.
func Listen(network, address string) (net.Listener, error) {
	if network != "unix" {
		return net.Listen(network, address)
	}
	return ListenUnix(address, 0o600)
}

// ListenUnix is Listen for a unix socket of another mode.
func ListenUnix(address string, mode os.FileMode) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(address), 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(address)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeDead(address); err != nil {
		return nil, err
	}
	l, err := bind(address, mode)
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would remove whatever has the name by then
	own, err := os.Lstat(address)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	out := &socket{UnixListener: l, path: address, own: own}
	if err := os.Chmod(address, mode); err != nil {
		return nil, errors.Join(err, out.release())
	}
	return out, nil
}

// bind listens on a socket that has no moment with a wider mode: Linux makes the file with
// the mode of the socket before it was bound, less the umask (unix(7)).
func bind(address string, mode os.FileMode) (*net.UnixListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmod error
		err := c.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), uint32(mode.Perm())) })
		return errors.Join(err, chmod)
	}}
	l, err := config.Listen(context.Background(), "unix", address)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}

// lock orders all who replace or remove the socket at path. Its file stays: whoever
// removed it would have others hold two locks.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing gives the lock back
}

// removeDead removes a socket that nobody listens on. Any other doubt is an error:
// a live one may be too busy to answer, or may not be this user's to ask. The lock
// is held.
func removeDead(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil // whatever is wrong, listening says so
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s is there and is not a socket", path)
	}
	switch err := knock(path); {
	case err == nil:
		return fmt.Errorf("%s is in use by another process", path)
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, unix.ENOENT):
		return nil // by a process that knows no lock
	default:
		return fmt.Errorf("%s may be in use by another process: %w", path, err)
	}
}

// knock connects, and does not wait where the queue is full.
func knock(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path})
}

// socket is a listener that removes its name, and no other's.
type socket struct {
	*net.UnixListener
	path string
	own  os.FileInfo
	once sync.Once
	err  error
}

// Close implements net.Listener.
func (s *socket) Close() error {
	s.once.Do(func() {
		unlock, err := lock(s.path)
		if err != nil { // then the name stays: the next process finds nobody behind it
			s.err = errors.Join(err, s.UnixListener.Close())
			return
		}
		defer unlock()
		s.err = s.release()
	})
	return s.err
}

// release closes; the lock is held.
func (s *socket) release() error {
	err := s.UnixListener.Close()
	if now, statErr := os.Lstat(s.path); statErr == nil && os.SameFile(now, s.own) {
		err = errors.Join(err, os.Remove(s.path))
	}
	return err
}
