package capture

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var plan = &Plan{
	Inbound: 15006, Outbound: 15001, UID: 1337,
	ExcludeInbound:       []uint16{15021, 9000},
	ExcludeOutbound:      []netip.Prefix{netip.MustParsePrefix("10.8.0.0/13"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/33")},
	ExcludeOutboundPorts: []uint16{5432},
}

// needs skips without what the test cannot do without, and fails in CI.
func needs(t *testing.T, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(what + " is missing")
	}
	t.Skip("SKIPPED, NOT PASSED: " + what + " is missing")
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	needs(t, err == nil, name)
	return path
}

// inNamespace runs f on a thread in a network namespace of its own, which ends
// with it.
func inNamespace(t *testing.T, f func()) {
	t.Helper()
	needs(t, os.Geteuid() == 0, "root")
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		defer func() {
			if v := recover(); v != nil {
				done <- fmt.Errorf("%v", v)
			}
			close(done)
		}()
		f()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func run(args ...string) string {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		panic(fmt.Sprintf("%v: %v\n%s", args, err, out))
	}
	return string(out)
}

// TestRulesAreWhatTheyAreCalled: the kernel holds what String says, by the word
// of nft, which reads it back; a second call replaces the first.
func TestRulesAreWhatTheyAreCalled(t *testing.T) {
	nft := tool(t, "nft")
	narrow := *plan
	narrow.IncludeOutbound = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	inNamespace(t, func() {
		for _, p := range []*Plan{plan, &narrow, plan} {
			if err := Install(p); err != nil {
				panic(err)
			}
			if got := run(nft, "list", "table", "inet", tableName); got != p.String() {
				t.Errorf("nft shows\n%s\nand String gives\n%s", got, p)
			}
		}
		// The text is a script that nft takes.
		check := exec.Command(nft, "--check", "-f", "-")
		check.Stdin = strings.NewReader(plan.String())
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("nft refuses the text: %v\n%s", err, out)
		}
	})
}

// listen answers every connection with where it was going to.
func listen(address string) net.Listener {
	l := must(net.Listen("tcp", address))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			raw := must(c.(*net.TCPConn).SyscallConn())
			text := l.Addr().String() + " "
			if err := raw.Control(func(fd uintptr) {
				to, err := OriginalDestination(int(fd))
				if err != nil || to.String() == c.LocalAddr().String() {
					text += "direct"
					return
				}
				text += to.String()
			}); err != nil {
				text = err.Error()
			}
			io.WriteString(c, text)
			c.Close()
		}
	}()
	return l
}

// dial gives the answer of whoever takes the connection.
func dial(address string) string {
	c, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err != nil {
		return "nobody"
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// TestConnectionsAreLedToTheProxy makes two namespaces, a pod's and that of its
// peer, and real connections between them, of the application and of the
// proxy's user.
func TestConnectionsAreLedToTheProxy(t *testing.T) {
	ip := tool(t, "ip")
	inNamespace(t, func() {
		run(ip, "link", "set", "lo", "up")
		run(ip, "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
		run(ip, "addr", "add", "10.96.0.1/12", "dev", "veth0")
		run(ip, "addr", "add", "2001:db8:ffff::1/32", "dev", "veth0", "nodad")
		run(ip, "link", "set", "veth0", "up")
		run(ip, "link", "set", "veth1", "up")
		if err := Install(plan); err != nil {
			panic(err)
		}
		for _, at := range []string{"127.0.0.1:15001", "[::1]:15001", "0.0.0.0:15006", "0.0.0.0:9000", "127.0.0.1:9080", "10.96.0.1:9080"} {
			defer listen(at).Close()
		}
		for _, c := range []struct{ to, want string }{
			{"10.96.3.4:80", "127.0.0.1:15001 10.96.3.4:80"},
			{"[2001:db8:ffff::7]:443", "[::1]:15001 [2001:db8:ffff::7]:443"},
			{"127.0.0.1:9080", "127.0.0.1:9080 direct"}, // the application to itself
			{"10.96.0.1:9080", "10.96.0.1:9080 direct"},
		} {
			if got := dial(c.to); got != c.want {
				t.Errorf("the application calls %s: %s, want %s", c.to, got, c.want)
			}
		}
		asUser(plan.UID, func() {
			for _, c := range []struct{ to, want string }{
				{"127.0.0.1:9080", "127.0.0.1:9080 direct"},        // the proxy to its application
				{"10.96.0.1:9080", "0.0.0.0:15006 10.96.0.1:9080"}, // the proxy to its own service
				{"10.96.3.4:80", "nobody"},                         // it is not sent back to itself
			} {
				if got := strings.Replace(dial(c.to), "[::]", "0.0.0.0", 1); got != c.want {
					t.Errorf("the proxy calls %s: %s, want %s", c.to, got, c.want)
				}
			}
		})
		fromOutside(t, ip)
	})
}

// fromOutside calls the pod from another namespace.
func fromOutside(t *testing.T, ip string) {
	ready, done := make(chan int), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			ready <- 0
			return
		}
		ready <- unix.Gettid()
		<-ready
		run(ip, "link", "set", "veth1", "up")
		run(ip, "addr", "add", "10.96.0.2/12", "dev", "veth1")
		for _, c := range []struct{ to, want string }{
			{"10.96.0.1:9080", "15006 10.96.0.1:9080"},
			{"10.96.0.1:7", "15006 10.96.0.1:7"}, // a port that nobody declared
			{"10.96.0.1:9000", "9000 direct"},
		} {
			if got := dial(c.to); !strings.HasSuffix(got, ":"+c.want) {
				t.Errorf("a peer calls %s: %s, want %s", c.to, got, c.want)
			}
		}
	}()
	peer := <-ready
	if peer == 0 {
		return
	}
	run(ip, "link", "set", "veth1", "netns", fmt.Sprint(peer))
	ready <- 0
	<-done
}

// asUser makes the sockets of this thread belong to a user.
func asUser(uid uint32, f func()) {
	before, _, _ := syscall.RawSyscall(syscall.SYS_SETFSUID, uintptr(uid), 0, 0)
	defer syscall.RawSyscall(syscall.SYS_SETFSUID, before, 0, 0)
	f()
}

func TestPlansThatCannotBe(t *testing.T) {
	for name, change := range map[string]func(*Plan){
		"one port":      func(p *Plan) { p.Outbound = p.Inbound },
		"no port":       func(p *Plan) { p.Inbound = 0 },
		"root":          func(p *Plan) { p.UID = 0 },
		"port 0":        func(p *Plan) { p.ExcludeInbound = []uint16{0} },
		"own port":      func(p *Plan) { p.ExcludeInbound = []uint16{p.Outbound} },
		"host bits":     func(p *Plan) { p.IncludeOutbound = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")} },
		"no range":      func(p *Plan) { p.ExcludeOutbound = []netip.Prefix{{}} },
		"outbound port": func(p *Plan) { p.ExcludeOutboundPorts = []uint16{80, 0} },
	} {
		p := *plan
		change(&p)
		if err := Install(&p); err == nil || !strings.HasPrefix(err.Error(), "capture: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
