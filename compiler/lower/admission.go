package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

func admission(a *intent.Admission) *model.Admission {
	out := &model.Admission{
		Window:                  durationOr(a.Window, model.DefaultAdmissionWindow),
		SuccessBasisPoints:      percentOr(a.SuccessRate, model.DefaultAdmissionSuccess),
		AggressionHundredths:    percentOr(a.Aggression, model.DefaultAdmissionAggression),
		MinRPS:                  numberOr(a.MinRPS, 0),
		MaxRejectionBasisPoints: percentOr(a.MaxRejection, model.DefaultAdmissionMaxRejected),
		Statuses:                slices.Clone(model.DefaultAdmissionStatuses),
		GRPCStatuses:            slices.Clone(model.DefaultAdmissionGRPC),
		Origin:                  a.At,
	}
	if s := a.Success; s != nil && s.Statuses != nil {
		out.Statuses = statusRanges(s.Statuses)
	}
	if s := a.Success; s != nil && s.GRPCStatuses != nil {
		out.GRPCStatuses = nil
		for _, v := range s.GRPCStatuses {
			out.GRPCStatuses = append(out.GRPCStatuses, uint32(slices.Index(model.GRPCStatusNames, v.V)))
		}
		slices.Sort(out.GRPCStatuses)
		out.GRPCStatuses = slices.Compact(out.GRPCStatuses)
	}
	return out
}
