package cluster

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// Tables are kept while their endpoints are the same, and go with their priority,
// also where nothing is known of endpoints.
func TestTablesGoWithTheirPriority(t *testing.T) {
	at := func(port uint16, priority uint32) snapshot.Endpoint {
		return snapshot.Endpoint{Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), Weight: 1, Healthy: true, Priority: priority}
	}
	both := &snapshot.Cluster{Name: "c", LB: snapshot.Maglev, Endpoints: []snapshot.Endpoint{at(1, 0), at(2, 1)}}
	both.Balance.TableSize = 101
	s := New(both, Deps{Clock: wall{time.Now()}, Telemetry: telemetry.New(1)})
	defer s.Close()
	s.Update(both)
	first, second := s.Table(both, []int{0}), s.Table(both, []int{1})
	same := *both
	same.Endpoints = slices.Clone(both.Endpoints)
	s.Update(&same)
	if s.Table(&same, []int{0}) != first || s.Table(&same, []int{1}) != second {
		t.Error("tables of the same endpoints are made anew")
	}
	one := *both
	one.Endpoints = both.Endpoints[:1]
	s.Update(&one)
	if s.Table(both, []int{1}) != second {
		t.Error("a table is forgotten that loops may still look at")
	}
	s.ForgetTables(&one)
	if len(s.tables) != 1 || s.Table(&one, []int{0}) == nil {
		t.Errorf("%d tables of one priority", len(s.tables))
	}
}
