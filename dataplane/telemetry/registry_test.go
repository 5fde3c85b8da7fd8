package telemetry

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPrometheusText(t *testing.T) {
	r := New(2)
	c := r.Counter("envoy_x_total", Label{"b", `q"\` + "\n"}, Label{"a", "1"})
	c.Shard(0).Inc()
	c.Shard(1).Add(2)
	c.Inc()
	r.Gauge("envoy_g").Set(-3)
	h := r.Histogram("envoy_t", Label{"a", "1"})
	h.Shard(0).Observe(300 * time.Microsecond)
	h.Shard(1).Observe(7 * time.Millisecond)
	h.Shard(1).Observe(5 * time.Hour)
	var b strings.Builder
	if err := r.WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# TYPE envoy_g gauge\nenvoy_g -3\n",
		"# TYPE envoy_x_total counter\nenvoy_x_total{a=\"1\",b=\"q\\\"\\\\\\n\"} 4\n",
		"# TYPE envoy_t histogram\nenvoy_t_bucket{a=\"1\",le=\"0.5\"} 1\nenvoy_t_bucket{a=\"1\",le=\"1\"} 1\nenvoy_t_bucket{a=\"1\",le=\"5\"} 1\nenvoy_t_bucket{a=\"1\",le=\"10\"} 2\n",
		"envoy_t_bucket{a=\"1\",le=\"+Inf\"} 3\nenvoy_t_sum{a=\"1\"} 18000007.3\nenvoy_t_count{a=\"1\"} 3\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("missing %q in\n%s", want, b.String())
		}
	}
	if r.Counter("envoy_x_total", Label{"a", "1"}, Label{"b", `q"\` + "\n"}).Value() != 4 {
		t.Error("the order of labels makes another series")
	}
}

func TestDropForgetsASeries(t *testing.T) {
	r := New(1)
	keep := Label{"envoy_cluster_name", "ab"}
	gone := Label{"envoy_cluster_name", "a"}
	r.Counter("x", keep).Inc()
	r.Counter("x", gone, Label{"envoy_response_code_class", "2"}).Inc()
	r.Counter("y", gone).Inc()
	r.Drop(gone)
	var b strings.Builder
	r.WritePrometheus(&b)
	if want := "# TYPE x counter\nx{envoy_cluster_name=\"ab\"} 1\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestShardsAndReadersDoNotRace(t *testing.T) {
	r := New(4)
	c := r.Counter("x")
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 10_000 {
				c.Shard(i).Inc()
			}
		})
	}
	all.Go(func() {
		for range 100 {
			c.Value()
			c.Inc()
		}
	})
	all.Wait()
	if c.Value() != 40_100 {
		t.Errorf("%d", c.Value())
	}
}

func TestSinkWritesEveryLine(t *testing.T) {
	r := New(1)
	path := filepath.Join(t.TempDir(), "log")
	s, err := OpenSink(path, r)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := CompileText("%RESPONSE_CODE% %REQ(USER-AGENT)%\n")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			b := s.NewBatch()
			for range 5000 {
				b.Add(f, sample())
			}
			b.Flush()
		})
	}
	all.Wait()
	s.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(raw), strings.Repeat("503 ua\n", 20_000); got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
	if _, err := OpenSink(filepath.Join(path, "x"), r); err == nil {
		t.Error("a sink below a file was opened")
	}
}

func TestFullSinkDropsAndCounts(t *testing.T) {
	r := New(1)
	s := &Sink{queue: make(chan load, 1), stats: SinkStats{Dropped: r.Counter("envoy_access_logs_lines_dropped")}}
	f, _ := CompileText("x\n")
	b := s.NewBatch()
	for range 3 {
		b.Add(f, sample())
		b.Add(f, sample())
		b.Flush()
	}
	if n := s.stats.Dropped.Value(); n != 4 {
		t.Errorf("%d lines counted as dropped, want 4", n)
	}
}
