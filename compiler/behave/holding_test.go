package behave_test

import (
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
)

// TestHoldingIsBehaviour: where a bound is new or lower somebody is refused, and
// nothing of another kind of port is concerned.
func TestHoldingIsBehaviour(t *testing.T) {
	buffer := func(n uint32, notPaths ...string) *model.Buffer {
		return &model.Buffer{MaxBytes: n, NotPaths: notPaths}
	}
	gzip := func(least uint32) *model.Compression {
		return &model.Compression{Encodings: []string{"gzip"}, MinLength: least, ContentTypes: []string{"text/css"}}
	}
	with := func(most uint32, c *model.Compression, b *model.Buffer) *model.Service {
		s := limitedShop()
		s.Ports[0].MaxConnections, s.Compression, s.Buffer = most, c, b
		return s
	}
	admits := func(change func(*model.Admission)) *model.Service {
		s := limitedShop()
		s.Admission = &model.Admission{
			Window: model.DefaultAdmissionWindow, SuccessBasisPoints: 9500, AggressionHundredths: 100, MinRPS: 10, MaxRejectionBasisPoints: 8000,
			Statuses: model.DefaultAdmissionStatuses, GRPCStatuses: model.DefaultAdmissionGRPC,
		}
		change(s.Admission)
		return s
	}
	same := func(*model.Admission) {}
	grpc := func(s *model.Service) *model.Service { s.Ports[0].Protocol = model.GRPC; return s }
	for _, c := range []struct {
		name          string
		before, after *model.Service
		want          []behave.Class
	}{
		{"a new limit of connections", with(0, nil, nil), with(9, nil, nil), []behave.Class{behave.Narrow}},
		{"a lower one", with(10, nil, nil), with(9, nil, nil), []behave.Class{behave.Narrow}},
		{"a higher one", with(9, nil, nil), with(10, nil, nil), []behave.Class{behave.Tune}},
		{"none any more", with(9, nil, nil), with(0, nil, nil), []behave.Class{behave.Tune}},
		{"a new buffer", with(0, nil, nil), with(0, nil, buffer(1000)), []behave.Class{behave.Narrow}},
		{"a larger one", with(0, nil, buffer(9)), with(0, nil, buffer(1000)), []behave.Class{behave.Tune}},
		{"a path that is no longer left out", with(0, nil, buffer(9, "/a")), with(0, nil, buffer(9)), []behave.Class{behave.Narrow}},
		{"compression", with(0, nil, nil), with(0, gzip(30), nil), []behave.Class{behave.Tune}},
		{"compression of others", with(0, gzip(40), nil), with(0, gzip(30), nil), []behave.Class{behave.Tune}},
		{"admission control", with(0, nil, nil), admits(same), []behave.Class{behave.Narrow, behave.Tune}},
		{"the same of it", admits(same), admits(same), nil},
		{"no admission control any more", admits(same), with(0, nil, nil), []behave.Class{behave.Tune}},
		{"more success is asked for", admits(same), admits(func(a *model.Admission) { a.SuccessBasisPoints = 9900 }), []behave.Class{behave.Narrow}},
		{"less is", admits(same), admits(func(a *model.Admission) { a.SuccessBasisPoints = 900 }), []behave.Class{behave.Tune}},
		{"of calls too", grpc(admits(same)), grpc(admits(func(a *model.Admission) { a.AggressionHundredths = 250 })), []behave.Class{behave.Narrow}},
		{"at most fewer", admits(same), admits(func(a *model.Admission) { a.MaxRejectionBasisPoints = 8000 - 1 }), []behave.Class{behave.Tune}},
		{"from fewer requests on", admits(same), admits(func(a *model.Admission) { a.MinRPS = 0 }), []behave.Class{behave.Narrow}},
		{"from more on", admits(same), admits(func(a *model.Admission) { a.MinRPS = 11 }), []behave.Class{behave.Tune}},
		{"other successes", admits(same), admits(func(a *model.Admission) { a.Statuses = a.Statuses[:1] }), []behave.Class{behave.Narrow}},
		{"more successes", admits(func(a *model.Admission) { a.Statuses = a.Statuses[:2] }), admits(same), []behave.Class{behave.Tune}},
		{"one that is in a class", admits(same), admits(func(a *model.Admission) {
			a.Statuses = []model.StatusRange{{From: 100, To: 299}, {From: 304, To: 304}, {From: 400, To: 499}}
		}), []behave.Class{behave.Narrow}},
		{"more successes of calls", grpc(admits(func(a *model.Admission) { a.GRPCStatuses = a.GRPCStatuses[:2] })), grpc(admits(same)), []behave.Class{behave.Tune}},
		{"fewer of calls", grpc(admits(same)), grpc(admits(func(a *model.Admission) { a.GRPCStatuses = a.GRPCStatuses[2:] })), []behave.Class{behave.Narrow}},
		{"another window", admits(same), admits(func(a *model.Admission) { a.Window *= 2 }), []behave.Class{behave.Tune}},
		{"the same", with(9, gzip(30), buffer(9)), with(9, gzip(30), buffer(9)), nil},
		{"of a port that it is not for", grpc(with(9, nil, nil)), grpc(with(9, gzip(30), buffer(9))), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := behave.Services(c.before, c.after, nil)
			var got []behave.Class
			for _, change := range d.Changes {
				got = append(got, change.Classes...)
			}
			if len(d.Unknown) > 0 || !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v; unknown %v", got, c.want, d.Unknown)
			}
		})
	}
}
