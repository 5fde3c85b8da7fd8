package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	admissionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/admission_control/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/model"
)

const admissionFilter = "envoy.filters.http.admission_control"

// admissionKeys begin the runtime keys that Envoy wants beside numbers; nothing
// sets them.
const admissionKeys = "meshc.admission."

// admitting puts admission control behind the filters that judge, which have the
// first say. What they refuse it sees all the same, as an answer.
func admitting(judges []*hcmv3.HttpFilter, a *model.Admission) ([]*hcmv3.HttpFilter, error) {
	if a == nil {
		return judges, nil
	}
	success := &admissionv3.AdmissionControl_SuccessCriteria{
		HttpCriteria: &admissionv3.AdmissionControl_SuccessCriteria_HttpCriteria{},
		GrpcCriteria: &admissionv3.AdmissionControl_SuccessCriteria_GrpcCriteria{GrpcSuccessStatus: a.GRPCStatuses},
	}
	for _, r := range a.Statuses {
		success.HttpCriteria.HttpSuccessStatus = append(success.HttpCriteria.HttpSuccessStatus, &typev3.Int32Range{Start: int32(r.From), End: int32(r.To) + 1})
	}
	share := func(key string, basisPoints uint32) *corev3.RuntimePercent {
		return &corev3.RuntimePercent{DefaultValue: &typev3.Percent{Value: float64(basisPoints) / 100}, RuntimeKey: admissionKeys + key}
	}
	config := &admissionv3.AdmissionControl{
		EvaluationCriteria:      &admissionv3.AdmissionControl_SuccessCriteria_{SuccessCriteria: success},
		SamplingWindow:          durationpb.New(a.Window),
		Aggression:              &corev3.RuntimeDouble{DefaultValue: float64(a.AggressionHundredths) / 100, RuntimeKey: admissionKeys + "aggression"},
		SrThreshold:             share("success_rate", a.SuccessBasisPoints),
		MaxRejectionProbability: share("max_rejection", a.MaxRejectionBasisPoints),
	}
	if a.MinRPS > 0 {
		config.RpsThreshold = &corev3.RuntimeUInt32{DefaultValue: a.MinRPS, RuntimeKey: admissionKeys + "min_rps"}
	}
	f, err := httpFilter(admissionFilter, config)
	return append(judges, f), err
}
