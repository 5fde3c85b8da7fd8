package discover

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/meshc/meshc/compiler/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

const one = `{"workloads": [{"id": "web-0", "role": "sidecar", "service": {"namespace": "default", "name": "web"}, "version": "v1",
  "inbound": {"80": "127.0.0.1:8080"}, "app": {"80": "[::1]:8081"}, "outbound": {"default/reviews:80": "127.0.0.1:8082"}, "ready": true}]}`

func TestDecode(t *testing.T) {
	got, err := Decode([]byte(one))
	if err != nil {
		t.Fatal(err)
	}
	want := []*model.Workload{{
		ID: "web-0", Role: model.RoleSidecar, Service: model.Ref{Namespace: "default", Name: "web"}, Version: "v1", Ready: true,
		Inbound:  map[uint16]string{80: "127.0.0.1:8080"},
		App:      map[uint16]string{80: "[::1]:8081"},
		Outbound: map[string]string{"default/reviews:80": "127.0.0.1:8082"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, err := Decode([]byte(`{"workloads": []}`)); err != nil || len(got) != 0 {
		t.Errorf("empty list: %v, %v", got, err)
	}
}

func TestDecodeSorts(t *testing.T) {
	w := func(id string) string {
		return `{"id": "` + id + `", "role": "gateway", "service": {"namespace": "d", "name": "g"}}`
	}
	got, err := Decode([]byte(`{"workloads": [` + w("b") + "," + w("a") + `]}`))
	if err != nil || got[0].ID != "a" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDecodeRefusesByName(t *testing.T) {
	edit := func(old, fresh string) string {
		out := strings.Replace(one, old, fresh, 1)
		if out == one {
			t.Fatalf("%q is not there", old)
		}
		return out
	}
	for name, tc := range map[string]struct{ in, want string }{
		"an unknown field":         {edit(`"ready"`, `"redy"`), `unknown field "redy"`},
		"an unknown top field":     {`{"workload": []}`, `unknown field "workload"`},
		"no list":                  {`{}`, `"workloads" is missing`},
		"null":                     {`{"workloads": [null]}`, "workload 0: null"},
		"a tail":                   {one + "x", "text after"},
		"half a file":              {one[:40], "unexpected EOF"},
		"a wrong type":             {"{\n\"workloads\": 3}", "(line 2)"},
		"an unknown role":          {edit(`sidecar`, `cart`), `role "cart"`},
		"a name for an address":    {edit(`127.0.0.1:8080`, `localhost:8080`), `"localhost:8080" is not "ip:port"`},
		"an address without port":  {edit(`127.0.0.1:8080`, `127.0.0.1`), `"127.0.0.1" is not "ip:port"`},
		"port 0":                   {edit(`127.0.0.1:8080`, `127.0.0.1:0`), "port 0"},
		"service port 0":           {edit(`{"80": "127`, `{"0": "127`), "inbound: port 0"},
		"a service port too large": {edit(`{"80": "127`, `{"70000": "127`), "70000"},
		"a bad outbound key":       {edit(`default/reviews:80`, `reviews:80`), `outbound "reviews:80"`},
		"an id with a tilde":       {edit(`web-0`, `web~0`), `id "web~0"`},
		"an id with a slash":       {edit(`web-0`, `web/0`), `id "web/0"`},
		"no id":                    {edit(`web-0`, ``), `id "" is not a name`},
		"no namespace":             {edit(`"namespace": "default", `, ``), "service.namespace"},
		"no version":               {edit(`"version": "v1",`, ``), "version is missing"},
		"app of a grpc role":       {edit(`sidecar`, `grpc`), "for the role sidecar only"},
		"an id twice":              {strings.Replace(one, `]}`, `,`+one[len(`{"workloads": [`):], 1), `"default/web-0" stands twice`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(tc.in))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q", err, tc.want)
			}
		})
	}
}

const pod = `{"workloads": [{"id": "web-0", "role": "sidecar", "service": {"namespace": "default", "name": "web"}, "version": "v1",
  "inbound": {"80": "10.0.0.1:80"}, "app": {"80": "127.0.0.1:80"}, "capture": {"addresses": ["10.0.0.1", "fd00::1"], "outbound": {"default/reviews:80": ["10.96.0.1:80", "[fd00:96::1]:80"]}}}]}`

func TestDecodeCapture(t *testing.T) {
	got, err := Decode([]byte(pod))
	if err != nil {
		t.Fatal(err)
	}
	want := &model.Capture{Addresses: []string{"10.0.0.1", "fd00::1"}, Outbound: map[string][]string{"default/reviews:80": {"10.96.0.1:80", "[fd00:96::1]:80"}}}
	if diff := cmp.Diff(want, got[0].Capture); diff != "" {
		t.Error(diff)
	}
	for old, change := range map[string]struct{ to, want string }{
		`sidecar`:                             {`gateway`, "capture: it is for the role sidecar only"},
		`"app"`:                               {`"outbound": {"a/b:1": "127.0.0.1:1"}, "app"`, "capture: outbound stands in capture"},
		`["10.0.0.1", "fd00::1"]`:             {`[]`, "capture: 0 addresses"},
		`"fd00::1"`:                           {`"10.0.0.2"`, "the pod has another of its family"},
		`, "fd00::1"`:                         {`, "fd00::1%eth0"`, "is not that of a pod"},
		`"fd00::1"]`:                          {`"0.0.0.0"]`, "is not that of a pod"},
		`default/reviews:80`:                  {`reviews`, `capture: outbound "reviews" is not`},
		`["10.96.0.1:80", "[fd00:96::1]:`:     {`["10.96.0.1", "[fd00:96::1]:`, `"10.96.0.1" is not "ip:port"`},
		`"[fd00:96::1]:80"]`:                  {`"[fd00:96::1]:0"]`, "port 0"},
		`["10.96.0.1:80", "[fd00:96::1]:80"]`: {`[]`, "no address"},
	} {
		in := strings.Replace(pod, old, change.to, 1)
		if _, err := Decode([]byte(in)); in == pod || err == nil || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s for %s: %v, want %q", change.to, old, err, change.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(one))
	f.Add([]byte(pod))
	f.Add([]byte(`{"workloads": []}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		list, err := Decode(in)
		if err != nil {
			return
		}
		out, err := json.Marshal(map[string]any{"workloads": list})
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(out)
		if err != nil {
			t.Fatalf("what was taken is refused when written again: %v", err)
		}
		if rest, err := json.Marshal(map[string]any{"workloads": again}); err != nil || string(rest) != string(out) {
			t.Fatalf("%s becomes %s (%v)", out, rest, err)
		}
	})
}

// watched is a file under watch, looked at when the test says so.
type watched struct {
	t     *testing.T
	path  string
	ticks chan time.Time
	c     <-chan Update
}

func watch(t *testing.T, content string) *watched {
	t.Helper()
	w := &watched{t: t, path: filepath.Join(t.TempDir(), "workloads.json"), ticks: make(chan time.Time)}
	if content != "" {
		w.write(content)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := (&File{Path: w.path, Ticks: w.ticks}).Watch(ctx)
	w.c = c
	t.Cleanup(func() {
		cancel()
		for range c { // closed when the goroutine is gone
		}
	})
	return w
}

func (w *watched) write(content string) {
	w.t.Helper()
	if err := os.WriteFile(w.path, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// look has the file looked at; two ticks, because the first only says that the
// look before it is over.
func (w *watched) look() { w.ticks <- time.Time{}; w.ticks <- time.Time{} }

func (w *watched) next() Update {
	w.t.Helper()
	select {
	case u := <-w.c:
		return u
	case <-time.After(patience):
		w.t.Fatal("no update")
		return Update{}
	}
}

func (w *watched) quiet() {
	w.t.Helper()
	w.look()
	select {
	case u := <-w.c:
		w.t.Fatalf("update %+v, want none", u)
	default:
	}
}

func ids(u Update) []string {
	var out []string
	for _, w := range u.Workloads {
		out = append(out, w.ID)
	}
	return out
}

func TestFileIsReadAgainWhenItChanges(t *testing.T) {
	w := watch(t, one)
	if u := w.next(); u.Err != nil || !slices.Equal(ids(u), []string{"web-0"}) {
		t.Fatalf("first update %+v", u)
	}
	w.quiet()
	// The same size, and often the same time stamp: only the content differs.
	w.write(strings.Replace(one, "web-0", "web-1", 1))
	w.look()
	if u := w.next(); u.Err != nil || !slices.Equal(ids(u), []string{"web-1"}) {
		t.Fatalf("after a change %+v", u)
	}
	fresh := w.path + ".new"
	if err := os.WriteFile(fresh, []byte(one), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, w.path); err != nil {
		t.Fatal(err)
	}
	w.look()
	if u := w.next(); u.Err != nil || !slices.Equal(ids(u), []string{"web-0"}) {
		t.Fatalf("after a rename %+v", u)
	}
	w.quiet()
}

func TestBadFileKeepsTheLastGoodList(t *testing.T) {
	w := watch(t, one)
	w.next()
	w.write(one[:50])
	w.look()
	if u := w.next(); u.Err == nil || !slices.Equal(ids(u), []string{"web-0"}) || !strings.Contains(u.Err.Error(), w.path) {
		t.Fatalf("half a file gives %+v", u)
	}
	w.quiet()
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	w.look()
	if u := w.next(); !os.IsNotExist(unwrapAll(u.Err)) || !slices.Equal(ids(u), []string{"web-0"}) {
		t.Fatalf("no file gives %+v", u)
	}
	w.quiet()
	w.write(one)
	w.look()
	if u := w.next(); u.Err != nil || !slices.Equal(ids(u), []string{"web-0"}) {
		t.Fatalf("a good file again gives %+v", u)
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || os.IsNotExist(err) {
			return err
		}
		err = u.Unwrap()
	}
}

func TestMissingFileIsSaidAtOnce(t *testing.T) {
	w := watch(t, "")
	if u := w.next(); u.Err == nil || u.Workloads != nil {
		t.Fatalf("%+v", u)
	}
	w.write(one)
	w.look()
	if u := w.next(); u.Err != nil || len(u.Workloads) != 1 {
		t.Fatalf("%+v", u)
	}
}

func TestDirectoryIsNoFile(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	c := (&File{Path: dir}).Watch(ctx)
	if u := <-c; u.Err == nil || !strings.Contains(u.Err.Error(), "not a regular file") {
		t.Errorf("%+v", u)
	}
	cancel()
	for range c {
	}
}

func TestSlowReaderGetsTheNewest(t *testing.T) {
	w := watch(t, one)
	for _, id := range []string{"web-1", "web-2", "web-3"} {
		w.look()
		w.write(strings.Replace(one, "web-0", id, 1))
	}
	w.look()
	if u := w.next(); !slices.Equal(ids(u), []string{"web-3"}) {
		t.Errorf("%v, want the newest", ids(u))
	}
	w.quiet()
}
