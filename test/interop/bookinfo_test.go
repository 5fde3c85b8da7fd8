package interop

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

const bookinfo = "../../examples/bookinfo/mesh"

// bookinfoWith is the example's mesh with some of its files written anew.
func bookinfoWith(t *testing.T, changed map[string]string) *model.Mesh {
	t.Helper()
	files := fstest.MapFS{}
	root := os.DirFS(bookinfo)
	err := fs.WalkDir(root, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(root, path)
		files[path] = &fstest.MapFile{Data: raw, Mode: 0o644}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range changed {
		files[path] = &fstest.MapFile{Data: []byte("package mesh\n\n" + text), Mode: 0o644}
	}
	return compileFS(t, files)
}

func reviews(versions, routes string) map[string]string {
	return map[string]string{"shop/reviews.cue": `service: reviews: {
	ports: http: {number: 9080, protocol: "http"}
	versions: {` + versions + `}
	uses: ratings: {}
	routes: {` + routes + `}
}
`}
}

const three = "v1: {}, v2: {}, v3: {}"

// states are what Bookinfo is led through, and which versions of reviews may
// answer in each.
var states = []struct {
	name    string
	changed map[string]string
	answers string
}{
	{"as it is", nil, "v1"},
	{"90/10", reviews(three, `all: to: {v1: 90, v2: 10}`), "v1 v2"},
	{"by header", reviews(three, `jason: {match: [{headers: "end-user": exact: "jason"}], to: v2: 100}
		all: to: v3: 100`), "v3"},
	{"a version more", reviews(three+", v4: {}", `all: to: {v3: 50, v4: 50}`), "v3 v4"},
	{"versions fewer", reviews("v3: {}, v4: {}", `all: to: v4: 100`), "v4"},
	{"renamed", reviews("v5: {}", `all: to: v5: 100`), "v5"},
	{"a service less", map[string]string{
		"mesh.cue": unbound + "\nservice: [string]: security: mtls: \"strict\"\n", "shop/details.cue": "", "shop/productpage.cue": `service: productpage: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	uses: reviews: {}
}

gateway: ingress: {
	listeners: http: {port: 8080, protocol: "http", hosts: ["*"]}
	routes: page: {match: [{path: exact: "/productpage"}], to: "productpage"}
}
`,
	}, "v1"},
	{"permissive", map[string]string{"mesh.cue": unbound, "shop/reviews.cue": `service: reviews: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: mtls: "permissive"
}
`}, "v1"},
	{"as it was", nil, "v1"},
}

// unbound is the root without its rule on mutual TLS and what it expects.
const unbound = `import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals

mesh: name: "bookinfo"
`

// Bookinfo goes through a series of commits under load, with both data planes
// as gateway and as sidecar of productpage: no request fails, and nothing is
// refused.
func TestBookinfoChangesUnderLoad(t *testing.T) {
	b := newBed(t, bookinfoWith(t, nil))
	id := func(name string) string { return model.SPIFFEID(domain, "default", name) }
	for _, name := range []string{"details", "ratings"} {
		b.application(ref(name), "v1", name+"-v1", b.backends.start(t, name, b.plane.mutual(id(name))))
	}
	for _, v := range []string{"v1", "v2", "v3", "v4", "v5"} {
		b.application(ref("reviews"), v, "reviews-"+v, b.backends.start(t, "reviews/"+v, b.plane.mutual(id("reviews"))))
	}
	for _, k := range kinds {
		b.sidecar(ref("productpage"), "v1", k, b.backends.start(t, "page of "+string(k), nil))
		b.gateway(ref("ingress"), k)
	}
	b.run()
	var flows []*flow
	for _, k := range kinds {
		page := b.placed["productpage-"+string(k)]
		flows = append(flows,
			startFlow(t, "reviews through "+string(k), page.Outbound["default/reviews:9080"], "/reviews/0"),
			startFlow(t, "page through "+string(k), b.placed["ingress-"+string(k)].Inbound[8080], "/productpage"))
	}
	for range scale(1, 10) {
		for _, s := range states {
			commit := b.plane.set(bookinfoWith(t, s.changed), b.workloads)
			t.Logf("%s: programmed after %s", s.name, b.plane.programmed(commit, b.all()...))
			for _, f := range flows {
				f.settled(t, s.name, s.answers)
			}
		}
	}
	for _, f := range flows {
		f.end(t)
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// flow is a client that asks without a pause.
type flow struct {
	name   string
	ok     atomic.Int64
	served atomic.Pointer[string]
	failed atomic.Pointer[string]
	cancel context.CancelFunc
	done   chan struct{}
}

func startFlow(t *testing.T, name, addr, path string) *flow {
	ctx, cancel := context.WithCancel(t.Context())
	f := &flow{name: name, cancel: cancel, done: make(chan struct{})}
	transport := &http.Transport{}
	go func() {
		defer close(f.done)
		defer transport.CloseIdleConnections()
		for ctx.Err() == nil {
			f.ask(ctx, transport, "http://"+addr+path)
		}
	}()
	t.Cleanup(func() { cancel(); <-f.done })
	return f
}

func (f *flow) ask(ctx context.Context, transport *http.Transport, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	res, err := transport.RoundTrip(req)
	if err == nil {
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %v", res.Status, res.Header)
		}
	}
	switch {
	case err == nil:
		served := res.Header.Get("x-served")
		f.served.Store(&served)
		f.ok.Add(1)
	case ctx.Err() == nil:
		text := err.Error()
		f.failed.CompareAndSwap(nil, &text)
	}
}

// settled waits until one of the versions answers, and some requests more.
func (f *flow) settled(t *testing.T, state, answers string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for from, good := f.ok.Load(), 0; good < 5; time.Sleep(time.Millisecond) {
		if failed := f.failed.Load(); failed != nil || ctx.Err() != nil {
			t.Fatalf("%s: %s: failed %v, last answer of %v", state, f.name, deref(failed), deref(f.served.Load()))
		}
		if n := f.ok.Load(); n > from {
			from = n
			_, version, named := strings.Cut(deref(f.served.Load()), "/")
			if !named || strings.Contains(answers, version) {
				good++
			}
		}
	}
}

func deref(s *string) string {
	if s == nil {
		return "nothing"
	}
	return *s
}

func (f *flow) end(t *testing.T) {
	t.Helper()
	f.cancel()
	<-f.done
	if failed := f.failed.Load(); failed != nil {
		t.Errorf("%s: a request failed: %s", f.name, *failed)
	}
	t.Logf("%s: %d requests", f.name, f.ok.Load())
}
