package sds

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// Listen returns a listener on a unix socket at path that only this user can
// open: it is made in a private directory, gets mode 0600 and is then moved to
// its place, so that there is no moment with more. A socket that a dead process
// left is replaced; one that answers is an error. Closing the listener removes
// the socket.
func Listen(path string) (net.Listener, error) {
	if err := checkFree(path); err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(path), ".s") // mode 0700; short, because socket paths are
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	defer os.Remove(tmp)
	made := filepath.Join(tmp, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // it would remove the name it was made under
	err = os.Chmod(made, 0o600)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("socket %s: %w", path, err), l.Close(), os.Remove(made))
	}
	return &listener{Listener: l, path: path}, nil
}

type listener struct {
	net.Listener
	path string
}

func (l *listener) Close() error {
	err := l.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	if rerr := os.Remove(l.path); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}

func checkFree(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is a file of that name that is not a socket")
	}
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return errors.New("another process serves it")
	}
	return nil
}
