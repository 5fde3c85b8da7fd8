package xds_test

import (
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// treated is Bookinfo where callers treat ratings as t says.
func treated(t *model.Traffic) *model.Mesh {
	m := bookinfo()
	t.ConnectTimeout = time.Second
	m.Service(shop("ratings")).Versions[0].Traffic = t
	return m
}

// TestDetectorsAreOffUnlessWritten: left out, Envoy enforces two of them.
func TestDetectorsAreOffUnlessWritten(t *testing.T) {
	m := treated(&model.Traffic{Outliers: &model.Outliers{ConsecutiveGateway: 3, Interval: time.Second, Ejection: time.Second, MaxEjection: time.Second, MaxPercent: 10}})
	o := clusterTo(emitFor(t, m, "reviews"), "ratings").OutlierDetection
	for name, got := range map[string]uint32{
		"consecutive 5xx": o.EnforcingConsecutive_5Xx.GetValue(), "success rate": o.EnforcingSuccessRate.GetValue(), "failure percentage": o.EnforcingFailurePercentage.GetValue(),
	} {
		if got != 0 {
			t.Errorf("%s is enforced for %d %%", name, got)
		}
	}
	if o.EnforcingConsecutive_5Xx == nil || o.EnforcingSuccessRate == nil || o.EnforcingConsecutiveGatewayFailure.GetValue() != 100 || o.SplitExternalLocalOriginErrors {
		t.Errorf("%v", o)
	}
}

func TestABudgetTakesThePlaceOfMaxRetries(t *testing.T) {
	limits := &model.Connections{Max: 1, MaxPending: 2, MaxRequests: 3, MaxRetries: 4}
	m := treated(&model.Traffic{Connections: limits, RetryBudget: &model.RetryBudget{BasisPoints: 2025, MinConcurrency: 1}})
	got := clusterTo(emitFor(t, m, "reviews"), "ratings").CircuitBreakers.Thresholds[0]
	if got.MaxRetries != nil || got.RetryBudget.BudgetPercent.Value != 20.25 || got.MaxRequests.GetValue() != 3 {
		t.Errorf("%v", got)
	}
}

// TestAnInstanceThatCannotBeAskedIsLeftOut: its health check would fail
// whatever its health.
func TestAnInstanceThatCannotBeAskedIsLeftOut(t *testing.T) {
	m := treated(&model.Traffic{Health: &model.Health{TCP: &model.HealthTCP{}, Interval: time.Second, Timeout: time.Second, HealthyAfter: 1, UnhealthyAfter: 1, Port: 9090}})
	s := m.Service(shop("ratings"))
	s.Ports = append(s.Ports, model.Port{Name: "admin", Number: 9090, Protocol: model.HTTP})
	all := xds.DefaultWorkloads(m)
	endpoints := func() int {
		res, err := xds.Emit(m, find(t, all, "reviews"), all, xds.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range res.Endpoints {
			if e.ClusterName != model.ClusterName(9080, "v1", s.Host) {
				continue
			}
			for _, zone := range e.Endpoints {
				for _, end := range zone.LbEndpoints {
					n++
					at := end.GetEndpoint().GetHealthCheckConfig()
					if at.GetPortValue() != 9090 || at.GetAddress().GetSocketAddress().GetPortValue() != 9090 {
						t.Errorf("asked at %v, called at %v", at, end.GetEndpoint().Address)
					}
				}
			}
		}
		return n
	}
	if n := endpoints(); n != 1 {
		t.Errorf("%d endpoints, want 1", n)
	}
	delete(find(t, all, "ratings").Inbound, 9090)
	if n := endpoints(); n != 0 {
		t.Errorf("%d endpoints without an address to ask, want none", n)
	}
}
