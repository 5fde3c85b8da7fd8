package engine

import (
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"testing"
	"time"
)

// Much goes through in little memory: 10 GiB with MESHC_SOAK, and 2 % of it else.
func TestManyBytesInFlatMemory(t *testing.T) {
	total := int64(10<<30) / 50
	if os.Getenv("MESHC_SOAK") != "" {
		total = 10 << 30
	}
	e := start(t, bytesMesh(echoServer(t, nil)))
	c := dial(t, addrOf(t, e, "in")).(closeWriter)
	_ = c.SetDeadline(time.Now().Add(10 * time.Minute))
	before := heap()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(writeOnly{c}, io.LimitReader(pattern{}, total))
		if err == nil {
			err = c.CloseWrite()
		}
		sent <- err
	}()
	most := uint64(0)
	var got int64
	for got < total {
		n, err := io.CopyN(io.Discard, c, min(64<<20, total-got))
		if got += n; err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		most = max(most, heap())
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if most > before+8<<20 {
		t.Errorf("the heap has grown from %d to %d bytes", before, most)
	}
	t.Logf("%d bytes each way, the heap from %d to at most %d", total, before, most)
}

// The same as the body of a request, which comes back as that of its response.
func TestManyBytesOfHTTPInFlatMemory(t *testing.T) {
	total := int64(10<<30) / 50
	if os.Getenv("MESHC_SOAK") != "" {
		total = 10 << 30
	}
	e := start(t, newMesh(backend(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	})))
	c := client(t)
	c.Timeout = 30 * time.Minute
	before := heap()
	req, err := http.NewRequest("POST", "http://"+addrOf(t, e, "in")+"/", io.NopCloser(io.LimitReader(pattern{}, total)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	most, got := uint64(0), int64(0)
	for got < total {
		n, err := io.CopyN(io.Discard, resp.Body, min(64<<20, total-got))
		if got += n; err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		most = max(most, heap())
	}
	if most > before+8<<20 {
		t.Errorf("the heap has grown from %d to %d bytes", before, most)
	}
	t.Logf("%d bytes each way, the heap from %d to at most %d", total, before, most)
}

// writeOnly keeps io.Copy from splicing.
type writeOnly struct{ net.Conn }

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
