package engine

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// BenchmarkAdopt measures what an event loop does for a thousand clusters that
// change: most-µs is the longest turn.
func BenchmarkAdopt(b *testing.B) {
	const clusters = 1000
	e, err := New(Options{Workers: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	config := func(digest string) *snapshot.Config {
		c := newMesh("127.0.0.1:1").config
		for i := range clusters {
			name := fmt.Sprintf("outbound|80||service-%d.default.svc.cluster.local", i)
			c.Clusters[name] = &snapshot.Cluster{Name: name, Digest: digest, Endpoints: endpointsOf("127.0.0.1:1", "127.0.0.1:2")}
		}
		return c
	}
	turns := []*snapshot.Config{config("a"), config("b")}
	var longest time.Duration
	for i := 0; b.Loop(); i++ {
		stop, most := make(chan struct{}), make(chan time.Duration)
		go func() { // what waits for the loop waits for one of its turns
			var worst time.Duration
			for {
				select {
				case <-stop:
					most <- worst
					return
				default:
				}
				begun := time.Now()
				e.everywhere(func(*worker) {})
				worst = max(worst, time.Since(begun))
			}
		}()
		if err := e.Apply(turns[i%2]); err != nil {
			b.Fatal(err)
		}
		close(stop)
		longest += <-most
	}
	b.ReportMetric(float64(longest.Microseconds())/float64(b.N), "most-µs")
}

// What becomes known of an endpoint while loops are made ready for a configuration is
// not forgotten when it comes into force; and a cluster that stays keeps its view.
func TestWhatIsLearntBeforeAConfigurationIsInForce(t *testing.T) {
	m := newMesh("127.0.0.1:1")
	m.config.Clusters["other"] = &snapshot.Cluster{Name: "other", Digest: "1", Endpoints: endpointsOf("127.0.0.1:2")}
	e := start(t, m)
	changed := newMesh("127.0.0.1:1").config
	changed.Clusters[clusterName].Digest = "2"
	changed.Clusters["other"] = m.config.Clusters["other"]
	next := &prepared{config: changed, stats: e.clusterStats(changed, e.current)}
	next.states = e.states(changed, e.current)
	e.prepareClusters(next)
	e.everywhere(func(w *worker) {
		coming := w.coming[clusterName]
		if len(w.coming) != 1 || coming == nil {
			t.Errorf("the loop is ready for %v", w.coming)
			return
		}
		before := coming.picker
		if w.rebalance(coming.pool.key); coming.picker == before {
			t.Error("the view to come has not heard of it")
		}
		if w.view.clusters[clusterName].pool == coming.pool {
			t.Error("the view in force is not left alone")
		}
	})
}
