package engine

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Random bodies, framings and cuts into writes, many exchanges to a connection,
// in plaintext and TLS: every byte must arrive, in order, once.
func TestRandomExchanges(t *testing.T) {
	a := newAuthority(t)
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("tls=", secure), func(t *testing.T) {
			var up *tls.Config
			if secure {
				up = a.server(serverID)
			}
			m := newMesh(rawBackend(t, func(c net.Conn) { randomServer(t, c, up) }))
			if secure {
				m.cluster().TLS, m.chain.TLS = a.client(clientID), a.server(serverID)
			}
			e := start(t, m)
			var all sync.WaitGroup
			for seed := range uint64(8) {
				c := dial(t, addrOf(t, e, "in"))
				c.SetDeadline(time.Now().Add(60 * time.Second))
				if secure {
					c = tls.Client(c, a.client(clientID))
				}
				all.Go(func() { randomClient(t, c, rand.New(rand.NewPCG(seed, 1))) })
			}
			all.Wait()
		})
	}
}

// bodyOf is the body that seed stands for.
func bodyOf(seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 2))
	sizes := []int{0, 1, 100, 4096, 20_000, 70_000, 300_000}
	b := make([]byte, rng.IntN(sizes[rng.IntN(len(sizes))]+1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// framed frames body as length or chunks after head.
func framed(head string, body []byte, rng *rand.Rand) []byte {
	var b bytes.Buffer
	b.WriteString(head)
	if rng.IntN(2) == 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(body))
		b.Write(body)
		return b.Bytes()
	}
	b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	w := httputil.NewChunkedWriter(&b)
	for len(body) > 0 {
		n := min(1+rng.IntN(40_000), len(body))
		w.Write(body[:n])
		body = body[n:]
	}
	w.Close()
	b.WriteString("\r\n")
	return b.Bytes()
}

// cut writes p in pieces of random sizes.
func cut(w io.Writer, p []byte, rng *rand.Rand) error {
	most := []int{7, 1500, 100_000}[rng.IntN(3)]
	if len(p) > 50_000 {
		most = 100_000
	}
	for len(p) > 0 {
		n := min(1+rng.IntN(most), len(p))
		if _, err := w.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func randomServer(t *testing.T, c net.Conn, conf *tls.Config) {
	if conf != nil {
		c = tls.Server(c, conf)
	}
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		got, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		seed, _ := strconv.ParseUint(req.URL.Path[1:], 10, 64)
		if !bytes.Equal(got, bodyOf(seed)) {
			t.Errorf("request %d: %d bytes arrived, %d were sent, or they differ", seed, len(got), len(bodyOf(seed)))
		}
		rng := rand.New(rand.NewPCG(seed, 3))
		head, last := "HTTP/1.1 200 OK\r\n", rng.IntN(10) == 0
		if last {
			head += "Connection: close\r\n"
		}
		if cut(c, framed(head, bodyOf(seed+1), rng), rng) != nil || last {
			c.Close() // with close_notify, where there is TLS
			return
		}
	}
}

func randomClient(t *testing.T, c net.Conn, rng *rand.Rand) {
	r := bufio.NewReader(c)
	for range 60 {
		seed := rng.Uint64()
		raw := framed(fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\n", seed), bodyOf(seed), rng)
		if err := cut(c, raw, rng); err != nil {
			t.Error(err)
			return
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, bodyOf(seed+1)) {
			t.Errorf("exchange %d: status %d, %d bytes, want %d, %v", seed, resp.StatusCode, len(got), len(bodyOf(seed+1)), err)
			return
		}
	}
}
