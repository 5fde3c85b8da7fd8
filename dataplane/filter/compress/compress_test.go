package compress

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
)

func config(t testing.TB, library, direction string, more ...string) *compressorv3.Compressor {
	t.Helper()
	m := new(compressorv3.Compressor)
	text := `{"compressor_library": {"name": "x", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.compression.` + library + `"}}, "response_direction_config": {` + direction + `}` + strings.Join(more, "") + `}`
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

var libraries = map[string]string{"gzip": "gzip.compressor.v3.Gzip", "br": "brotli.compressor.v3.Brotli", "zstd": "zstd.compressor.v3.Zstd"}

func chain(t testing.TB, encodings ...string) []*Filter {
	t.Helper()
	var out []*Filter
	var all []filter.HTTP
	for i, e := range encodings {
		more := ""
		if i == 0 {
			more = `, "choose_first": true`
		}
		f, err := New("meshc.compress."+e, config(t, libraries[e], "", more))
		if err != nil {
			t.Fatal(err)
		}
		out, all = append(out, f), append(all, f)
	}
	Join(all)
	return out
}

// What a client reads is what was written, however it comes: at once, and at the
// end of each piece all of it.
func TestBodiesComeOutAsTheyWere(t *testing.T) {
	for encoding := range libraries {
		f := chain(t, encoding)[0]
		r := rand.New(rand.NewPCG(1, 2))
		for n := range 60 {
			e := f.encoders.get()
			var body, wire, out []byte
			for range r.IntN(5) {
				piece := make([]byte, r.IntN(70_000)*(n%2))
				for i := range piece {
					piece[i] = byte(r.IntN(1 + n*4))
				}
				var err error
				if out, err = e.Encode(out[:0], piece, false); err != nil {
					t.Fatal(err)
				}
				body, wire = append(body, piece...), append(wire, out...)
				read := make([]byte, len(body))
				if _, err := io.ReadFull(reader(t, encoding, wire), read); len(body) > 0 && (err != nil || !bytes.Equal(read, body)) {
					t.Fatalf("%s: of %d bytes so far a client reads %v", encoding, len(body), err)
				}
			}
			out, err := e.Encode(out[:0], []byte("end"), true)
			if err != nil {
				t.Fatal(err)
			}
			body, wire = append(body, "end"...), append(wire, out...)
			got, err := io.ReadAll(reader(t, encoding, wire))
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%s: %d bytes, %v; want %d", encoding, len(got), err, len(body))
			}
			if n%3 > 0 {
				e.Release()
			}
		}
	}
}

func reader(t *testing.T, encoding string, wire []byte) io.Reader {
	t.Helper()
	switch encoding {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(wire))
		if err != nil {
			return bytes.NewReader(nil)
		}
		return r
	case "br":
		return brotli.NewReader(bytes.NewReader(wire))
	}
	r, err := zstd.NewReader(bytes.NewReader(wire), zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestChoice(t *testing.T) {
	all := chain(t, "br", "gzip", "zstd")
	off := &route.Entry{PerFilter: map[string]any{"meshc.compress.br": filter.Off{}}}
	for _, c := range []struct {
		accepts string
		route   *route.Entry
		want    string
	}{
		{"", nil, ""}, {"gzip", nil, "gzip"}, {"gzip, br", nil, "br"}, {"gzip, zstd", nil, "gzip"}, {"gzip;q=0.1, zstd;q=0.2", nil, "zstd"},
		{"*", nil, "br"}, {"*", off, "gzip"}, {"br, zstd;q=0.1", off, "zstd"}, {"br;q=0, *", nil, "gzip"}, {"identity, gzip;q=0.9", nil, ""}, {"deflate", nil, ""},
		{"gzip;q=x", nil, ""}, {"gzip;q=nan", nil, ""}, {"gzip;q=0", nil, ""}, {"gzip ; q = 1", nil, "gzip"}, {";q=1,=,,q", nil, ""},
	} {
		s := &filter.Stream{Request: &message.Request{Fields: []message.Field{{Name: "accept-encoding", Value: c.accepts}}}, Settled: c.route}
		got := ""
		for _, f := range all {
			f.OnRequest(s)
			if c.route != nil && s.SwitchedOff(f.name) {
				continue
			}
			h := &filter.ResponseHead{Response: &message.Response{Status: 200}, Length: -1}
			if e := f.OnResponse(s, h); e != nil {
				e.Release()
				got += f.encoding
			}
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.accepts, got, c.want)
		}
	}
}

func TestChoiceDoesNotAllocate(t *testing.T) {
	f := chain(t, "br", "gzip")[1]
	s := &filter.Stream{Request: &message.Request{}, Accepts: "deflate, gzip;q=0.5, br;q=0.1"}
	if n := testing.AllocsPerRun(100, func() { f.chosen(s, "text/html") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	table := support.New(Supported, []support.Message{{Name: "envoy.config.core.v3.TypedExtensionConfig", Fields: []support.Field{support.F("name", ""), support.F("typed_config", "")}}})
	for _, c := range []struct{ library, direction, more, want string }{
		{"gzip.compressor.v3.Gzip", `"remove_accept_encoding_header": true`, "", "remove_accept_encoding_header"},
		{"gzip.compressor.v3.Gzip", `"status_header_enabled": true`, "", "status_header_enabled"},
		{"gzip.compressor.v3.Gzip", `"common_config": {"content_type": ["a/b"]}`, "", "content_type"},
		{"gzip.compressor.v3.Gzip", `"common_config": {"enabled": {"default_value": true, "runtime_key": "k"}}`, "", "enabled"},
		{"gzip.compressor.v3.Gzip", "", `, "request_direction_config": {}`, "request_direction_config"},
		{"gzip.compressor.v3.Gzip", "", `, "content_length": 5`, "content_length"},
	} {
		if err := table.Check(config(t, c.library, c.direction, c.more)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	bare := config(t, "gzip.compressor.v3.Gzip", "")
	if bare.ResponseDirectionConfig = nil; table.Check(bare) != nil {
		t.Error("the table refuses what New says")
	}
	if _, err := New("x", bare); err == nil || !strings.Contains(err.Error(), "response_direction_config") {
		t.Error(err)
	}
}

// TestChosenInTime: a header as long as a head costs no more than to read it.
func TestChosenInTime(t *testing.T) {
	f := chain(t, "br", "gzip")[1]
	s := &filter.Stream{Request: &message.Request{}, Accepts: strings.Repeat("gzip,", 12_000) + "gzip;q=0, br"}
	before := usedCPU(t)
	if got := f.chosen(s, "text/html"); got != "br" {
		t.Errorf("chosen %q, and gzip is ruled out", got)
	}
	if took := usedCPU(t) - before; took > time.Second {
		t.Errorf("a header of %d bytes took %v of a CPU", len(s.Accepts), took)
	}
}

// usedCPU is what this process has had of all processors.
func usedCPU(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
