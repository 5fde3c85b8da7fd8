package model

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// What admission control goes by where nobody says more: Envoy's own, written out.
const (
	DefaultAdmissionWindow      = 30 * time.Second
	DefaultAdmissionSuccess     = 9500 // basis points
	DefaultAdmissionAggression  = 100  // hundredths
	DefaultAdmissionMaxRejected = 8000 // basis points
)

// DefaultAdmissionStatuses are answers that fewer requests would not make better.
var DefaultAdmissionStatuses = []StatusRange{{100, 199}, {200, 299}, {300, 399}, {400, 499}}

// DefaultAdmissionGRPC are those of gRPC.
var DefaultAdmissionGRPC = []uint32{0, 1, 2, 3, 5, 6, 7, 9, 11, 12, 16}

// Admission refuses requests at random while too few of the latest succeed.
type Admission struct {
	Window                  time.Duration // whole seconds
	SuccessBasisPoints      uint32        // of requests that succeed; below, some are refused
	AggressionHundredths    uint32        // 100 and more
	MinRPS                  uint32        // requests per second; of fewer none is refused
	MaxRejectionBasisPoints uint32
	Statuses                []StatusRange // of HTTP, that are successes; sorted, apart from each other
	GRPCStatuses            []uint32      // that are successes; sorted
	Origin                  Origin
}

func (a *Admission) settings(s *settings) {
	if a == nil {
		return
	}
	s.at = a.Origin
	s.add("admission.window", a.Window.String())
	s.percent("admission.successRate", a.SuccessBasisPoints)
	s.add("admission.aggression", Hundredths(a.AggressionHundredths))
	s.add("admission.minRPS", strconv.FormatUint(uint64(a.MinRPS), 10))
	s.percent("admission.maxRejection", a.MaxRejectionBasisPoints)
	s.add("admission.success.statuses", StatusesText(a.Statuses))
	var names []string
	for _, n := range a.GRPCStatuses {
		names = append(names, GRPCStatusNames[n])
	}
	s.add("admission.success.grpcStatuses", strings.Join(names, ", "))
}

// Settings lists what a says.
func (a *Admission) Settings() []Setting {
	s := &settings{}
	a.settings(s)
	return s.list
}

// Fails says that some answer to a request is no success: one of HTTP, or of gRPC.
func (a *Admission) Fails(grpc bool) bool {
	if grpc && len(a.GRPCStatuses) < len(GRPCStatusNames) {
		return true
	}
	for status := uint16(100); status <= 599; status++ {
		if !slices.ContainsFunc(a.Statuses, func(r StatusRange) bool { return r.Holds(status) }) {
			return true
		}
	}
	return false
}
