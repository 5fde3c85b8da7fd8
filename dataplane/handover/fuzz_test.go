package handover

import (
	"net"
	"net/netip"
	"os"
	"testing"
)

// nothing has no sockets.
type nothing struct{ retired bool }

func (*nothing) Socket(netip.AddrPort) (*os.File, bool) { return nil, false }
func (n *nothing) Retire()                              { n.retired = true }

// Whatever a process says, it is answered byte by byte and line by line, and only
// one that has greeted for this node ends the other.
func FuzzGive(f *testing.F) {
	for _, s := range []string{"", "\n", greeting + "node\n", greeting + "node\nretire\n", greeting + "node\nsocket 127.0.0.1:80\nretire\n", "retire\n", greeting + "x\nretire\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		dir, err := os.MkdirTemp("", "hf")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/s", Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: dir + "/s", Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		here, err := l.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		defer here.Close()
		go func() {
			_, _ = c.Write(said)
			_ = c.CloseWrite()
		}()
		want := len(said) > len(greeting)+5 && string(said[:len(greeting)+5]) == greeting+"node\n"
		var g nothing
		if (&server{l: l, node: "node", g: &g}).give(here); g.retired && !want {
			t.Errorf("%q retires the process", said)
		}
	})
}
