package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const asksForEcho = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: Echo\r\nX-Own: 1\r\n\r\n"

// upgrading is a server that answers one request with answer, and then echoes.
func upgrading(t *testing.T, answer string) string {
	return rawBackend(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		head, err := readRequestHead(r)
		if err != nil {
			return
		}
		if !strings.Contains(head, "connection: upgrade\r\nupgrade: Echo\r\n") || !strings.Contains(head, "x-own: 1\r\n") || strings.Contains(head, "content-length") {
			t.Errorf("the server gets %q", head)
		}
		_, _ = io.WriteString(c, answer)
		_, _ = io.Copy(c, r)
	})
}

const changesToEcho = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\nX-Accept: yes\r\n\r\n"

func upgradeMesh(addr string) *mesh {
	m := newMesh(addr)
	m.entry.Upgrades = []string{"echo"}
	return m
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	m := upgradeMesh(upgrading(t, changesToEcho+"welcome "))
	m.entry.Timeout = 2 * time.Second // of requests that end
	records := withLog(t, m)
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in")).(closeWriter)
	send(t, c, "%s", asksForEcho+"early ")
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, &http.Request{Method: "GET"})
	if err != nil {
		t.Fatal(err)
	}
	if h := resp.Header; resp.StatusCode != 101 || h.Get("Upgrade") != "Echo" || h.Get("Connection") != "upgrade" || h.Get("X-Accept") != "yes" || h.Get("Transfer-Encoding") != "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	const first = "welcome early "
	if got := make([]byte, len(first)); true {
		if _, err := io.ReadFull(r, got); err != nil || string(got) != first {
			t.Fatalf("%q, %v", got, err)
		}
	}
	time.Sleep(2300 * time.Millisecond) // longer than the route's timeout
	go func() {
		_, _ = io.Copy(c, io.LimitReader(pattern{}, 3<<20))
		_ = c.CloseWrite()
	}()
	if n, err := io.Copy(&checker{t: t}, r); n != 3<<20 || err != nil {
		t.Errorf("%d bytes came back: %v", n, err)
	}
	eventually(t, "the connection has ended", func() bool { return e.Connections() == 0 })
	if lines := records(e); len(lines) != 1 || lines[0]["code"] != 101.0 || lines[0]["received"] != float64(3<<20+6) || lines[0]["sent"] != float64(3<<20+14) || lines[0]["flags"] != "-" {
		t.Errorf("%v", lines)
	}
}

// What is no upgrade is answered as a request, and the connection is used for no
// other: its client may speak another protocol already.
func TestUpgradesThatDoNotHappen(t *testing.T) {
	for _, c := range []struct {
		name, ask, answer string
		status            int
		change            func(*mesh)
	}{
		{name: "not allowed", ask: asksForEcho, status: 403, change: func(m *mesh) { m.entry.Upgrades = []string{"other"} }},
		{name: "no route", ask: asksForEcho, status: 403, change: func(m *mesh) { m.chain.HTTP.Routes = tableOf(nil) }},
		{name: "a list", ask: strings.Replace(asksForEcho, "Echo", "Echo, other", 1), status: 403},
		{name: "two fields", ask: strings.Replace(asksForEcho, "Upgrade: Echo", "Upgrade: other\r\nUpgrade: Echo", 1), status: 403},
		{name: "with a body", ask: strings.Replace(asksForEcho, "\r\n\r\n", "\r\nContent-Length: 1\r\n\r\na", 1), status: 400},
		{name: "with chunks", ask: strings.Replace(asksForEcho, "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1), status: 400},
		{name: "declined", ask: asksForEcho, answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", status: 200},
		{name: "to another", ask: asksForEcho, answer: strings.Replace(changesToEcho, "echo", "other", 1), status: 502},
		{name: "not said in Connection", ask: asksForEcho, answer: strings.Replace(changesToEcho, "Connection: upgrade", "Connection: close", 1), status: 502},
		{name: "by HTTP/1.0", ask: asksForEcho, answer: strings.Replace(changesToEcho, "1.1", "1.0", 1), status: 502},
		{name: "with a length", ask: asksForEcho, answer: strings.Replace(changesToEcho, "X-Accept: yes", "Content-Length: 3", 1), status: 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := upgradeMesh(upgrading(t, c.answer))
			if c.change != nil {
				c.change(m)
			}
			e := start(t, m)
			conn := dial(t, addrOf(t, e, "in"))
			send(t, conn, "%sGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", c.ask)
			r := bufio.NewReader(conn)
			resp, _ := readResponse(t, r, "GET")
			if resp.StatusCode != c.status || !resp.Close {
				t.Errorf("%d, close: %v", resp.StatusCode, resp.Close)
			}
			if rest, _ := io.ReadAll(r); len(rest) > 0 {
				t.Errorf("%q follows", rest)
			}
		})
	}
	t.Run("not asked for", func(t *testing.T) {
		m := upgradeMesh(rawBackend(t, func(c net.Conn) {
			_, _ = readRequestHead(bufio.NewReader(c))
			_, _ = io.WriteString(c, changesToEcho)
		}))
		e := start(t, m)
		if status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")); status != 502 {
			t.Errorf("%d", status)
		}
	})
}

func TestUpgradedConnectionsEnd(t *testing.T) {
	ask := func(t *testing.T, m *mesh) (*Engine, closeWriter, *bufio.Reader) {
		e := start(t, m)
		c := dial(t, addrOf(t, e, "in")).(closeWriter)
		send(t, c, "%s", asksForEcho)
		r := bufio.NewReader(c)
		if head, err := readRequestHead(r); err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
			t.Fatalf("%q, %v", head, err)
		}
		return e, c, r
	}
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		m := upgradeMesh(upgrading(t, changesToEcho))
		m.entry.Idle = 3 * time.Second
		records := withLog(t, m)
		e, c, r := ask(t, m)
		for range 7 {
			time.Sleep(500 * time.Millisecond)
			send(t, c, "a")
			if _, err := r.ReadByte(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.ReadByte(); err == nil {
			t.Error("more came")
		}
		eventually(t, "the connection has ended", func() bool { return e.Connections() == 0 })
		if lines := records(e); len(lines) != 1 || lines[0]["flags"] != "SI" {
			t.Errorf("%v", lines)
		}
	})
	t.Run("by the server", func(t *testing.T) {
		_, c, r := ask(t, upgradeMesh(rawBackend(t, func(c net.Conn) {
			_, _ = readRequestHead(bufio.NewReader(c))
			_, _ = io.WriteString(c, changesToEcho+"bye")
		})))
		if got, err := io.ReadAll(r); string(got) != "bye" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		_ = c.CloseWrite()
	})
	t.Run("by the client", func(t *testing.T) {
		done := make(chan error, 1)
		e, c, _ := ask(t, upgradeMesh(rawBackend(t, func(c net.Conn) {
			_, _ = readRequestHead(bufio.NewReader(c))
			_, _ = io.WriteString(c, changesToEcho)
			got, err := io.ReadAll(c)
			if string(got) != "bye" {
				err = fmt.Errorf("%q, %v", got, err)
			}
			done <- err
		})))
		send(t, c, "bye")
		c.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		eventually(t, "the connection has ended", func() bool { return e.Connections() == 0 })
	})
}
